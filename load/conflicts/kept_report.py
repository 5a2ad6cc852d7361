"""conflicts_report.json as it turned out: with what the load has kept though it was to be written.

The survey lists what is in conflict before the first write. A record of which the application has
changed something since is kept all the same, and only the plan knows it. So when the load of an
entity is complete, and more is kept than the survey has listed, the report is written once more:
report and plan go in the order of the transformed file, and a record of which something is kept
without being listed so is looked at in the table, and listed as it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from load.conflicts.policy import Authors, LineStanding, newer, rest_of
from load.conflicts.report import Entry, ReportFile, entries_of, entry_of
from load.writing.batches import record_key
from load.writing.conditional_writer import ConditionalWriter, text_key
from utils.dynamodb.item_content import Item, is_same, updated_at
from utils.files.line_marks import CONFLICT, KEPT_MARKS, NEW, SAME
from utils.run.run import Run

Line = tuple[int, bytes, int]  # its place in the file, its text, its mark
_KEEP = "keep"


@dataclass(frozen=True)
class KeptSince:
    """Lists the records of one entity that were kept after the survey."""

    run: Run
    entity: str
    writer: ConditionalWriter
    authors: Authors

    def rewrite(self, records: Iterable[Sequence[Line]]) -> None:
        """Write the report once more; `records` are those of the transformed file, with the marks
        of a load that is complete. Raises TargetError and StorageError."""
        with ReportFile(self.run) as report:
            for entry in self._entries(records):
                report.write(entry)
            report.complete()

    def _entries(self, records: Iterable[Sequence[Line]]) -> Iterator[Entry]:
        listed, seen = entries_of(self.run.workspace.report("conflicts")), False
        for entity, entries in groupby(listed, key=itemgetter("entity")):
            if entity == self.entity and not seen:
                seen = True
                yield from self._as_it_is(entries, records)
            else:
                yield from entries
        if not seen:
            yield from self._as_it_is((), records)

    def _as_it_is(
        self, entries: Iterable[Entry], records: Iterable[Sequence[Line]]
    ) -> Iterator[Entry]:
        groups = ((pk, list(each)) for pk, each in groupby(entries, key=itemgetter("PK")))
        pk, listed = next(groups, ("", []))
        for record in records:
            of_record: list[Entry] = []
            if listed and record_key(record[0][1]) == pk:
                of_record = listed
                pk, listed = next(groups, ("", []))
            known = {entry["SK"] for entry in of_record if entry["decision"] == _KEEP}
            kept = (_item(line) for _, line, mark in record if mark in KEPT_MARKS)
            if all(text_key(item)[1] in known for item in kept):
                yield from of_record
            else:
                yield from self._looked_at(record)
        yield from listed

    def _looked_at(self, record: Sequence[Line]) -> Iterator[Entry]:
        """What there is to list of a kept record, as the table has it now."""
        items = [_item(line) for _, line, _ in record]
        there = self.writer.record(items[0])
        rest = rest_of(there, set(map(text_key, items)), self.authors.is_own)
        standings = [self._standing(item, there.get(text_key(item))) for item in items]
        who = newer(standings, rest)
        kept = [mark in KEPT_MARKS for _, _, mark in record]
        for item, standing, is_kept in zip(items, standings, kept, strict=True):
            if is_kept and standing.mark != SAME:
                kind = "absent" if standing.mark == NEW else "differs"
                theirs = there.get(text_key(item))
                yield entry_of(self.entity, item, kind, who, _KEEP, theirs)
        for item in rest.own:
            yield entry_of(self.entity, item, "not-in-s9", who, _KEEP)
        for item in rest.others:
            yield entry_of(self.entity, item, "application", who, _KEEP)

    def _standing(self, item: Item, theirs: dict[str, Any] | None) -> LineStanding:
        ours, at = updated_at(item), updated_at(theirs or {})
        if theirs is None:
            return LineStanding(NEW, "", ours)
        # The migration's own time says nothing of when a row was changed.
        ours = at if ours == self.run.manifest.migration_timestamp else ours
        return LineStanding(SAME if is_same(theirs, item) else CONFLICT, at, ours)


def _item(line: bytes) -> Item:
    item: Item = orjson.loads(line)["Item"]
    return item
