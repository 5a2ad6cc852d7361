"""What a verification has found of each record that is not as it is in S9: data/differences.

One file for each entity, one JSON object a line, in no particular order, and none left out:

    {"PK", "legacyId", "items": [{"SK", "how"}], "expected": {…} | null, "found": {…} | null}

`how` is what there is to say of an item:

    missing             S9 has it, the table has not
    different           the table has it with other content, and nobody has signed that
    extra               a migration wrote it, and S9 no longer has it, or it is in quarantine
    changed, deleted, added     by the application, since the load
    kept, kept-absent   the load has left the table as it was: with other content, without it
    refused             DynamoDB has not taken it (it is in quarantine)
    new-in-source, changed-in-source, removed-in-source     since the load: the table is as it was
                        loaded (a verification that has read S9 again)

`expected` is what S9 says of a record with amounts, `found` what the table says: the values by
which sales are added up (`Measures` in utils/entities.py), and how many `lines` there are. Keys,
names, dates and amounts: no personal data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from utils.files.artifacts import lines_of

MISSING, DIFFERENT, EXTRA = "missing", "different", "extra"
CHANGED, DELETED, ADDED = "changed", "deleted", "added"
KEPT, KEPT_ABSENT, REFUSED = "kept", "kept-absent", "refused"
NEW_IN_SOURCE, CHANGED_IN_SOURCE = "new-in-source", "changed-in-source"
REMOVED_IN_SOURCE = "removed-in-source"
DAMAGE = frozenset({MISSING, DIFFERENT})
BY_APPLICATION = frozenset({CHANGED, DELETED, ADDED})
BY_SOURCE = frozenset({NEW_IN_SOURCE, CHANGED_IN_SOURCE, REMOVED_IN_SOURCE})


@dataclass(frozen=True)
class ItemDifference:
    """An item (its SK; a text, or what DynamoDB JSON has in its place), and what is to be said of
    it."""

    sk: Any
    how: str


@dataclass(frozen=True)
class RecordDifference:
    """A record that is not as it is in S9. `legacy_id` is "" where nobody tells it."""

    pk: Any
    legacy_id: str
    items: tuple[ItemDifference, ...]
    expected: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """What there is to say of its items."""
        return frozenset(each.how for each in self.items)

    def as_line(self) -> bytes:
        """The record as a line of the file."""
        plain = {
            "PK": self.pk,
            "legacyId": self.legacy_id,
            "items": [{"SK": each.sk, "how": each.how} for each in self.items],
            "expected": self.expected,
            "found": self.found,
        }
        return orjson.dumps(plain) + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> RecordDifference:
        """The record of a line."""
        plain = orjson.loads(line)
        items = tuple(ItemDifference(each["SK"], each["how"]) for each in plain["items"])
        return cls(plain["PK"], plain["legacyId"], items, plain["expected"], plain["found"])


def read_differences(path: Path) -> Iterator[RecordDifference]:
    """The records of a file, none where there is none; in constant memory."""
    if path.exists():
        yield from map(RecordDifference.of_line, lines_of(path))


def rewritten(path: Path, others: Mapping[tuple[Any, Any], str]) -> Iterator[bytes]:
    """The lines of a file, with `others` to be said of the items with these keys (PK, SK)."""
    keys = {orjson.dumps(pk) for pk, _ in others}
    for line in lines_of(path):
        if not any(key in line for key in keys):
            yield line
            continue
        record = RecordDifference.of_line(line)
        items = tuple(
            replace(each, how=others.get((record.pk, each.sk), each.how)) for each in record.items
        )
        yield replace(record, items=items).as_line()


def lines_of_records(records: Iterable[RecordDifference]) -> bytes:
    """Records as the lines of a file."""
    return b"".join(record.as_line() for record in records)
