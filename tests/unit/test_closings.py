"""Every sentence that a command can end with: declared, true where it is said, and said somewhere.

Each situation is made in a manifest; tests/scenarios and tests/trials bring them about for real,
and hold every last line against the declarations (tests/support/operators/operator.py).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents.messages_doc import DOCUMENT, document
from tests.support.places import ROOT
from utils.cli.closings import CLOSINGS, COMMANDS, NOTES, OPENINGS, said
from utils.cli.summary import (
    after_demo,
    after_phase,
    after_rehearsal,
    after_retry,
    after_run,
    after_source_read_again,
)
from utils.config import Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.files.artifacts import ArtifactEntry
from utils.files.workspace import Workspace
from utils.plan.document import Plan
from utils.plan.verdict import Obstacle, Stage
from utils.run.manifest import Manifest, PhaseEntry
from utils.run.run import COMPLETE, FAILED, Run
from utils.run.standing import standing_of
from utils.wording import invocation

DONE, REFUSED, KEPT_OUT = ExitCode.DONE, ExitCode.VALIDATION_FAILED, ExitCode.QUARANTINED
DIFFERS = ExitCode.VERIFICATION_FAILED
Words = Callable[[Run, ExitCode], str]


@dataclass
class Situation:
    """How a run stands: what each phase has recorded of the sales, and what is in quarantine."""

    load: dict[str, Any] = field(default_factory=dict)
    verify: dict[str, Any] | None = field(default_factory=dict)
    refused: int = 0
    policy: str = "fail"
    tolerant: bool = False
    verified: tuple[str, ...] = ENTITY_NAMES
    loaded: tuple[str, ...] = ENTITY_NAMES
    not_selected: int = 0
    since: str = "source"

    def run(self, root: Path) -> Run:
        files = Workspace(root)
        files.prepare()
        config = Config()
        config = replace(
            config,
            load=replace(config.load, on_conflict=self.policy),
            migration=replace(config.migration, continue_on_error=self.tolerant),
        )
        manifest = Manifest.new()
        manifest.stopped = "sales: S9 has gone"
        for name in ENTITY_NAMES:
            file, mine = f"transformed/{name}.json", name == "sales"
            manifest.artifacts[file] = ArtifactEntry(1, 1, 1, "sha", "")
            table = {"rows": 9, "notSelected": {"disabled": self.not_selected if mine else 0}}
            manifest.record("extract", name, PhaseEntry(COMPLETE, "", result={"table": table}))
            if name in self.loaded:
                figures = {"items": 5, **(self.load if mine else {})}
                manifest.record("load", name, PhaseEntry(COMPLETE, "", result=figures))
            if self.verify is not None and name in self.verified:
                wrong = mine and any(
                    self.verify.get(each)
                    for each in ("missing", "different", "onlyInTarget", "otherProblems")
                )
                entry = PhaseEntry(
                    FAILED if wrong else COMPLETE,
                    "",
                    {file: "sha"},
                    result=self.verify if mine else {},
                )
                manifest.record("verify", name, entry)
        if self.refused:
            entry_of = ArtifactEntry(self.refused, self.refused, 1, "sha", "")
            manifest.artifacts["quarantine/sales.json"] = entry_of
        return Run(config, files, manifest)


def by_hand(phase: str) -> Words:
    return lambda run, code: after_phase(run, code, phase, ENTITY_NAMES)


def by_source(run: Run, code: ExitCode) -> str:
    run.manifest.snapshot = {"takenAt": "2026-01-02T03:04:05Z"}
    return after_source_read_again(run, run, code, ENTITY_NAMES)


def planned(run: Run, code: ExitCode) -> str:
    plan = Plan()
    if code is not DONE:
        plan.verdict.note(Obstacle(Stage.VALIDATE, "it is so", "do that", code))
    return after_rehearsal(run, plan.document(run))


# Situation, exit code, who speaks; which closings that gives, and the end of the last line.
CASES: dict[str, tuple[Situation, ExitCode, Words, set[str], str]] = {
    "all arrived": (Situation(), DONE, after_run, {"arrived"}, "every record arrived."),
    "changed since": (
        Situation(verify={"changedSince": 3, "foreign": 1}),
        DONE,
        after_run,
        {"arrived", "changed-since", "in-use"},
        "every record arrived.",
    ),
    "kept as it is": (
        Situation(load={"kept": 2, "keptRecords": 1}),
        DONE,
        after_run,
        {"arrived-but", "kept"},
        "(listed in verification_report.json)",
    ),
    "kept out": (
        Situation(load={"kept": 3, "keptAbsent": 1}),
        KEPT_OUT,
        after_run,
        {"arrived-but", "kept", "kept-out"},
        "load.onConflict overwrite",
    ),
    "in quarantine": (
        Situation(refused=2),
        KEPT_OUT,
        after_retry,
        {"arrived-but", "in-quarantine"},
        "python migrate.py retry-quarantine",
    ),
    "a demonstration": (
        Situation(refused=2),
        KEPT_OUT,
        after_demo,
        {"arrived-but", "held-in-quarantine"},
        "quarantine",
    ),
    "not looked at": (
        Situation(verify=None, refused=2),
        KEPT_OUT,
        after_run,
        {"loaded", "held-in-quarantine"},
        "python migrate.py --phase verify",
    ),
    "a part verified": (
        Situation(verified=("buyers",)),
        DONE,
        by_hand("verify"),
        {"part-verified"},
        "Not verified: producers and sales: python migrate.py --phase verify",
    ),
    "a phase by hand": (
        Situation(verify=None, not_selected=3),
        DONE,
        by_hand("load"),
        {"phase-done", "not-selected"},
        "Next: verify: python migrate.py --phase verify",
    ),
    "a phase in one entity": (
        Situation(verify=None, loaded=("buyers",)),
        DONE,
        by_hand("load"),
        {"phase-done"},
        "load of producers: python migrate.py --phase load --entity producers",
    ),
    "planned": (
        Situation(load={"items": 0}, verify=None, loaded=()),
        DONE,
        planned,
        {"planned"},
        "To do it: python migrate.py --full",
    ),
    "planned, with records in quarantine": (
        Situation(verify=None, loaded=(), refused=1),
        KEPT_OUT,
        planned,
        {"planned", "held-in-quarantine"},
        "quarantine. To do it: python migrate.py --full",
    ),
    "planned, and in vain": (
        Situation(verify=None, loaded=()),
        REFUSED,
        planned,
        {"planned-obstacles"},
        "then look again: python migrate.py --resume",
    ),
    "set aside": (
        Situation(verify=None),
        ExitCode.FAILED,
        after_run,
        {"set-aside"},
        "python migrate.py --resume",
    ),
    "refused by validation": (
        Situation(verify=None, loaded=()),
        REFUSED,
        after_run,
        {"refused-by-validation"},
        "into quarantine",
    ),
    "refused all the same": (
        Situation(verify=None, loaded=(), tolerant=True),
        REFUSED,
        by_hand("validate"),
        {"refused-by-validation-all-the-same"},
        "python migrate.py --phase extract",
    ),
    "missing": (
        Situation(verify={"missing": 2, "otherProblems": 1}),
        DIFFERS,
        after_run,
        {"differs", "missing", "other-problems", "write-again"},
        "python migrate.py --phase verify --repair",
    ),
    "missing beside what was changed": (
        Situation(verify={"missing": 2, "changedSince": 1}, policy="overwrite"),
        DIFFERS,
        after_run,
        {"differs", "missing", "write-again", "changed-since", "in-use"},
        "python migrate.py --phase verify --repair",
    ),
    "different": (
        Situation(verify={"different": 2}),
        DIFFERS,
        after_run,
        {"differs", "different", "write-again"},
        "as it is: python migrate.py --phase verify --repair",
    ),
    "different after a repair": (
        Situation(verify={"different": 2, "changedSince": 1}, policy="overwrite"),
        DIFFERS,
        lambda run, code: after_phase(run, code, "verify", ENTITY_NAMES, tried=["--repair"]),
        {"differs", "different", "correct-what-is-left", "changed-since", "in-use"},
        "then verify again: python migrate.py --phase verify",
    ),
    "missing, and others only there": (
        Situation(verify={"missing": 2, "onlyInTarget": {"records": 1}, "otherProblems": 3}),
        DIFFERS,
        after_run,
        {"differs", "missing", "only-in-target", "other-problems", "write-again-and-take-away"},
        "python migrate.py --phase verify --repair --repair-extra",
    ),
    "only there, after a repair of what was missing": (
        Situation(verify={"onlyInTarget": {"records": 1}, "otherProblems": 3}),
        DIFFERS,
        lambda run, code: after_phase(run, code, "verify", ENTITY_NAMES, tried=["--repair"]),
        {"differs", "only-in-target", "other-problems", "take-away"},
        "Then verify again: python migrate.py --phase verify",
    ),
    "missing, after what was only there was taken away": (
        Situation(verify={"missing": 2}),
        DIFFERS,
        lambda run, code: after_phase(run, code, "verify", ENTITY_NAMES, tried=["--repair-extra"]),
        {"differs", "missing", "write-again"},
        "python migrate.py --phase verify --repair",
    ),
    "only there, and in use": (
        Situation(verify={"onlyInTarget": {"records": 1}}),
        DIFFERS,
        lambda run, code: after_phase(run, code, "verify", ENTITY_NAMES, tried=["--repair-extra"]),
        {"differs", "only-in-target", "correct-what-is-left"},
        "python migrate.py --phase verify",
    ),
    "only in the target": (
        Situation(verify={"onlyInTarget": {"records": 1, "lines": 3}}),
        DIFFERS,
        after_run,
        {"differs", "only-in-target", "take-away"},
        "Then verify again: python migrate.py --phase verify",
    ),
    "new tables": (
        Situation(load={"import": {"setting": "salesTable", "table": "Sales-2"}}),
        DONE,
        after_run,
        {"arrived", "new-tables"},
        "every record arrived.",
    ),
    "the last sale refused": (
        Situation(load={"heldNumbers": {"2999": 8, "1999": 3}}, refused=1),
        KEPT_OUT,
        after_run,
        {"arrived-but", "in-quarantine", "numbers-held"},
        "fix it in S9, then: python migrate.py retry-quarantine",
    ),
    "the last sale refused, and others not in the order of their numbers": (
        Situation(
            load={"heldNumbers": {"1999": 8}}, verify={"otherProblems": 1, "wrongNumbers": 1}
        ),
        DIFFERS,
        after_run,
        {"differs", "other-problems", "load-the-last-sale"},
        "python migrate.py retry-quarantine",
    ),
    "a check of the whole": (
        Situation(verify={"otherProblems": 1}),
        DIFFERS,
        by_hand("verify"),
        {"differs", "other-problems", "fix-the-cause"},
        "python migrate.py --phase verify",
    ),
    "all that S9 has": (
        Situation(),
        DONE,
        by_source,
        {"as-in-source"},
        "2026-01-02T03:04:05Z: the target holds everything",
    ),
    "S9 has changed": (
        Situation(verify={"changedInSource": 3}),
        DIFFERS,
        by_source,
        {"differs", "behind-source", "bring-up"},
        "python migrate.py --full",
    ),
}
_INSIDE = {each.name for each in OPENINGS} | {each.name for each in NOTES}


@pytest.fixture(autouse=True)
def as_called() -> None:
    invocation.set_up(["--full"], config=None, identity=None)
    invocation.goes_on_with("--resume")


def closings_in(text: str, code: ExitCode) -> set[str]:
    """The closings that a text has; openings only at the start of its last line."""
    last = text.rpartition("\n")[2]
    found = set()
    for each in CLOSINGS.values():
        if each in COMMANDS or code not in each.codes:
            continue
        if each in OPENINGS:
            is_there = re.fullmatch(each.pattern, last)
        elif each in NOTES:
            is_there = re.search(f"^{each.pattern}$", text, re.M)
        else:
            is_there = re.search(each.pattern, last)
        if is_there:
            found.add(each.name)
    if "write-again-and-take-away" in found:
        found.discard("write-again")  # with which it begins
    if "in-quarantine" in found:
        found.discard("held-in-quarantine")  # which is the same without what to type
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_situation_is_said_as_it_is(case: str, tmp_path: Path) -> None:
    situation, code, words, expected, end = CASES[case]
    text = words(situation.run(tmp_path), code)
    assert closings_in(text, code) == expected, text
    assert text.endswith(end), text
    if expected != {"arrived"} and "arrived" not in expected:
        assert "every record arrived" not in text


@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_is_of_the_same_making(case: str, tmp_path: Path) -> None:
    situation, code, words, _, _ = CASES[case]
    if code in (DONE, KEPT_OUT) and words is not after_demo:
        held_back = standing_of(situation.run(tmp_path).manifest).is_held_back
        assert (code is KEPT_OUT) == held_back


def test_every_closing_is_brought_about() -> None:
    brought = set().union(*(expected for _, _, _, expected, _ in CASES.values()))
    said_elsewhere = {each.name for each in COMMANDS} | {"in-use-by-now"}
    assert brought | said_elsewhere == set(CLOSINGS)


def test_who_sees_the_records_is_told_by_the_times_that_they_carry(tmp_path: Path) -> None:
    run = Situation(verify={"foreign": 4}).run(tmp_path)
    assert "after a full synchronisation" in after_run(run, DONE)
    nothing_new = Situation(load={"alreadyThere": 15}, verify={"foreign": 4}).run(tmp_path)
    assert "The tables are in use" not in after_run(nothing_new, DONE)
    assert "The tables are in use" not in after_run(Situation().run(tmp_path), DONE)


def test_what_is_only_in_the_target_is_named_by_kind_and_cause(tmp_path: Path) -> None:
    situation = Situation(verify={"onlyInTarget": {"records": 12, "lines": 1}}, refused=1)
    text = after_run(situation.run(tmp_path), DIFFERS)
    assert (
        "only in the target: 12 sales and 1 line (S9 no longer has them, or their records are in "
        "quarantine)" in text
    )
    assert "Write that again" not in text


def test_the_page_of_messages_is_what_is_declared() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), (
        "run: python -m tests.support.documents.messages_doc"
    )


_SAYS = ("said", "Ending")  # what a cut-over ends with is said by its command


def test_every_command_s_closing_is_said_and_no_other_is() -> None:
    names = set()
    for path in (ROOT / "migrate.py", *sorted((ROOT / "utils").rglob("*.py")), *_commands()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _SAYS:
                (first, *_) = node.args
                if isinstance(first, ast.Constant):
                    names.add(first.value)
    assert names <= set(CLOSINGS)
    assert {each.name for each in COMMANDS} <= names


def _commands() -> Iterator[Path]:
    for phase in ("load", "validate"):
        yield from sorted((ROOT / phase).rglob("*_command.py"))


def test_figures_have_their_commas() -> None:
    assert said("missing", count=12345) == "items missing: 12,345"
