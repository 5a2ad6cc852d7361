"""Write units by partition key, in constant memory: which keys of a table or an index are hot.

One partition takes 1,000 write units a second, hard, and all items under one partition key value
of an index are in as few partitions as it has values ("Partitions and data distribution", DynamoDB
developer guide). So the hottest key says how fast a load can be at the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TypeVar

HOTTEST = 3  # keys that are named
_MOST_KEYS = 50_000

Key = TypeVar("Key", str, bytes)


@dataclass(frozen=True)
class HotKey:
    """A value of a partition key, the write units that go to it, and which share of those of its
    table or index that is (0 to 1)."""

    key: str
    units: int
    share: float


@dataclass
class KeyUnits:
    """Write units by partition key. Of many more than `most` keys the least are forgotten: what is
    said of a key may then be too much, by `unsure` units at the most, which is less than the
    `most`-th part of all (J. Misra and D. Gries, "Finding repeated elements", 1982)."""

    most: int = _MOST_KEYS
    units: Counter[str] = field(default_factory=Counter)
    unsure: int = 0

    def add(self, other: Mapping[str, int]) -> None:
        """Add units by key."""
        self.units.update(other)
        if len(self.units) > 2 * self.most:
            self._forget()

    def _forget(self) -> None:
        """Keep the `most` keys with the most units, each less what the next one has."""
        ranked = nlargest(self.most + 1, self.units.values())
        least = ranked[-1]
        self.units = Counter({key: n - least for key, n in self.units.items() if n > least})
        self.unsure += least

    def hottest(self, total: int, count: int = HOTTEST) -> tuple[HotKey, ...]:
        """The keys with the most units, of `total` in all; hottest first, equal ones by name."""
        found = sorted(self.units.items(), key=lambda each: (-each[1], each[0]))[:count]
        return tuple(HotKey(key, n + self.unsure, (n + self.unsure) / total) for key, n in found)


@dataclass
class RecordUnits:
    """Write units of records, of which only the largest matter: each is told once, whole."""

    units: dict[str, int] = field(default_factory=dict)

    def add(self, others: Mapping[str, int]) -> None:
        """Add records by their partition keys."""
        self.units = self.largest({**self.units, **others})

    def hottest(self, total: int) -> tuple[HotKey, ...]:
        """The records with the most units, of `total` in all."""
        return tuple(HotKey(key, n, n / total) for key, n in self.units.items())

    @staticmethod
    def largest(units: Mapping[Key, int]) -> dict[Key, int]:
        """Those of which as many are kept as are named."""
        return dict(sorted(units.items(), key=lambda each: (-each[1], each[0]))[:HOTTEST])
