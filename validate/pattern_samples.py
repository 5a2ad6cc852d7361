"""Samples for the access patterns, taken in the one pass over a transformed file.

They are chosen by a hash of the key: spread over the file, and the same ones in every run. What
is kept does not grow with the file.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from zlib import crc32

import orjson

from utils.item_content import Item
from validate.target_keys import FileChunk, may_be_absent

SAMPLES = 20
GROUP = 100  # sales of one status, buyer or producer that are compared
_TIES = 1_000  # sales of a year's last day that are told apart

Key = tuple[bytes, bytes]  # PK and SK as JSON texts
Kept = TypeVar("Kept")


class Spread(Generic[Kept]):
    """Of any number of keys the few whose hash is lowest, and what is gathered under each.

    What is under a key is complete: the bar only falls, so a key that is kept in the end has
    been kept since it first came.
    """

    def __init__(self, new: Callable[[], Kept], size: int = SAMPLES) -> None:
        self._new = new
        self._size = size
        self._ranks: dict[str, int] = {}
        self._bar = 1 << 32
        self.kept: dict[str, Kept] = {}

    def under(self, key: str) -> Kept | None:
        """What is gathered under a key, None when the key is not kept."""
        known = self.kept.get(key)
        if known is not None:
            return known
        rank = crc32(key.encode("utf-8", "surrogatepass"))
        if rank >= self._bar:
            return None
        self._ranks[key] = rank
        self.kept[key] = self._new()
        if len(self.kept) > self._size:
            worst = max(self._ranks, key=self._ranks.__getitem__)
            del self._ranks[worst], self.kept[worst]
            self._bar = max(self._ranks.values())
        return self.kept.get(key)


@dataclass
class Earliest:
    """The sales of a group that are first by date, as (saleDate, PK), and how many there are."""

    total: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether the group is so small that all of it is here."""
        return self.total == len(self.first)

    def add(self, date: str, pk: str) -> None:
        self.total += 1
        if len(self.first) < GROUP:
            insort(self.first, (date, pk))
        elif (date, pk) < self.first[-1]:
            insort(self.first, (date, pk))
            self.first.pop()


@dataclass
class Latest:
    """The latest-dated sales of a year: their date, and the saleNumber of each PK (those beyond
    `_TIES` are only counted)."""

    date: str = ""
    numbers: dict[str, str] = field(default_factory=dict)
    more: int = 0

    def add(self, date: str, pk: str, number: str) -> None:
        if date < self.date:
            return
        if date > self.date:
            self.date, self.numbers, self.more = date, {}, 0
        if len(self.numbers) < _TIES:
            self.numbers[pk] = number
        else:
            self.more += 1


@dataclass
class Sample:
    """A record by its key, with the lines that belong to it."""

    item: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)


class Samples:
    """What the access patterns are replayed with, and what they must answer.

    `slice_keys` are the keys of one page of the table; the items that the file has under them
    are kept in `slice`.
    """

    def __init__(self, slice_keys: Set[Key]) -> None:
        self._slice_keys = slice_keys
        self.slice: dict[Key, Item] = {}
        self.records: Spread[Sample] = Spread(Sample)
        self.statuses: Spread[Earliest] = Spread(Earliest)
        self.buyers: Spread[Earliest] = Spread(Earliest)
        self.producers: Spread[Earliest] = Spread(Earliest)
        self.years: Spread[Latest] = Spread(Latest)

    def add(self, chunk: FileChunk, *, sales: bool) -> None:
        """Look at whole records of the file."""
        current: Sample | None = None
        columns = zip(chunk.lines, chunk.entries, chunk.sort_keys, chunk.records, strict=True)
        for line, entry, sk, record in columns:
            pk = entry[0]
            if may_be_absent(entry):
                continue
            if (pk, sk) in self._slice_keys:
                self.slice[(pk, sk)] = record or orjson.loads(line)["Item"]
            if record is not None:
                name = text_of(record, "PK")
                current = self.records.under(name)
                if current is not None:
                    current.item = dict(record)
                if sales:
                    self._add_sale(name, record)
            elif current is not None:
                current.lines.append(orjson.loads(line)["Item"])

    def _add_sale(self, pk: str, sale: Item) -> None:
        date = text_of(sale, "saleDate")
        for groups, attribute in (
            (self.statuses, "status"),
            (self.buyers, "buyerId"),
            (self.producers, "producerId"),
        ):
            group = groups.under(text_of(sale, attribute))
            if group is not None:
                group.add(date, pk)
        if "GSI4PK" in sale:  # else it is outside its year's numbering
            year = self.years.under(date[:4])
            if year is not None:
                year.add(date, pk, sale.get("saleNumber", {}).get("N", ""))


def text_of(item: Item, attribute: str) -> str:
    """A String attribute, "" when it is absent or no String."""
    text: str = item.get(attribute, {}).get("S", "")
    return text
