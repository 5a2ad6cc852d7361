"""What no two records of an entity should share: keys, codes, VAT numbers, sale numbers.

Five million sales are compared in constant memory: what is to be compared goes to buckets on disk,
equal values into the same bucket, and one bucket is looked at at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import orjson

from utils.files.spill import Buckets
from validate.rules.catalogue import Note
from validate.rules.record_facts import Facts

_MESSAGES = {
    "duplicate-key": ("PK", "an earlier record has the same key (S9's key {other})"),
    "duplicate-code": ("code", "S9's record {other} has the same code"),
    "duplicate-vat-number": ("vatNumber", "S9's record {other} has the same VAT number"),
    "duplicate-sale-number": ("saleNumber", "S9's sale {other} has the same number in the year"),
}


class Duplicate(NamedTuple):
    """A record that shares a value with one before it; `ordinal` is its place in the file."""

    ordinal: int
    legacy_id: str
    note: Note
    value: str


def entries_of(facts: Sequence[Facts]) -> str:
    """What consecutive records should not share: a line for each value of each, in order, with the
    record's place among them and its key in S9 as `value TAB +place key`.

    Records with errors take no part: what they share with others goes away with them.
    """
    lines = []
    for place, (legacy_id, _, key, _, shared, _, _) in enumerate(facts):
        if key:
            lines.append(f"duplicate-key {key}\t+{place} {legacy_id}")
            for rule, value in shared:
                # As JSON, because a value may hold the tabs and line breaks of dirty data.
                lines.append(f"{rule} {orjson.dumps(value).decode()}\t+{place} {legacy_id}")
    return "\n".join(lines)


def without(entries: str, places: Collection[int]) -> str:
    """Such lines without those of some records."""
    lines = entries.split("\n") if entries else []
    return "\n".join([line for line in lines if _place(line) not in places])


def _place(line: str) -> int:
    return int(line.partition("\t")[2].partition(" ")[0])


class SharedValues:
    """Collects what records should not share, and tells which of them do."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def add(self, first: int, entries: str) -> None:
        """Take the entries of consecutive records; `first` is the place of the first in the
        file."""
        if entries:
            placed = entries.encode().replace(b"\t", b"\t%d" % first)
            self._buckets.add_lines(placed.split(b"\n"))

    def duplicates(self) -> Iterator[list[Duplicate]]:
        """The records that share something with an earlier one: lists, each in file order."""
        for bucket in self._buckets:
            if len(dict(bucket)) == len(bucket):
                continue
            owners: dict[bytes, bytes] = {}
            found = []
            for key, value in bucket:
                owner = owners.setdefault(key, value)
                if owner is not value:
                    found.append(_duplicate(key, value, owner))
            yield sorted(found)


def _duplicate(key: bytes, value: bytes, owner: bytes) -> Duplicate:
    place, _, legacy_id = value.decode().partition(" ")
    ordinal = sum(map(int, place.split("+")))
    rule, _, shared = key.decode().partition(" ")
    same: str = shared if rule == "duplicate-key" else orjson.loads(shared)
    field, message = _MESSAGES[rule]
    other = owner.decode().partition(" ")[2]
    return Duplicate(ordinal, legacy_id, Note(field, rule, message.format(other=other)), same)
