"""Checks: what is asked of a record of which every item conforms to its schema.

A rule is a name in the catalogue and a check that bears it. Whoever adds a rule adds both, the
check to the `CHECKS` of its file; then it is asked of every record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from validate.rules.catalogue import Note

Item = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A record as its lines in the transformed file, and as their items."""

    lines: Sequence[bytes]
    items: Sequence[Item]


@dataclass(frozen=True)
class Check:
    """`ask` gives what is to be noted about a record; its notes bear `rules` and no others.

    A check of `business` is asked only if the policy says so.
    """

    rules: frozenset[str]
    ask: Callable[[Record], Iterable[Note]]
    business: bool = False


def asked(checks: Iterable[Check], record: Record, *, business: bool) -> Iterator[Note]:
    """What checks note about a record; `business` says whether the business rules are asked for."""
    for check in checks:
        if business or not check.business:
            yield from check.ask(record)
