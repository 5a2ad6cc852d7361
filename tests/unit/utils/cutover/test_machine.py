"""The steps of the cut-over, with phases that are played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from utils.cutover.acceptance import QUARANTINED, Accepted, Open
from utils.cutover.endings import Asked, Ending
from utils.cutover.machine import Cutover
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
from utils.cutover.ways import CaughtUp, Compared, Look, Ways, Writers
from utils.error_handler import ArtifactError, ConfigurationError, ExitCode, SourceError
from utils.files.workspace import Workspace
from utils.ownership import (
    forget_verified,
    ownership_of,
    require_marking,
    require_s9_owns,
)
from utils.run.manifest import Manifest

LOOK = Look("2026-01-01T00:00:00Z", {"sales": "aa"})
COMPARED = Compared(
    look=LOOK,
    last_pass=LOOK,
    at="2026-01-01T00:00:01Z",
    seconds=1.0,
    figures={"changedInSource": 0},
    moved=(),
    damaged=(),
    problems=(),
    open=(),
    ledger={},
    totals=(),
    numbers={"2026": 7},
    drift={"moved": 0},
    reached={},
    head={"runId": "11111111", "at": "2026-01-01T00:00:01Z", "tool": {}, "snapshot": {}},
)
HELD = Open("sales", "10", "SALE#1", QUARANTINED, "status: unheard of")
ALL = Asked(is_stopped=True)


@dataclass
class Stage:
    """A data directory whose phases are played: `called` are those that were, `fails` is the one
    that fails, and `played` what each comes back with."""

    files: Workspace
    called: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fails: str = ""
    played: dict[str, Any] = field(default_factory=dict)

    def state(self) -> State:
        return State.load(self.files, {"host": "s9"}, {"region": "here"})

    def go_on(self, asked: Asked = ALL) -> Ending:
        """Type `cutover` once, in a process of its own."""
        return Cutover(self.state(), self.ways(), asked, self.said.append).go_on()

    def ways(self) -> Ways:
        done = CaughtUp("comparing pass", "11111111", LOOK.snapshot, 1.0, 2, ExitCode.DONE)
        return Ways(
            sync=self._way("sync", done),
            foresee=self._way("foresee", done),
            look=self._way("look", LOOK),
            writers=self._way("writers", Writers()),
            verify=self._way("verify", COMPARED),
            compare=self._way("compare", COMPARED),
            unfollow=self._way("unfollow", ()),
            mark=lambda _cutover, _at: self._way("mark", None)(),
            unmark=lambda _cutover: [],
            sleep=lambda _seconds: None,
        )

    def _way(self, name: str, usual: Any) -> Callable[[], Any]:
        def way() -> Any:
            self.called.append(name)
            if self.fails == name:
                raise SourceError("S9 is gone", remedy="bring it back")
            found = self.played.get(name, usual)
            return found.pop(0) if isinstance(found, list) else found

        return way


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    files = Workspace(tmp_path)
    files.prepare()
    replace(Manifest.new(), run_id="11111111").save(files.manifest)
    return Stage(files)


def test_it_goes_as_far_as_it_can_and_does_nothing_twice(stage: Stage) -> None:
    assert stage.go_on(Asked()).name == "cutover-stop-s9"
    assert stage.called == ["sync"]
    assert stage.go_on().name == "cutover-certified"
    assert stage.go_on(Asked()).name == "cutover-certified"
    assert stage.called == [
        "sync",
        "writers",
        "sync",
        "verify",
        "writers",
        "look",
        "writers",
    ]
    assert stage.go_on(Asked(is_switched=True)).name == "cutover-switched"
    assert stage.called[-3:] == ["look", "mark", "unfollow"]
    assert list(stage.state().steps) == list(STEPS)


def test_until_s9_is_stopped_it_is_brought_in_step_again(stage: Stage) -> None:
    stage.go_on(Asked())
    stage.go_on(Asked())
    assert stage.called == ["sync", "sync"]
    stage.fails = "writers"
    for _ in range(2):  # S9 stands still meanwhile
        with pytest.raises(SourceError):
            stage.go_on()
    assert stage.called == ["sync", "sync", "writers", "writers"]


@pytest.mark.parametrize("fails", ["sync", "writers", "verify", "look"])
@pytest.mark.parametrize("is_certified", [False, True])
def test_what_failed_is_done_again_and_nothing_before_it(
    stage: Stage, fails: str, is_certified: bool
) -> None:
    if is_certified:
        stage.go_on()
        fails = "look"
    stage.fails = fails
    switched = Asked(is_stopped=True, is_switched=is_certified)
    with pytest.raises(SourceError):
        stage.go_on(switched)
    done = list(stage.state().steps)
    stage.fails = ""
    assert stage.go_on(switched).code is ExitCode.DONE
    assert list(stage.state().steps)[: len(done)] == done


@pytest.mark.parametrize(
    ("way", "found", "step", "words", "code"),
    [
        ("sync", {"code": ExitCode.VALIDATION_FAILED}, IN_STEP, "exit code 3", 3),
        ("writers", {"names": ("process 7 of sale9",)}, FROZEN, "process 7 of sale9", 1),
        ("verify", {"damaged": ("sales 10 (missing)",)}, VERIFIED, "sales 10 (missing)", 4),
        ("verify", {"problems": ("sales: the total differs",)}, VERIFIED, "total differs", 4),
        (
            "verify",
            {"moved": ("sales 10 (changedInSource)",), "figures": {"changedInSource": 1}},
            VERIFIED,
            "1 item changed in S9 since it was stopped: sales 10",
            4,
        ),
    ],
)
def test_a_gate_that_is_shut_is_named_with_its_reason_and_the_owner(
    stage: Stage, way: str, found: dict[str, Any], step: str, words: str, code: int
) -> None:
    usual = getattr(stage.ways(), way)()
    stage.played[way] = replace(usual, **found)
    ending = stage.go_on()
    assert (ending.name, int(ending.code)) == ("cutover-shut", code)
    assert ending.values["gate"] == step
    assert words in ending.values["why"]
    assert ending.values["owner"] == "S9"
    assert step not in stage.state().steps
    stage.played.clear()
    assert stage.go_on().name == "cutover-certified"


def test_s9_that_was_not_stopped_is_to_be_stopped_again(stage: Stage) -> None:
    figures = {"changedInSource": 1}
    stage.played["verify"] = replace(COMPARED, moved=("sales 10",), figures=figures)
    stage.go_on()
    assert list(stage.state().steps) == [IN_STEP]
    assert stage.go_on(Asked()).name == "cutover-stop-s9"


def test_too_many_changes_keep_it_from_asking_for_the_standstill(stage: Stage) -> None:
    assert stage.go_on(Asked(most_changes=1)).values["gate"] == IN_STEP
    assert stage.go_on(Asked(most_changes=2)).name == "cutover-stop-s9"


def test_a_look_that_finds_another_row_is_no_freeze(stage: Stage) -> None:
    moved = Look("2026-01-01T00:00:09Z", {"sales": "bb"})
    stage.played["look"] = [LOOK, moved]
    ending = stage.go_on(Asked(freeze_check=1.0))
    assert (ending.values["gate"], ending.code) == (FROZEN, ExitCode.FAILED)
    stage.played["look"] = [LOOK, LOOK, LOOK]
    assert stage.go_on(Asked(freeze_check=1.0)).name == "cutover-certified"
    assert stage.state().evidence(FROZEN)["saidBy"] is None


def test_a_look_at_what_could_not_be_read_finds_nothing_quiet(stage: Stage) -> None:
    stage.played["look"] = Look("2026-01-01T00:00:00Z", {"sales": ""})
    assert stage.go_on(Asked(freeze_check=1.0)).values["gate"] == FROZEN


def test_a_load_in_between_makes_the_last_pass_due_again(stage: Stage) -> None:
    stage.go_on()
    certificate = stage.files.report("cutover")
    assert certificate.exists()
    replace(Manifest.new(), run_id="22222222").save(stage.files.manifest)
    with pytest.raises(ConfigurationError, match="nothing is certified yet"):
        stage.go_on(Asked(is_switched=True))
    assert not certificate.exists()
    assert list(stage.state().steps) == [IN_STEP]  # S9 may have been started as well
    assert stage.go_on(Asked()).name == "cutover-stop-s9"
    assert stage.go_on().name == "cutover-certified"


@pytest.mark.parametrize("step", [VERIFIED, ACCEPTED, CERTIFIED])
def test_a_write_to_the_target_in_between_has_it_verified_again(stage: Stage, step: str) -> None:
    stage.go_on()
    state = stage.state()
    for later in STEPS[STEPS.index(step) + 1 :]:
        state.forget(later)
    other = stage.state()
    forget_verified(stage.files)
    assert not stage.files.report("cutover").exists()
    assert list(stage.state().steps) == [IN_STEP, FROZEN, CAUGHT_UP]
    with pytest.raises(ConfigurationError, match="another command"):
        other.done(SWITCHED, {})
    with pytest.raises(ConfigurationError, match="nothing is certified yet"):
        stage.go_on(Asked(is_switched=True))
    stage.called.clear()
    assert stage.go_on(Asked()).name == "cutover-certified"
    assert stage.called == ["verify", "writers", "look", "writers"]


def test_a_write_after_the_switch_leaves_it_as_it_is(stage: Stage) -> None:
    stage.go_on()
    stage.go_on(Asked(is_switched=True))
    before = stage.files.cutover.read_bytes()
    forget_verified(stage.files)
    assert stage.files.cutover.read_bytes() == before


def test_what_moves_before_the_certificate_shows_that_s9_was_not_stopped(stage: Stage) -> None:
    stage.played["look"] = Look("2026-01-02T00:00:00Z", {"sales": "bb"})
    ending = stage.go_on()
    assert (ending.values["gate"], ending.code) == (CERTIFIED, ExitCode.VERIFICATION_FAILED)
    assert "rows of sales have changed since" in ending.values["why"]
    assert list(stage.state().steps) == [IN_STEP]
    assert not stage.files.report("cutover").exists()
    stage.played.clear()
    stage.played["writers"] = [Writers(), Writers(), Writers(("process 7 of sale9",))]
    assert stage.go_on().values["gate"] == CERTIFIED
    assert stage.state().steps.keys() >= {VERIFIED, ACCEPTED}
    stage.played.clear()
    assert stage.go_on(Asked()).name == "cutover-certified"


def test_a_certificate_that_was_edited_certifies_nothing(stage: Stage) -> None:
    stage.go_on()
    certificate = stage.files.report("cutover")
    certificate.write_bytes(certificate.read_bytes() + b" ")
    stage.called.clear()
    assert stage.go_on(Asked()).name == "cutover-certified"
    assert stage.called == ["verify", "writers", "look", "writers"]


def test_what_is_open_is_accepted_for_its_reason_only(stage: Stage) -> None:
    stage.played["verify"] = replace(COMPARED, open=(HELD,))
    assert stage.go_on().code is ExitCode.QUARANTINED
    for entries in ({}, {HELD: False}, {replace(HELD, why="another"): True}):
        given = Accepted("Rag. Verdi", entries, "ff")
        assert stage.go_on(Asked(accepted=given)).name == "cutover-accept"
    assert [line for line in stage.said if line.startswith("Still open")] == [
        f"Still open, not in the file: {HELD}",
        f"Still open, not accepted: {HELD}",
        f"Still open, accepted for another reason than it is open for: {HELD}",
    ]
    given = Accepted("Rag. Verdi", {HELD: True}, "ff")
    assert stage.go_on(Asked(accepted=given)).name == "cutover-certified"
    accepted = stage.state().evidence(ACCEPTED)
    assert accepted == {"acceptedBy": "Rag. Verdi", "sha256": "ff", "count": 1}


def test_the_list_itself_is_not_to_be_edited(stage: Stage) -> None:
    stage.played["verify"] = replace(COMPARED, open=(HELD,))
    stage.go_on()
    path = stage.files.report("cutover").with_name("cutover_acceptance.json")
    path.write_bytes(path.read_bytes().replace(b"false", b"true"))
    with pytest.raises(ArtifactError, match="is not the list"):
        stage.go_on()
    assert VERIFIED not in stage.state().steps


def test_changes_of_s9_after_the_certificate_are_named_and_left_only_on_demand(
    stage: Stage,
) -> None:
    stage.go_on()
    stage.files.report("drift").write_text("{}")
    leaves = Asked(is_switched=True, leaves_behind=True)
    for files in ({"sales": "bb"}, {"sales": "cc"}):  # S9 goes on changing
        look = Look("2026-01-02T00:00:00Z", files)
        drift, moved = {"moved": 30}, ("sales 12 (newInSource)",)
        stage.played["look"] = look
        stage.played["compare"] = replace(COMPARED, look=look, moved=moved, drift=drift)
        ending = stage.go_on(leaves)  # what was not listed is not left behind
        assert (ending.name, ending.code) == ("cutover-shut", ExitCode.VERIFICATION_FAILED)
        assert "30 records, all of them listed in" in ending.values["why"]
        assert "sales 12 (newInSource)" in stage.said[-2]
        assert "… and 29 more records" in stage.said[-1]
        require_s9_owns(stage.files, "a load")
    assert stage.go_on(Asked(is_switched=True)).name == "cutover-shut"
    assert stage.go_on(leaves).name == "cutover-switched"
    evidence = stage.state().evidence(SWITCHED)
    assert evidence["leftBehind"] == 30
    assert list(evidence["reports"]) == ["reports/left_behind_report.json"]
    assert stage.files.report("left_behind").read_text() == "{}"


def test_s9_that_changes_while_it_is_listed_is_listed_again(stage: Stage) -> None:
    stage.go_on()
    look = Look("2026-01-02T00:00:00Z", {"sales": "bb"})
    stage.played["look"] = look
    later = replace(look, files={"sales": "cc"})
    stage.played["compare"] = [replace(COMPARED, look=each) for each in (look, later)]
    leaves = Asked(is_switched=True, leaves_behind=True)
    assert [stage.go_on(leaves).name for _ in range(2)] == ["cutover-shut"] * 2
    assert not stage.state().is_switched


@pytest.mark.parametrize("step", STEPS[:-1])
def test_given_up_at_any_step_s9_owns_the_data_and_nothing_is_done(stage: Stage, step: str) -> None:
    stage.go_on()
    state = stage.state()
    for later in STEPS[STEPS.index(step) + 1 :]:
        state.forget(later)
    state.starts_over("aborted")
    again = stage.state()
    assert (again.steps, again.owner) == ({}, "S9")
    assert again.history[-1]["after"] == step
    assert not stage.files.report("cutover").exists()
    require_s9_owns(stage.files, "a load")


def test_after_the_switch_who_would_write_is_told_the_ways(stage: Stage) -> None:
    stage.go_on()
    stage.go_on(Asked(is_switched=True))
    assert ownership_of(stage.files).is_switched
    with pytest.raises(ConfigurationError, match="S9 is history since") as refused:
        require_s9_owns(stage.files, "a load")
    assert "cutover --back" in refused.value.remedy
    assert "drift" in refused.value.remedy


def test_two_commands_do_not_write_over_each_other(stage: Stage) -> None:
    one, other = stage.state(), stage.state()
    one.done(IN_STEP, {})
    with pytest.raises(ConfigurationError, match="another command"):
        other.done(IN_STEP, {})


def _edited(document: dict[str, Any], what: str) -> None:
    """Edit the file as somebody might who means to help."""
    steps = document["steps"]
    if what == "a step is taken out":
        del steps[FROZEN]
    elif what == "the owner":
        document["owner"] = "the Sale Module"
    elif what == "switched at":
        document["switchedAt"] = "2026-01-01T00:00:00Z"
    elif what == "a step is put in":
        steps[SWITCHED] = steps[CERTIFIED]
    elif what == "files":
        steps[VERIFIED]["evidence"]["files"] = ["sales"]
    elif what == "the list":
        steps[VERIFIED]["evidence"]["open"] = {}
    else:
        steps[what] = "done"


@pytest.mark.parametrize(
    "what",
    [
        "a step is taken out",
        "the owner",
        "switched at",
        "a step is put in",
        "files",
        "the list",
        CERTIFIED,
    ],
)
def test_a_file_that_was_edited_is_damaged(stage: Stage, what: str) -> None:
    stage.go_on()
    document = orjson.loads(stage.files.cutover.read_bytes())
    _edited(document, what)
    stage.files.cutover.write_bytes(orjson.dumps(document))
    with pytest.raises(ArtifactError, match="is damaged"):
        stage.go_on(Asked(is_switched=True))
    with pytest.raises(ArtifactError, match="is damaged"):
        forget_verified(stage.files)


def test_a_certificate_without_its_step_does_not_outlive_the_cut_over(stage: Stage) -> None:
    """Who was killed right after it was written may be given up."""
    stage.go_on()
    certificate = stage.files.report("cutover")
    text = certificate.read_bytes()
    state = stage.state()
    state.forget(CERTIFIED)
    certificate.write_bytes(text)
    state.starts_over("aborted")
    assert not certificate.exists()


def test_given_up_while_the_tables_are_about_to_be_told_the_switch_is_not_made(
    stage: Stage,
) -> None:
    stage.go_on()
    cutover = stage.state().cutover
    with pytest.raises(ConfigurationError, match="was not made"):
        require_marking(stage.files, cutover)
    stage.state().is_about_to_mark()
    require_marking(stage.files, cutover)
    one = stage.state()
    one.starts_over("aborted")
    with pytest.raises(ConfigurationError, match="was not made"):
        require_marking(stage.files, cutover)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"version":1,"owner":"nobody"}', b"[1]"])
def test_a_damaged_file_says_that_nobody_knows_the_owner(stage: Stage, text: bytes) -> None:
    stage.files.cutover.write_bytes(text)
    with pytest.raises(ArtifactError, match="is damaged"):
        require_s9_owns(stage.files, "a load")


def test_the_cut_over_of_another_target_is_refused(stage: Stage) -> None:
    stage.state().done(IN_STEP, {})
    with pytest.raises(ConfigurationError, match="another target"):
        State.load(stage.files, {"host": "s9"}, {"region": "there"})
    assert CERTIFIED not in stage.state().steps
