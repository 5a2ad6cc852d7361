"""Transformed records that add up, for those who look whether they still do."""

from __future__ import annotations

from tests.support.application.sale_module import amounts, sums
from tests.support.records.transformed import Item, party, sale


def two_parties() -> dict[str, list[list[Item]]]:
    """Two buyers and two producers."""
    return {
        "buyers": [[party("buyer", 1)], [party("buyer", 2)]],
        "producers": [[party("producer", 1)], [party("producer", 2)]],
    }


def sale_of(number: int, *, buyer: int = 1, lines: int = 1, cents: int = 1050) -> list[Item]:
    """A sale of a buyer and of the producer with the same number, with so many lines that cost
    about as much."""
    header, *parts = sale(number, buyer=buyer, producer=buyer, lines=lines)
    added = [part | amounts(cents + place) for place, part in enumerate(parts)]
    return [header | sums(added), *added]
