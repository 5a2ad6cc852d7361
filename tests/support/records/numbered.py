"""Whether the numbering of a migration is what the API would give."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson

from tests.support.records.extracted import run_over
from tests.support.records.numbering import headers, left_out, misplaced, random_rows, wrong_answers
from tests.support.records.rows import buyer_row, producer_row
from transform import engine
from utils.run.run import Run
from validate.validate_data import validate

Row = dict[str, Any]


def extracted(root: Path, sales: Sequence[Row], processes: int = 1) -> AbstractContextManager[Run]:
    """A run that has extracted these sales and their two parties."""
    rows = {"buyers": [buyer_row()], "producers": [producer_row()], "sales": sales}
    return run_over(root, rows, processes)


def transformed(run: Run) -> list[Any]:
    for entity in ("buyers", "producers", "sales"):
        engine.transform(run, entity)
    return headers(run.workspace.transformed("sales"))


def found(run: Run, rule: str) -> set[str]:
    """The legacy ids of the sales that the gate names by a rule."""
    report = orjson.loads(run.workspace.report("validation").read_bytes())
    return {each["legacyId"] for each in report["findings"] if each["rule"] == rule}


def check(root: Path, seed: int, processes: int = 1) -> None:
    """One random file of sales, as it leaves the transform and as it leaves the gate."""
    rows = random_rows(random.Random(seed))
    with extracted(root, rows, processes) as run:
        items = transformed(run)
        assert [*wrong_answers(items), *misplaced(items)] == [], f"seed {seed}"
        validate(run)
        items = headers(run.workspace.transformed("sales"))
        assert [*wrong_answers(items), *misplaced(items)] == [], f"seed {seed}, after the gate"
        assert found(run, "numbering-index") == set(), f"seed {seed}"
        assert found(run, "numbering-order") == left_out(items), f"seed {seed}"
