"""A plan on the screen: figures that belong together do not contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from utils.cli.plan_text import last_line, plan_text

_BYTES = {"total": 900, "average": 300.0, "percentile95": 400, "largest": 400}


def plan(on_conflict: str = "fail", *, exists: bool = True, **foreseen: int) -> dict[str, Any]:
    """A plan for one table with three items of S9; `foreseen` is what becomes of them."""
    counts = {"new": 0, "alreadyThere": 1, "replaced": 0, "kept": 0, "conflicts": 2, **foreseen}
    table = {"exists": exists, "now": 3, "onlyInTarget": {}, **counts}
    load = {
        "table": "Buyers",
        "items": 3,
        "bytes": _BYTES,
        "replaced": counts["replaced"],
        "writeUnits": 9,
        "replacingWriteUnits": {"least": 6, "most": 10},
        "readUnits": {"total": 2},
        "ofTable": {"writeUnits": 3, "hottest": [], "hottestSeconds": 0},
        "ofIndexes": [],
    }
    return {
        "onConflict": on_conflict,
        "extrapolated": None,
        "tables": {"buyers": table},
        "forecast": {"tables": {"buyers": load}, "sentences": ["9 write units"]},
        "verdict": {"exitCode": 5, "meaning": "it is done, with records in quarantine"},
        "toDo": [],
    }


def test_with_conflicts_to_settle_the_figures_of_the_load_say_that_they_are_of_all_items() -> None:
    told = "As if the tables held none of it, since the conflicts are still to be settled:"
    assert told in plan_text(plan())
    assert told not in plan_text(plan(conflicts=0))
    assert told not in plan_text(plan("skip"))


def test_what_is_replaced_is_not_forgotten() -> None:
    assert "Besides, 2 items to be replaced: 6 to 10 write units" in plan_text(
        plan("overwrite", replaced=2)
    )
    assert "Besides" not in plan_text(plan("skip"))


def test_a_rehearsal_does_not_say_what_it_has_not_looked_at() -> None:
    found = {"where": "here", "items": {"buyers": 3}, "passed": True}
    shown = plan_text({**plan(exists=False), "rehearsal": found})
    assert "not looked at" in shown
    assert "to be created" not in shown


@pytest.mark.parametrize(
    ("reasons", "ends"),
    [
        (", but 4 records are in q", "exit code 5: it is done, but 4 records are in q. "),
        ("", "exit code 5: it is done, with records in quarantine. "),
    ],
)
def test_why_not_all_of_s9_arrives_is_said_once(reasons: str, ends: str) -> None:
    assert ends in last_line(plan(), reasons)


def test_the_second_line_of_a_remedy_stands_below_its_first() -> None:
    entry = {"what": "a run has stopped", "remedy": "resume it\nor start over", "exitCode": 2}
    assert "     What to do: resume it\n       or start over" in plan_text(
        {**plan(), "toDo": [entry]}
    )
