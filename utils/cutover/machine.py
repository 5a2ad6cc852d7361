"""The cut-over, step by step: each has its gate and leaves its evidence, and none is done twice.

`go_on` does what is left as far as it can and returns how it has ended: what a person must do now,
or which gate is shut. Before a step is done, nothing of it is kept; a step that is done rests on
evidence that is looked at again: when somebody has loaded since, or a report is no longer what it
was, it is done once more.

    in-step     a pass brings the target up to S9, which is at work: made again until S9 is stopped
    frozen      S9's application is stopped, and no transaction is open that could still change it
    caught-up   the last pass
    verified    S9 is read again, later, and the target is what it is
    accepted    what is not simply the same is accepted by name
    certified   S9 is read a last time, and the certificate written: the application may be switched
    switched    it was, and S9 has been quiet: the Sale Module owns the data
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from utils.cutover import gates
from utils.cutover.acceptance import Open, by_kind, list_of, read_open, write_open
from utils.cutover.certificate import write_certificate
from utils.cutover.endings import Asked, Ending, Shut, Waits, ended
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
from utils.cutover.switching import Switching
from utils.cutover.ways import Ways
from utils.error_handler import ArtifactError, ConfigurationError, ExitCode
from utils.files.artifacts import sha256_of
from utils.run.manifest import Manifest
from utils.wording.figures import counted, lasting
from utils.wording.invocation import command

_STOPPED = "cutover --s9-is-stopped"


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
        if FROZEN not in self.state.steps and not self._is_told_stopped():
            self.state.forget(IN_STEP)
        steps: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            IN_STEP: self._in_step,
            FROZEN: self._frozen,
            CAUGHT_UP: self._caught_up,
            VERIFIED: self._verified,
            ACCEPTED: self._accepted,
            CERTIFIED: self._certified,
            SWITCHED: Switching(self.state, self.ways, self.asked, self.say).do,
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
            self.say(
                "Another run has been at work since the last pass: that is made again, when S9 is "
                "stopped"
            )
            state.forget(FROZEN)  # who has that done may have started S9 again as well
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

    def _is_told_stopped(self) -> bool:
        """Whether S9 is stopped by now: each pass prolongs that."""
        return self.asked.is_stopped or self.asked.freeze_check is not None

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
        began, verified = time.monotonic(), self.state.evidence(VERIFIED)
        look = self.ways.look()
        if why := gates.of_looks(verified["files"], look, verified["snapshot"]):
            self.state.forget(FROZEN)
            go_on = f"stop what still writes into S9, then: {command(_STOPPED)}"
            raise Shut(CERTIFIED, why, go_on, ExitCode.VERIFICATION_FAILED)
        evidence = self._require_no_writers(CERTIFIED)
        path = write_certificate(self.state, look.snapshot, time.monotonic() - began)
        reports = {self.state.files.name_of(path): sha256_of(path)}
        return f"see {path}", {**evidence, "quietUntil": look.snapshot, "reports": reports}


def _changes(count: int) -> str:
    return counted(count, "changed record")


def _code_of(code: ExitCode, ended_well: bool) -> ExitCode:
    return ExitCode.FAILED if ended_well else code
