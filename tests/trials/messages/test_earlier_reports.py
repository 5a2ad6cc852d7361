"""No verdict of an earlier run stands as if it were of this one (trial C21)."""

from __future__ import annotations

import pytest

from tests.conftest import S9Database
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, small_trade

VERDICTS = ("mapping", "validation", "load", "verification")


def stands(operator: Operator, *names: str) -> set[str]:
    """Which of the reports there are."""
    reports = operator.data / "reports"
    return {name for name in names if (reports / f"{name}_report.json").exists()}


def test_a_run_that_stops_early_leaves_no_verdict_of_the_run_before(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    assert stands(alone, *VERDICTS) == set(VERDICTS)
    run_id = alone.report("verification")["runId"]
    s9.execute("ALTER TABLE msg_anag RENAME TO elsewhere")
    assert alone.run("--full").code == 1
    assert stands(alone, *VERDICTS) == set()
    assert alone.report("earlier_verification")["runId"] == run_id
    alone.run("clean", "--yes", "--unfinished").ended(0)
    assert (
        not list((alone.data / "reports").glob("*.json")) or not (alone.data / "reports").exists()
    )


def test_a_run_that_is_killed_leaves_none(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    tool = SabotagedOperator.like(alone)
    tool.configure(load={"onConflict": "overwrite"})
    s9.execute("UPDATE msg SET notes = 'changed', updated_at = '2025-01-01 00:00:00'")
    tool.killed("--full", phase="load", entity="sales", after=1)
    assert stands(alone, "verification") == set()
    alone.run("--resume").ended(0)
    assert alone.report("verification")["passed"]


@pytest.mark.parametrize(
    ("phase", "left"),
    [
        ("extract", set()),
        ("transform", {"mapping"}),
        ("validate", {"mapping", "validation"}),
        ("load", {"mapping", "validation", "load"}),
        ("verify", set(VERDICTS)),
    ],
)
def test_a_phase_by_hand_takes_back_what_was_said_of_it_and_what_follows(
    alone: Operator, s9: S9Database, phase: str, left: set[str]
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    alone.run("--phase", phase).ended(0)
    assert stands(alone, *VERDICTS) == left


def test_a_restore_takes_the_verdict_back(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    s9.execute("UPDATE msg SET notes = 'changed', updated_at = '2025-01-01 00:00:00'")
    alone.configure(load={"onConflict": "overwrite"})
    alone.run("--full").ended(0)
    (name,) = [each.name for each in sorted((alone.data / "backups").glob("*Sales*"))][-1:]
    alone.run("restore", name, "--yes").ended(0)
    assert stands(alone, "verification") == set()
    outcome = alone.run("--resume")
    assert "every record arrived" not in outcome.output or outcome.closing == "arrived"
