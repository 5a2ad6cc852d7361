"""What no two records of an entity should share: keys, codes, VAT numbers, sale numbers.

Five million sales are compared in constant memory: what is to be compared goes to buckets on disk,
equal values into the same bucket, and one bucket is looked at at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class SharedValues:
    """Collects what records should not share, and tells which of them do."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def add(self, first: int, facts: Sequence[Facts]) -> None:
        """Take the facts of consecutive records; `first` is the place of the first in the file.

        Records with errors take no part: what they share with others goes away with them.
        """
        self._buckets.add(self._entries(first, facts))

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

    @staticmethod
    def _entries(first: int, facts: Sequence[Facts]) -> list[tuple[bytes, bytes]]:
        entries = []
        for ordinal, (legacy_id, _, key, _, shared, _) in enumerate(facts, start=first):
            if key:
                owner = b"%d %b" % (ordinal, legacy_id.encode())
                entries.append((b"duplicate-key %b" % key.encode(), owner))
                for rule, value in shared:
                    # As JSON, because a value may hold the tabs and line breaks of dirty data.
                    entries.append((b"%b %b" % (rule.encode(), orjson.dumps(value)), owner))
        return entries


def _duplicate(key: bytes, value: bytes, owner: bytes) -> Duplicate:
    ordinal, _, legacy_id = value.decode().partition(" ")
    rule, _, shared = key.decode().partition(" ")
    same: str = shared if rule == "duplicate-key" else orjson.loads(shared)
    field, message = _MESSAGES[rule]
    other = owner.decode().partition(" ")[2]
    return Duplicate(int(ordinal), legacy_id, Note(field, rule, message.format(other=other)), same)
