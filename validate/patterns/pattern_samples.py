"""Samples for the access patterns, taken in the one pass over a transformed file.

They are chosen by a hash of the key: spread over the file, and the same ones in every run. What
is kept does not grow with the file. Parts of the file give samples of their own, which become
those of the file when they are put together in the order of the parts.

How many there are of each kind says `SampleSize`. Where it says every one, records are not kept
here, because they can be read from the file again; what names others is on disk then.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import chain, islice
from math import sqrt
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from zlib import crc32

import orjson

from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import Attributes, start_of, texts_of
from utils.dynamodb.item_text import text_of as json_text_of
from utils.entities import shape_of
from utils.files.spill import Spill, SpillFile, ranges, read_buckets
from validate.compare.file_records import FileRecord

SAMPLES = 20  # where nobody says how many; the numbers of a year, and the groups by a word
_TOGETHER = 128  # sales of a year that are looked at together
SAMPLE_BYTES = 32 << 20  # of the file that are kept at most as samples of records
GROUP = 100  # records of one group (sales of a status, of a buyer, …) that are compared
# By what indexes list the records of an entity, besides by what these name.
GROUPED: Mapping[str, tuple[str, ...]] = {"sales": ("status",)}
_NUMBER, _STATUS = start_of("saleNumber", "N"), start_of("status")
_DOCUMENT, _YEAR, _UPDATED = start_of("docType"), start_of("year", "N"), start_of("updatedAt")

Key = tuple[bytes, bytes]  # PK and SK as JSON texts


class Gathered(Protocol):
    """What is gathered under a key."""

    def extend(self, later: Any) -> None:
        """Append what was gathered further on in the file."""


Kept = TypeVar("Kept", bound=Gathered)
Rank = tuple[int, str]
_HASHES = 1 << 32


@dataclass(frozen=True)
class SampleSize:
    """At most so many of each kind are asked for, None: every one. `known` says how many records
    there are of an entity, where that is known."""

    most: int | None = SAMPLES
    known: Mapping[str, int] = field(default_factory=dict)

    def bar(self, entity: str) -> int:
        """Hashes below this are of the sample, and of some more: of as many as are needed so that
        hardly ever one is wanting."""
        known = self.known.get(entity, 0)
        if self.most is None or known <= self.most:
            return _HASHES
        share = (self.most + 6 * sqrt(self.most) + 10) / known
        return min(_HASHES, int(share * _HASHES))


class Spread(Generic[Kept]):
    """Of any number of keys the few whose hash is lowest, and what is gathered under each.

    What is under a key is complete: the bar only falls, so a key that is kept in the end has
    been kept since it first came, in every part of the file.
    """

    def __init__(self, new: Callable[[], Kept], size: int = SAMPLES, *, bar: int = _HASHES) -> None:
        """Hashes from `bar` on are not looked at."""
        self._new = new
        self._size = size
        self._ranks: dict[str, Rank] = {}
        self._bar: Rank = (bar, "")
        self.kept: dict[str, Kept] = {}

    def under(self, key: str) -> Kept | None:
        """What is gathered under a key, None when the key is not kept."""
        known = self.kept.get(key)
        if known is not None:
            return known
        number = crc32(key.encode("utf-8", "surrogatepass"))
        if number > self._bar[0]:
            return None
        rank = number, key
        if rank >= self._bar:
            return None
        self._ranks[key] = rank
        self.kept[key] = self._new()
        if len(self.kept) > self._size:
            self.shrink()
        return self.kept.get(key)

    def may_keep(self, key: bytes) -> bool:
        """Whether a key, given as a JSON text, may be kept: told without being read."""
        return b"\\" in key or crc32(key[1:-1]) <= self._bar[0]

    def shrink(self) -> None:
        """Keep one less."""
        worst = max(self._ranks, key=self._ranks.__getitem__)
        self._bar = self._ranks.pop(worst)
        del self.kept[worst]

    def extend(self, later: Spread[Kept]) -> None:
        """Take what was gathered further on in the file."""
        for key, gathered in later.kept.items():
            mine = self.under(key)
            if mine is not None:
                mine.extend(gathered)


@dataclass
class Earliest:
    """The records of a group that are first by date, as (date, PK), and how many there are."""

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

    def extend(self, later: Earliest) -> None:
        self.total += later.total
        self.first = sorted(self.first + later.first)[:GROUP]

    def as_line(self) -> bytes:
        """The group as a text without a line break or a tab."""
        return orjson.dumps([self.total, self.first])

    @classmethod
    def of_line(cls, line: bytes) -> Earliest:
        total, first = orjson.loads(line)
        return cls(total, [(date, pk) for date, pk in first])


class Groups:
    """The records of an entity by one that they name: of each that is named, those that are first
    by date. On disk from `finish` on, where keys are JSON texts."""

    def __init__(self, entity: str, size: SampleSize) -> None:
        """`entity` is that of the named."""
        self._most = size.most
        self._bar = size.bar(entity)
        self._known = size.known.get(entity)
        self._ranks: set[tuple[int, bytes]] = set()
        self._is_cut = False
        self.kept: dict[bytes, Earliest] = {}
        self.runs: tuple[SpillFile, ...] = ()

    def under(self, key: bytes) -> Earliest | None:
        """The group of a key, None when it is not kept."""
        group = self.kept.get(key)
        if group is None:
            number = crc32(key)
            if number >= self._bar:
                self._is_cut = True
                return None
            group = self.kept[key] = Earliest()
            if self._most is not None:
                self._ranks.add((number, key))
                self._cut(self._most)
        return self.kept.get(key)

    def _cut(self, most: int) -> None:
        """Drop those that are not going to be asked for, if they are many."""
        if len(self._ranks) <= 2 * most:
            return
        ranks = sorted(self._ranks)
        self._ranks, self._is_cut = set(ranks[:most]), True
        self._bar = ranks[most][0]
        for _, key in ranks[most:]:
            self.kept.pop(key, None)

    def finish(self, scratch: Path) -> None:
        """Put the groups on disk, below a directory."""
        spill = Spill(scratch)
        spill.add((key, b"%b\t%b" % (key, each.as_line())) for key, each in self.kept.items())
        self.kept, self.runs = {}, spill.finish()

    def extend(self, later: Groups) -> None:
        """Take what was gathered further on in the file."""
        for key, group in later.kept.items():
            self.kept.setdefault(key, Earliest()).extend(group)
        self.runs += later.runs
        self._is_cut |= later._is_cut
        self._ranks |= later._ranks
        if self._most is not None:
            self._cut(self._most)

    @property
    def count(self) -> int | None:
        """How many groups are asked for; None: every one, which nobody has counted."""
        return None if self._most is None else min(self._most, len(self._ranks))

    @property
    def population(self) -> int | None:
        """How many may be named: those that are, where all of them are asked for."""
        if self._most is None or (not self._is_cut and len(self._ranks) <= self._most):
            return 0
        return self._known

    def __iter__(self) -> Iterator[tuple[str, Earliest]]:
        """The groups that are asked for, a bucket of them in memory."""
        chosen: Set[bytes] | None = None
        if self._most is not None:
            chosen = {key for _, key in sorted(self._ranks)[: self._most]}
        for groups in chain([self.kept], self._buckets()):
            for key, group in groups.items():
                if chosen is None or key in chosen:
                    yield orjson.loads(key), group

    def _buckets(self) -> Iterator[dict[bytes, Earliest]]:
        for numbers in ranges(self.runs):
            for lines in read_buckets(self.runs, numbers):
                groups: dict[bytes, Earliest] = {}
                for line in lines:
                    key, _, text = line.partition(b"\t")
                    groups.setdefault(key, Earliest()).extend(Earliest.of_line(text))
                yield groups


class Numbered(NamedTuple):
    """A sale by its number in its year, with PK and updatedAt."""

    number: int
    pk: str
    updated_at: str


@dataclass
class Highest:
    """The sales with the highest numbers of a year, the highest first; none where no sale that is
    dated in the year is numbered in it."""

    sales: list[Numbered] = field(default_factory=list)

    def is_above(self, number: int) -> bool:
        """Whether there is no place any more for a number."""
        return len(self.sales) == SAMPLES and number < self.sales[-1].number

    def add(self, sale: Numbered) -> None:
        if self.sales and sale > self.sales[0]:  # as they come in most files
            self.sales.insert(0, sale)
            del self.sales[SAMPLES:]
        else:
            self.extend(Highest([sale]))

    def extend(self, later: Highest) -> None:
        if len(self.sales) < SAMPLES or later.sales[:1] > self.sales[-1:]:
            self.sales = sorted(self.sales + later.sales, reverse=True)[:SAMPLES]


@dataclass
class Sample:
    """A record by its key, with the lines that belong to it, as the lines of the file; most
    samples of a part are none of the whole, so they are parsed when they are needed."""

    head: bytes = b'{"Item":{}}'
    rest: list[bytes] = field(default_factory=list)
    whole: bool = True  # the load has left none of its items as the table has it

    @property
    def size(self) -> int:
        return len(self.head) + sum(map(len, self.rest))

    @property
    def item(self) -> Item:
        return _item_of(self.head)

    @property
    def lines(self) -> Iterator[Item]:
        return map(_item_of, self.rest)

    def extend(self, later: Sample) -> None:
        self.head = later.head
        self.rest += later.rest
        self.whole = self.whole and later.whole


MOST_LEFT = 200_000
_SOME = SampleSize()


def pk_of(record: FileRecord) -> str | None:
    """The PK of a record that can be asked for."""
    if not record.head or not record.pk.startswith(b'"'):
        return None
    return _said(record.pk)


def sample_of(record: FileRecord) -> Sample:
    """A record as a sample."""
    return Sample(record.lines[0], record.lines[1:], whole=not record.kept)


class Samples:
    """What the access patterns are replayed with, and what they must answer.

    `entity` is that of the file, `groups` has its records by the attributes by which indexes list
    them, `named` those by the attributes that name others. `total` are the records that may be
    asked for, of which `records` has some: none, where every one is.

    `slice_keys` are the keys of one page of the table; the items that the file has under them
    are kept in `slice`. `left` are the PKs of records that the load has left as the table has
    them, that the application has changed since, or that only the table has: like those of the
    application, they are nothing to expect an answer of. There are at most `MOST_LEFT` of them.
    `years` has every year in which a sale is dated.
    """

    def __init__(self, entity: str, slice_keys: Set[Key], size: SampleSize = _SOME) -> None:
        shape = shape_of(entity)
        self.size = size
        self.total = 0
        self._is_numbered = shape.numbered
        self._date = start_of(shape.sorted_by) if shape.sorted_by else b""
        self.groups = {name: Spread(Earliest) for name in GROUPED.get(entity, ())}
        self.named = {each.attribute: Groups(each.entity, size) for each in shape.references}
        starts = [*map(start_of, (*self.groups, *self.named)), self._date, _NUMBER]
        self._starts = sorted(filter(None, starts))
        self._groups_at = [self._starts.index(start_of(name)) for name in self.groups]
        self._named_at = [self._starts.index(start_of(name)) for name in self.named]
        self._date_at = self._starts.index(self._date) if self._date else None
        self._number_at = self._starts.index(_NUMBER)
        self._slice_keys = slice_keys
        self._slice_pks = frozenset(pk for pk, _ in slice_keys)
        self.slice: dict[Key, Item] = {}
        self.left: set[str] = set()
        self.records: Spread[Sample] = Spread(Sample, size.most or 0, bar=size.bar(entity))
        self._bytes = 0
        self._years: dict[str, Highest] = {}
        # Sales that may be among the highest of a year: mostly each is higher than those before.
        self._higher: dict[str, list[tuple[int, str, Attributes]]] = {}

    @property
    def years(self) -> dict[str, Highest]:
        """The highest numbers of each year."""
        self._add_all_higher()
        return self._years

    def add(self, record: FileRecord) -> None:
        """Look at a record of the file."""
        if record.refused:
            return
        if record.pk in self._slice_pks:
            self._add_to_slice(record)
        pk = pk_of(record)
        if pk is None:
            return
        texts = texts_of(record.head, self._starts)
        date = "" if self._date_at is None else _said(texts[self._date_at])
        if self._is_numbered:
            self._add_number(pk, record.head, date, _said(texts[self._number_at]))
        if record.is_kept:
            if len(self.left) < MOST_LEFT:
                self.left.add(pk)
            return
        self.total += 1
        if (
            self.size.most
            and self.records.may_keep(record.pk)
            and (sample := self.records.under(pk)) is not None
        ):
            sample.extend(sample_of(record))
            self._keep_small(sample.size)
        for place, groups in zip(self._groups_at, self.groups.values(), strict=True):
            group = groups.under(_said(texts[place]))
            if group is not None:
                group.add(date, pk)
        for place, named in zip(self._named_at, self.named.values(), strict=True):
            group = named.under(texts[place] or b'""')
            if group is not None:
                group.add(date, pk)

    def _keep_small(self, more: int) -> None:
        """No more bytes of the file are held than there is room for, if a sample is smaller for
        it."""
        self._bytes += more
        if self._bytes > SAMPLE_BYTES:
            self._bytes = sum(sample.size for sample in self.records.kept.values())
        while self._bytes > SAMPLE_BYTES and self.records.kept:
            self.records.shrink()
            self._bytes = sum(sample.size for sample in self.records.kept.values())

    def finish(self, scratch: Path) -> Samples:
        """Put what may be much on disk, below a directory."""
        self._add_all_higher()
        for groups in self.named.values():
            groups.finish(scratch)
        return self

    def _add_to_slice(self, record: FileRecord) -> None:
        for sk, line in zip(record.sort_keys, record.lines, strict=True):
            if (record.pk, sk) in self._slice_keys and sk not in record.kept:
                self.slice[(record.pk, sk)] = _item_of(line)

    def _add_number(self, pk: str, sale: Attributes, date: str, number: str) -> None:
        """Whether it is in the index or not, a sale's number must not be given again."""
        year = date[:4]
        highest = self._years.get(year)
        if highest is None:
            highest = self._years[year] = Highest()
        if not number or not year.isdigit() or highest.is_above(int(number)):
            return
        higher = self._higher.setdefault(year, [])
        higher.append((int(number), pk, sale))
        if len(higher) == _TOGETHER:
            self._add_higher(year)

    def _add_all_higher(self) -> None:
        for year in [*self._higher]:
            self._add_higher(year)

    def _add_higher(self, year: str) -> None:
        """Of the sales that have come last, those that are among the highest of their year: the
        others need not be looked at."""
        highest, higher = self._years[year], self._higher.pop(year)
        for number, pk, sale in sorted(higher, key=itemgetter(0), reverse=True):
            if highest.is_above(number):
                break
            if _is_numbered_in(year, sale):
                highest.add(Numbered(number, pk, _text(sale, _UPDATED)))

    def leave(self, pks: Collection[bytes]) -> None:
        """Expect no answer of these records either (their PKs are JSON texts)."""
        names = [name for pk in pks if isinstance(name := orjson.loads(pk), str)]
        for name in names:
            self.records.kept.pop(name, None)
        self.left.update(names[: max(0, MOST_LEFT - len(self.left))])
        touched = set(pks)
        self.slice = {key: item for key, item in self.slice.items() if key[0] not in touched}

    def ask_for_years(self, years: Iterable[str]) -> None:
        """Ask for the numbers of these years as well, in which the table has sales."""
        for year in years:
            if len(year) == len("2024") and year.isdecimal():
                self.years.setdefault(year, Highest())

    def extend(self, later: Samples) -> None:
        """Take the samples of the part of the file that follows."""
        self.left.update(islice(later.left, MOST_LEFT - len(self.left)))
        self.slice.update(later.slice)
        self.total += later.total
        self.records.extend(later.records)
        self._keep_small(sum(sample.size for sample in later.records.kept.values()))
        for name, groups in self.groups.items():
            groups.extend(later.groups[name])
        for name, named in self.named.items():
            named.extend(later.named[name])
        for year, highest in later.years.items():
            self.years.setdefault(year, Highest()).extend(highest)


def _is_numbered_in(year: str, sale: Attributes) -> bool:
    """Whether a sale that is dated in a year has a number of that year."""
    if _text(sale, _STATUS) == "cancelled" or _text(sale, _DOCUMENT) == "proforma":
        return False
    return int(_text(sale, _YEAR) or year) == int(year)


def _item_of(line: bytes) -> Item:
    item: Item = orjson.loads(line)["Item"]
    return item


def text_of(item: Item, attribute: str) -> str:
    """A String attribute, "" when it is absent or no String."""
    text: str = item.get(attribute, {}).get("S", "")
    return text


def _text(attributes: Attributes, start: bytes) -> str:
    return _said(json_text_of(attributes, start))


def _said(text: bytes) -> str:
    """What a JSON text says that is a string; "" where there is none."""
    value: str = text[1:-1].decode() if b"\\" not in text else orjson.loads(text)
    return value
