"""The rows of a reconciliation come to the same, whoever puts which of them together."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from utils.entities import shape_of
from utils.files.spill import BUCKETS
from utils.sums.source_sums import measures_of
from validate.reconciliation.passes import AddedUp, AddingPass
from validate.reconciliation.rows import DAMAGE, S9, TARGET, RowKey, Rows
from validate.sums.figures import Figures

SALES = shape_of("sales")
AMOUNTS = len(measures_of(SALES).amounts)
PARTIES, DAMAGED = 300, 17


def figures(amount: int) -> Figures:
    return Figures(1, 3, (Decimal(amount),) * AMOUNTS, (0,) * AMOUNTS)


def gathered(scratch: Path, gatherers: int) -> Rows:
    """The same rows, each in parts that any of several have gathered."""
    chance = random.Random(5)
    rows = [Rows(scratch, SALES) for _ in range(gatherers)]
    for number in range(PARTIES):
        key = RowKey("buyer", f"B{number % 7}-{number}", "EUR" if number % 5 else "USD")
        for _ in range(3):
            rows[chance.randrange(gatherers)].add(key, S9, figures(number), s9_key=str(number))
            found = figures(number + (number == DAMAGED))
            rows[chance.randrange(gatherers)].add(key, TARGET, found)
        if number == DAMAGED:
            extra = Figures(0, 0, (Decimal(3),) * AMOUNTS, (0,) * AMOUNTS)
            rows[0].add(key, DAMAGE, extra)
            rows[0].name(key, "4711")
    for other in rows[1:]:
        rows[0].take(other.finish())
    return rows[0]


def added_up(scratch: Path, gatherers: int, pieces: int) -> dict[str, Any]:
    work = AddingPass(gathered(scratch, gatherers).finish(), "sales", scratch)
    whole = AddedUp()
    bounds = [BUCKETS * number // pieces for number in range(pieces + 1)]
    for start, end in pairwise(bounds):
        whole.add(work(range(start, end)))
    lines = [(each.key, each.is_plain, each.table, each.row) for each in whole.in_order()]
    totals = {key: (each.at, each.whole) for key, each in whole.totals.items()}
    return {
        "lines": lines,
        "totals": totals,
        "differing": (whole.differing, whole.first),
        "unexplained": (whole.is_unexplained, whole.differs_unexplained),
    }


def test_it_does_not_matter_in_how_many_pieces(tmp_path: Path) -> None:
    alone = added_up(tmp_path, 1, 1)
    for gatherers, pieces in ((1, 7), (3, 1), (4, BUCKETS)):
        assert added_up(tmp_path, gatherers, pieces) == alone


def test_rows_come_in_order_and_what_is_to_be_said_of_one_is_marked(tmp_path: Path) -> None:
    found = added_up(tmp_path, 2, 5)
    keys = [row.key for _, _, _, row in found["lines"]]
    assert keys == [str(number) for number in range(PARTIES)]
    said = [row for _, is_plain, _, row in found["lines"] if not is_plain]
    assert [(row.key, row.sales) for row in said] == [(str(DAMAGED), ["4711"])]
    assert found["differing"][0] == 1
    assert found["differing"][1][2] == said[0]
    assert found["unexplained"] == (False, False)
    euros = found["totals"]["buyer", RowKey("", None, "EUR").as_text()][1]
    assert euros.columns[S9].records == 3 * sum(1 for n in range(PARTIES) if n % 5)
    table = found["lines"][DAMAGED][2]
    assert table.endswith("\r\n")
    assert table.count("\r\n") == 2 + AMOUNTS
    assert ";4711\r\n" in table
