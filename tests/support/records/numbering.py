"""A model of the numbering: random sales of a few days, the rule in plain words, and the API.

The model looks at all sales of a year at once, where the tool streams. The API is asked in every
order in which sales of one date may come.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.support.records.content import content_of
from tests.support.records.rows import line_row, sale_row

Item = Mapping[str, Any]

DAYS = ("2024-11-05", "2024-11-10", "2024-12-31", "2025-01-01", "2025-01-02", "2025-06-30")
STATUSES = ("confermato",) * 5 + ("bozza", "pagato", "annullata", "proforma")
TOO_LONG = "x" * 1_200  # for the gate, not for the transform


@dataclass(frozen=True)
class Sold:
    """What the numbering needs to know of a sale, taken from its item."""

    key: str
    number: int
    date: str
    counts: bool
    in_index: bool

    @classmethod
    def of(cls, item: Item) -> Sold:
        date = item["saleDate"]["S"]
        counts = (
            item["status"]["S"] != "cancelled"
            and item.get("docType") != {"S": "proforma"}
            and item["year"]["N"] == date[:4]
        )
        number = int(item["saleNumber"]["N"])
        return cls(item["legacyId"]["S"], number, date, counts, "GSI4PK" in item)


def random_rows(chance: random.Random) -> list[dict[str, Any]]:
    """Rows of sales: few numbers and few days, so that all that may be equal is. Some are refused
    by the transform, some by the gate."""
    highest, days = chance.choice((2, 5, 50)), DAYS[: chance.randint(1, len(DAYS))]
    return [_row(key, chance, highest, days) for key in range(1, 1 + chance.randint(1, 14))]


def _row(key: int, chance: random.Random, highest: int, days: Sequence[str]) -> dict[str, Any]:
    day = chance.choice(days)
    return sale_row(
        first_id=key,
        sale_number=chance.randint(-1, highest),
        sale_date=day,
        year=chance.choice((None,) * 4 + (int(day[:4]), int(day[:4]) - 1)),
        status=chance.choice((*STATUSES, *STATUSES, "sospeso")),
        doc_type=chance.choice((None, "invoice", "proforma")),
        notes=TOO_LONG if chance.random() < 0.15 else None,
        lines=[line_row(key)],
    )


def headers(path: Path) -> list[Item]:
    """The METADATA items of a transformed file."""
    items = (orjson.loads(line)["Item"] for line in content_of(path).splitlines())
    return [item for item in items if item["SK"] == {"S": "METADATA"}]


def wrong_answers(items: Sequence[Item]) -> Iterator[str]:
    """Where the API would give another number than the year's highest and one, in whatever order
    it finds sales of one date."""
    sales = [Sold.of(item) for item in items]
    for year in {sale.date[:4] for sale in sales}:
        numbers = [sale.number for sale in sales if sale.counts and sale.date[:4] == year]
        index = [sale for sale in sales if sale.in_index and sale.date[:4] == year]
        latest = max((sale.date for sale in index), default="")
        answers = {sale.number + 1 for sale in index if sale.date == latest}
        if answers != ({max(numbers) + 1} if numbers else set()):
            yield f"{year}: {answers} after {sorted(numbers)}"


def misplaced(items: Sequence[Item]) -> Iterator[str]:
    """Sales that are in the index and should not be, or the reverse, by the rule's own words."""
    sales = [Sold.of(item) for item in items]
    for year in {sale.date[:4] for sale in sales}:
        candidates = [sale for sale in sales if sale.counts and sale.date[:4] == year]
        last = max(((sale.number, sale.date) for sale in candidates), default=(0, ""))
        for sale in sales:
            if sale.date[:4] != year or (sale.counts and (sale.number, sale.date) == last):
                continue  # of several at the top one is there: the answers tell
            if sale.in_index != (sale.counts and sale.date < last[1]):
                yield sale.key


def left_out(items: Sequence[Item]) -> set[str]:
    """The legacy ids of numbered sales that are not in the index."""
    return {
        item["legacyId"]["S"]
        for item in items
        if item["status"]["S"] != "cancelled"
        and item.get("docType") != {"S": "proforma"}
        and "GSI4PK" not in item
    }
