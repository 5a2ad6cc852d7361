"""What no two records of an entity should share: keys, codes, VAT numbers, sale numbers.

Five million sales are compared in constant memory: what is to be compared goes to buckets on disk
where a record is checked, equal values into the same bucket, and one bucket is looked at at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import orjson

from utils.entities import shape_of
from utils.files.spill import Keyed, Runs, Spill, read_buckets
from utils.findings.shown_values import shown
from utils.findings.source_names import SourceNames
from validate.gate.described import Items, described
from validate.gate.finding_spool import Located, read_places, spill_findings
from validate.gate.record_checks import Policy
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


def entries_of(facts: Sequence[Facts], first: int) -> Iterator[Keyed]:
    """What consecutive records of a part should not share: a line for each value of each, with the
    record's place in the part and its key in S9; `first` is the place of the first of them.

    Records with errors take no part: what they share with others goes away with them.
    """
    for place, (legacy_id, _, key, _, shared, _, _) in enumerate(facts, first):
        if key:
            record = f"\t{place} {legacy_id}".encode()
            value = f"duplicate-key {key}".encode()
            yield value, value + record
            for rule, text in shared:
                # As JSON, because a value may hold the tabs and line breaks of dirty data.
                value = rule.encode() + b" " + orjson.dumps(text)
                yield value, value + record


@dataclass(frozen=True)
class SharedPass:
    """Tells which records share what they should not, of what `parts` of a file have left in
    buckets. `firsts` has the place in the file of the first record of each part; `refused` the
    places of records of a part which have errors that were not known when it was checked: they take
    no part either. What is found goes below `scratch`."""

    parts: tuple[Runs, ...]
    firsts: tuple[int, ...]
    refused: Mapping[int, Path]
    policy: Policy
    entity: str
    scratch: Path

    def __call__(self, portion: Sequence[range]) -> list[Runs]:
        """What is found in some buckets: for each that has any, the findings in the order of the
        file, with the place of the record there (`findings_in`)."""
        found = []
        for numbers in portion:
            for bucket in zip(*(read_buckets(runs, numbers) for runs in self.parts), strict=True):
                if duplicates := sorted(self._duplicates(bucket)):
                    spill = Spill(self.scratch, count=1)
                    spill_findings(spill, map(self._finding, duplicates))
                    found.append(spill.finish())
        return found

    def _duplicates(self, bucket: Sequence[Sequence[bytes]]) -> Iterator[Duplicate]:
        """The records that share something with an earlier one, of a bucket's lines by parts."""
        values = [line[: line.index(b"\t")] for lines in bucket for line in lines]
        if len(set(values)) == len(values):
            return
        times = Counter(values)
        owners: dict[bytes, str] = {}
        for part, lines in enumerate(bucket):
            candidates = [line.partition(b"\t") for line in lines]
            candidates = [each for each in candidates if times[each[0]] > 1]
            refused = read_places(self.refused.get(part)) if candidates else ()
            for value, _, record in candidates:
                place, _, legacy_id = record.decode().partition(" ")
                if int(place) in refused:
                    continue
                if value in owners:
                    ordinal = self.firsts[part] + int(place)
                    yield _duplicate(ordinal, legacy_id, value, owners[value])
                else:
                    owners[value] = legacy_id

    def _finding(self, duplicate: Duplicate) -> Located:
        ordinal, legacy_id, note, value = duplicate
        names = self.policy.names or SourceNames(self.entity)
        found = described(legacy_id, note, names, strict=self.policy.strict, items=Items())
        if note.field not in ("PK", "saleNumber"):
            value = shown(value, shape_of(self.entity).schema, note.field)
        return Located(ordinal, replace(found, value=value))


def _duplicate(ordinal: int, legacy_id: str, value: bytes, other: str) -> Duplicate:
    rule, _, text = value.decode().partition(" ")
    same: str = text if rule == "duplicate-key" else orjson.loads(text)
    field, message = _MESSAGES[rule]
    return Duplicate(ordinal, legacy_id, Note(field, rule, message.format(other=other)), same)
