"""data/reports/conflicts_report.json: every item of a record that the table has in another way.

{"runId", "at", "snapshot", "onConflict", "conflicts": [{"entity", "PK", "SK", "legacyId", "kind",
"attributes", "newer", "decision"}], "count"}. `kind` is

    differs         the table has it with other content; `attributes` names those that differ
    absent          S9 has it, the table has not, and the load leaves it out: its record is kept
    not-in-s9       a line that a migration wrote and S9 no longer has
    application     what the application has hung on the record, or changed of what S9 no longer has

`newer` says where the record was changed last, by the `updatedAt` of its newest row ("s9", "table",
"neither", "unknown"); `decision` is "replace", "remove", "keep" or "stop". It is written entry by
entry: there may be millions.

The survey writes it before the first write. What the application does after that may keep a record
all the same: when the load is complete, such records are looked at again
(load/conflicts/kept_report.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from load.conflicts.policy import NO_REST, LineStanding, Rest, in_conflict, newer
from load.writing.conditional_writer import READ_AT_ONCE, ConditionalWriter, text_key
from utils.config import FAIL
from utils.dynamodb.item_content import Item, differing_attributes
from utils.files.line_marks import CONDITIONAL, KEPT_ABSENT, KEPT_MARKS
from utils.files.storage import Closes, open_private, partial_of, publish, storage_errors
from utils.run.run import Run

_SHOWN = 5
_KNOWN_BY = ("entity", "PK", "SK", "decision")


@dataclass(frozen=True)
class _Waiting:
    entity: str
    item: Item
    kind: str
    newer: str
    decision: str


Entry = dict[str, Any]


class ReportFile(Closes):
    """The file while it is written. A context manager; `complete` ends it. `count` is the number of
    entries so far. Raises StorageError."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._path = run.workspace.report("conflicts")
        self._partial = partial_of(self._path)
        self._file: IO[bytes] | None = None
        self.count = 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        with storage_errors(self._partial):
            if self._file is None:
                head = {**self._run.report_head(), "onConflict": self._run.config.load.on_conflict}
                self._file = open_private(self._partial, "wb")
                self._file.write(orjson.dumps(head)[:-1] + b',"conflicts":[')
            self._file.write((b",\n" if self.count else b"\n") + orjson.dumps(entry))
        self.count += 1

    def complete(self) -> None:
        """Complete and publish the report; without a conflict there is none, also no old one."""
        with storage_errors(self._path):
            if self._file is None:
                self._path.unlink(missing_ok=True)
                self._partial.unlink(missing_ok=True)  # of a run that was killed
                return
            self._file.write(b'\n],"count":%d}\n' % self.count)
            self._file.close()
            publish(self._path)


def entries_of(path: Path) -> Iterator[Entry]:
    """The entries of a report, none where there is none; a report that somebody has edited ends
    where it can no longer be read."""
    if not path.exists():
        return
    with storage_errors(path), suppress(ValueError), path.open("rb") as lines:
        next(lines, None)
        for line in lines:
            entry = orjson.loads(line.rstrip(b",\n"))
            is_one = isinstance(entry, dict) and all(map(entry.get, _KNOWN_BY))
            if not is_one or not all(isinstance(entry[name], str) for name in _KNOWN_BY):
                return
            yield entry


class ConflictReport(Closes):
    """What the survey finds. A context manager; `complete` ends it.

    `count` is the number of conflicts so far, `first` some of them in words.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._file = ReportFile(run)
        self._waiting: list[_Waiting] = []
        self.first: list[str] = []

    def close(self) -> None:
        self._file.close()

    @property
    def count(self) -> int:
        return self._file.count

    def add(
        self,
        entity: str,
        writer: ConditionalWriter,
        record: Sequence[bytes],
        standings: Sequence[LineStanding],
        decided: Sequence[int],
        rest: Rest = NO_REST,
    ) -> int:
        """Report what is in conflict of a record; `writer` can look at its table. Returns how many
        of the record's own items are listed as kept."""
        if not in_conflict(standings, rest):
            return 0
        kept = 0
        stops = self._run.config.load.on_conflict == FAIL
        keeps = CONDITIONAL.isdisjoint(decided)
        who = newer(standings, rest)

        def note(item: Item, kind: str, decision: str) -> None:
            self._waiting.append(_Waiting(entity, item, kind, who, "stop" if stops else decision))

        for line, standing, mark in zip(record, standings, decided, strict=True):
            decision = "keep" if mark in KEPT_MARKS else "replace"
            if standing.deleted or mark == KEPT_ABSENT:
                note(_item(line), "absent", decision)
            elif standing.disputed:
                note(_item(line), "differs", decision)
            else:
                continue
            kept += mark in KEPT_MARKS
        for item in rest.own:
            note(item, "not-in-s9", "keep" if keeps else "remove")
        for item in rest.others:
            note(item, "application", "keep")
        if len(self._waiting) >= READ_AT_ONCE:
            self.flush(writer)
        return kept

    def flush(self, writer: ConditionalWriter) -> None:
        """Write what is waiting, all of it of the writer's table."""
        for start in range(0, len(self._waiting), READ_AT_ONCE):
            part = self._waiting[start : start + READ_AT_ONCE]
            found = writer.find(each.item for each in part if each.kind == "differs")
            for each in part:
                self._write(each, found.get(text_key(each.item)))
        self._waiting = []

    def _write(self, conflict: _Waiting, theirs: dict[str, Any] | None) -> None:
        each = conflict
        entry = entry_of(each.entity, each.item, each.kind, each.newer, each.decision, theirs)
        if len(self.first) < _SHOWN:
            self.first.append(_sentence(entry))
        self._file.write(entry)

    def complete(self) -> None:
        """Complete and publish the report; without a conflict there is none, also no old one."""
        self._file.complete()


def entry_of(
    entity: str, item: Item, kind: str, newer: str, decision: str, theirs: Item | None = None
) -> Entry:
    """An entry of the report; `theirs` is what the table has in the place of an item."""
    pk, sk = text_key(item)
    return {
        "entity": entity,
        "PK": pk,
        "SK": sk,
        "legacyId": item.get("legacyId", {}).get("S"),
        "kind": kind,
        "attributes": differing_attributes(item, theirs or {}) if kind == "differs" else [],
        "newer": newer,
        "decision": decision,
    }


_NEWER = {
    "table": "changed later in the table",
    "s9": "changed later in S9",
    "neither": "with the same updatedAt",
    "unknown": "without an updatedAt to compare",
}
_KINDS = {
    "absent": "is not in the table",
    "not-in-s9": "S9 no longer has it",
    "application": "the application has added or changed it",
}


def _item(line: bytes) -> Item:
    item: Item = orjson.loads(line)["Item"]
    return item


def _sentence(entry: dict[str, Any]) -> str:
    names: list[str] = entry["attributes"]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    differ = f"{', '.join(names[:4])}{more} differ, {_NEWER[entry['newer']]}"
    named = f" (in S9 {entry['legacyId']})" if entry["legacyId"] else ""
    return f"{entry['PK']} {entry['SK']}{named}: {_KINDS.get(entry['kind'], differ)}"
