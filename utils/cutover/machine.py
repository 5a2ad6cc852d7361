"""The cut-over, step by step: each has its gate and leaves its evidence, and none is done twice.

`go_on` does what is left as far as it can and returns how it has ended: what a person must do now,
or which gate is shut. Before a step is done, nothing of it is kept; a step that is done rests on
evidence that is looked at again: when somebody has loaded since, or a report is no longer what it
was, it is done once more.

    in-step     a pass brings the target up to S9, which is at work
    frozen      S9's application is stopped, and no transaction is open that could still change it
    caught-up   the last pass
    verified    S9 is read again, later, and the target is what it is
    accepted    what is not simply the same is accepted by name
    certified   the certificate is written: the application may be switched
    switched    it was, and S9 has been quiet: the Sale Module owns the data
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.cutover import gates
from utils.cutover.acceptance import (
    Accepted,
    Open,
    by_kind,
    list_of,
    read_open,
    write_open,
)
from utils.cutover.certificate import write_certificate
from utils.cutover.state import (
    ACCEPTED,
    CAUGHT_UP,
    CERTIFIED,
    FROZEN,
    IN_STEP,
    STEPS,
    SWITCHED,
    VERIFIED,
    State,
)
from utils.cutover.ways import Compared, Ways
from utils.error_handler import (
    ArtifactError,
    ConfigurationError,
    ExitCode,
    MigrationError,
)
from utils.files.artifacts import sha256_of, utc_now
from utils.run.manifest import Manifest
from utils.wording.figures import counted, lasting
from utils.wording.invocation import command

_STOPPED = "cutover --s9-is-stopped"


@dataclass(frozen=True)
class Asked:
    """What the operator says: S9's application is stopped; or that the tool is to see for itself
    that nothing changes in so many seconds; at most so many changes in the last pass before; what
    is accepted; that the application is switched; that changes of S9 since then are left behind."""

    is_stopped: bool = False
    freeze_check: float | None = None
    most_changes: int | None = None
    accepted: Accepted | None = None
    is_switched: bool = False
    leaves_behind: bool = False


@dataclass(frozen=True)
class Ending:
    """How it has ended: the closing (utils/cli/closings.py), the exit code, and its values."""

    name: str
    code: ExitCode
    values: Mapping[str, Any] = field(default_factory=dict)


class Shut(Exception):
    """A gate is shut: at which step, why, the one command that goes on, and the exit code."""

    def __init__(self, step: str, why: str, go_on: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(why)
        self.step, self.why, self.go_on, self.code = step, why, go_on, code


class Waits(Exception):
    """Somebody must do something now, of which an ending tells."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.name)
        self.ending = ending


@dataclass
class Cutover:
    """The cut-over of a data directory. `say` shows a line; `confirm` asks the person at the
    terminal, if there is one."""

    state: State
    ways: Ways
    asked: Asked
    say: Callable[[str], None]
    confirm: Callable[[str], bool] = lambda _question: False

    def go_on(self) -> Ending:
        """Do what is left, as far as it can be done. Raises MigrationError for what fails."""
        self._look_at_evidence()
        if self.asked.is_switched and CERTIFIED not in self.state.steps:
            raise ConfigurationError(
                "nothing is certified yet, so that the application must not be switched",
                remedy=f"switch it back if it was; then go on: {command('cutover')}",
            )
        steps: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            IN_STEP: self._in_step,
            FROZEN: self._frozen,
            CAUGHT_UP: self._caught_up,
            VERIFIED: self._verified,
            ACCEPTED: self._accepted,
            CERTIFIED: self._certified,
            SWITCHED: self._switched,
        }
        try:
            for step in (each for each in STEPS if each not in self.state.steps):
                began = time.monotonic()
                words, evidence = steps[step]()
                self.state.done(step, evidence, time.monotonic() - began)
                self.say(f"Cut-over, {step}: {words}")
        except Shut as shut:
            return self._shut(shut)
        except Waits as waits:
            return waits.ending
        return ended(self.state)

    def _shut(self, shut: Shut) -> Ending:
        values = {
            "gate": shut.step,
            "why": shut.why,
            "owner": self.state.owner,
            "next": shut.go_on,
            "abort": command("cutover --abort"),
        }
        return Ending("cutover-shut", shut.code, values)

    def _look_at_evidence(self) -> None:
        """Forget the steps whose evidence no longer holds."""
        state = self.state
        if state.is_switched:
            return
        manifest = Manifest.load(state.files.manifest)
        if CAUGHT_UP in state.steps and (
            manifest is None or manifest.run_id != state.evidence(CAUGHT_UP)["runId"]
        ):
            self.say("Another run has been at work since the last pass: that is made again")
            state.forget(CAUGHT_UP)
        if CERTIFIED in state.steps:
            reports = state.evidence(CERTIFIED)["reports"]
        else:
            reports = state.evidence(VERIFIED).get("reports", {})
        if changed := [name for name, sha in reports.items() if not self._is_still(name, sha)]:
            self.say(f"{', '.join(changed)}: no longer what it was; the target is verified again")
            state.forget(VERIFIED)

    def _is_still(self, name: str, sha256: str) -> bool:
        path = self.state.files.root / name
        return path.is_file() and sha256_of(path) == sha256

    # The steps: each returns what it has found in words, and its evidence

    def _in_step(self) -> tuple[str, dict[str, Any]]:
        done = self.ways.sync()
        if why := gates.of_sync(done, self.asked.most_changes):
            raise Shut(IN_STEP, why, command("cutover"), _code_of(done.code, done.ended_well))
        return f"{done.how}, {_changes(done.changes)} in {lasting(done.seconds)}", done.as_json()

    def _frozen(self) -> tuple[str, dict[str, Any]]:
        said = self._says_stopped()
        evidence: dict[str, Any] = {"saidBy": said or None, "freezeCheck": None}
        if self.asked.freeze_check is not None:
            evidence["freezeCheck"] = self._freeze_check(self.asked.freeze_check)
        elif not said:
            raise Waits(self._stop_s9())
        return "S9 is stopped", {**evidence, **self._require_no_writers(FROZEN)}

    def _says_stopped(self) -> str:
        """How the operator has said that S9 is stopped; "" when nobody has."""
        if self.asked.is_stopped:
            return "--s9-is-stopped"
        if self.asked.freeze_check is None and self.confirm("Is S9's application stopped?"):
            return "at the terminal"
        return ""

    def _stop_s9(self) -> Ending:
        values = {
            "seconds": lasting(self.state.steps[IN_STEP]["seconds"]),
            "changes": int(self.state.evidence(IN_STEP).get("changes", 0)),
            "next": command(_STOPPED),
            "abort": command("cutover --abort"),
        }
        return Ending("cutover-stop-s9", ExitCode.DONE, values)

    def _freeze_check(self, seconds: float) -> dict[str, Any]:
        before = self.ways.look()
        self.ways.sleep(seconds)
        after = self.ways.look()
        if why := gates.of_looks(before.files, after, before.snapshot):
            raise Shut(FROZEN, why, command(f"cutover --freeze-check {seconds:g}"))
        return {"seconds": seconds, "from": before.snapshot, "to": after.snapshot}

    def _require_no_writers(self, step: str) -> dict[str, Any]:
        writers = self.ways.writers()
        if writers.unseen:
            self.say(f"Whether a transaction is open in S9 cannot be seen: {writers.unseen}")
        if why := gates.of_writers(writers):
            go_on = command(_STOPPED if step == FROZEN else "cutover")
            raise Shut(step, f"{why}. End them", go_on)
        return writers.as_json()

    def _caught_up(self) -> tuple[str, dict[str, Any]]:
        done = self.ways.sync()
        if why := gates.of_sync(done):
            raise Shut(CAUGHT_UP, why, command("cutover"), _code_of(done.code, done.ended_well))
        return f"{done.how}, {_changes(done.changes)} in {lasting(done.seconds)}", done.as_json()

    def _verified(self) -> tuple[str, dict[str, Any]]:
        found = self.ways.verify()
        if why := gates.of_verification(found):
            if found.moved:  # it was not stopped, or something else writes into it
                self.state.forget(FROZEN)
                go_on = f"stop what still writes into S9, then: {command(_STOPPED)}"
            else:
                repair = command("--phase verify --from-source --repair")
                report = self.state.files.report("verification").name
                go_on = f"see {report}, mend it ({repair}), then: {command('cutover')}"
            raise Shut(VERIFIED, why, go_on, ExitCode.VERIFICATION_FAILED)
        evidence = found.as_json() | self._require_no_writers(VERIFIED)
        if moved := gates.of_looks(found.last_pass.files, found.look, found.last_pass.snapshot):
            self.say(f"{moved}; nothing of it reaches the target")
        before = self.state.evidence(CAUGHT_UP)["snapshot"]
        path = write_open(self.state.files, found.head, self.state.cutover, found.open)
        evidence |= {
            "since": before,
            "rowsAsInLastPass": not moved,
            "open": {"count": len(found.open), "sha256": sha256_of(path)},
        }
        but = f", but for what is to be accepted: {by_kind(found.open)}" if found.open else ""
        return f"the target is what S9 is, as of {found.look.snapshot}{but}", evidence

    def _accepted(self) -> tuple[str, dict[str, Any]]:
        open_ = self._open()
        if not open_:
            return "nothing is to be accepted", {"acceptedBy": None, "sha256": None, "count": 0}
        given = self.asked.accepted
        if given is None:
            raise Waits(self._accept(open_))
        judged = given.judged(open_)
        for each in judged.surplus:
            self.say(f"Accepted, and no longer open: {each}")
        if not judged.is_enough:
            for line in judged.lines():
                self.say(f"Still open, {line}")
            raise Waits(self._accept(open_))
        evidence = {"acceptedBy": given.by, "sha256": given.sha256, "count": len(open_)}
        return f"{counted(len(open_), 'record')} by {given.by}", evidence

    def _open(self) -> tuple[Open, ...]:
        try:
            return read_open(self.state.files, self.state.evidence(VERIFIED)["open"]["sha256"])
        except ArtifactError as error:
            self.state.forget(VERIFIED)
            error.remedy += f"; it is made anew by: {command('cutover')}"
            raise

    def _accept(self, open_: tuple[Open, ...]) -> Ending:
        values = {
            "open": len(open_),
            "kinds": by_kind(open_),
            "list": list_of(self.state.files),
            "next": command("cutover --accept FILE"),
            "abort": command("cutover --abort"),
        }
        return Ending("cutover-accept", ExitCode.QUARANTINED, values)

    def _certified(self) -> tuple[str, dict[str, Any]]:
        path = write_certificate(self.state)
        return f"see {path}", {"reports": {self.state.files.name_of(path): sha256_of(path)}}

    def _switched(self) -> tuple[str, dict[str, Any]]:
        if not self.asked.is_switched:
            raise Waits(ended(self.state))
        verified = self.state.evidence(VERIFIED)
        look = self.ways.look()
        moved = gates.of_looks(verified["files"], look, verified["snapshot"])
        found = self.ways.compare() if moved else None
        if found is not None:
            self._require_left_behind(found, moved)
        self.state.belongs_to_sale_module(utc_now())
        self._unfollow()
        return "the Sale Module owns the data", {
            "quietUntil": None if moved else look.snapshot,
            "leftBehind": list(found.moved) if found else [],
        }

    def _unfollow(self) -> None:
        """Nobody follows an S9 that is history: it would keep its log until its disk is full."""
        try:
            for taken in self.ways.unfollow():
                self.say(f"Taken away at S9: {taken}")
        except MigrationError as error:
            self.say(f"S9 still keeps its log to be followed: {error.message}. {error.remedy}")

    def _require_left_behind(self, found: Compared, moved: str) -> None:
        """Changes that S9 has had since the certificate are in no table: go on only if told to."""
        for each in found.moved:
            self.say(f"Changed in S9 since the certificate, and not in the target: {each}")
        if self.asked.leaves_behind:
            return
        go_on = (
            f"switch the application back, then: {command('cutover --abort')}; or, when these "
            f"changes are entered in the Sale Module by hand: {command('cutover --switched --yes')}"
        )
        why = moved if found.moved else f"{moved} (nothing of it belongs into the target)"
        raise Shut(SWITCHED, why, go_on, ExitCode.VERIFICATION_FAILED)


def _changes(count: int) -> str:
    return counted(count, "changed record")


def _code_of(code: ExitCode, ended_well: bool) -> ExitCode:
    return ExitCode.FAILED if ended_well else code


def ended(state: State) -> Ending:
    """How a cut-over stands that waits for nothing but the next word."""
    if state.is_switched:
        values: dict[str, Any] = {
            "moment": state.switched_at,
            "drift": command("drift"),
            "back": command("cutover --back"),
        }
        return Ending("cutover-switched", ExitCode.DONE, values)
    values = {
        "report": state.files.report("cutover"),
        "next": command("cutover --switched"),
        "abort": command("cutover --abort"),
    }
    return Ending("cutover-certified", ExitCode.DONE, values)
