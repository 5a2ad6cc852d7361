"""data/reports/conflicts_report.json: every item that the table holds with another content.

{"runId", "at", "snapshot", "onConflict", "conflicts": [{"entity", "PK", "SK", "legacyId",
"attributes", "newer", "decision"}], "count"}: `attributes` are the names of those that differ,
`newer` says who was changed last by `updatedAt` ("s9", "table", "neither", "unknown"), `decision`
is "replace", "keep" or "stop". It is written entry by entry: there may be millions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import orjson

from load.conditional_writer import READ_AT_ONCE, ConditionalWriter, text_key
from load.conflicts import IN_CONFLICT, Standing
from utils.closing import Closes
from utils.config import FAIL
from utils.item_content import differing_attributes
from utils.load_plan import KEPT_MARKS
from utils.run import Run
from utils.workspace import PARTIAL_SUFFIX, open_private, publish, storage_errors

_SHOWN = 5


@dataclass(frozen=True)
class _Waiting:
    entity: str
    item: dict[str, Any]
    newer: str
    decision: str


class ConflictReport(Closes):
    """The report while it is written. A context manager; `complete` ends it.

    `count` is the number of conflicts so far, `first` some of them in words.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._path = run.workspace.report("conflicts")
        self._partial = self._path.with_name(self._path.name + PARTIAL_SUFFIX)
        self._file: IO[bytes] | None = None
        self._waiting: list[_Waiting] = []
        self.count = 0
        self.first: list[str] = []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def add(
        self,
        entity: str,
        writer: ConditionalWriter,
        record: Sequence[bytes],
        standings: Sequence[Standing],
        decided: Sequence[int],
    ) -> None:
        """Report what is in conflict of a record; `writer` can look at its table."""
        for line, standing, mark in zip(record, standings, decided, strict=True):
            if standing.mark in IN_CONFLICT:
                decision = "keep" if mark in KEPT_MARKS else "replace"
                if self._run.config.load.on_conflict == FAIL:
                    decision = "stop"
                item = orjson.loads(line)["Item"]
                self._waiting.append(_Waiting(entity, item, standing.newer, decision))
        if len(self._waiting) >= READ_AT_ONCE:
            self.flush(writer)

    def flush(self, writer: ConditionalWriter) -> None:
        """Write what is waiting, all of it of the writer's table."""
        for start in range(0, len(self._waiting), READ_AT_ONCE):
            part = self._waiting[start : start + READ_AT_ONCE]
            found = writer.find(each.item for each in part)
            for each in part:
                self._write(each, found.get(text_key(each.item)))
        self._waiting = []

    def _write(self, conflict: _Waiting, theirs: dict[str, Any] | None) -> None:
        pk, sk = text_key(conflict.item)
        entry = {
            "entity": conflict.entity,
            "PK": pk,
            "SK": sk,
            "legacyId": conflict.item.get("legacyId", {}).get("S"),
            "attributes": differing_attributes(conflict.item, theirs or {}),
            "newer": conflict.newer,
            "decision": conflict.decision,
        }
        if len(self.first) < _SHOWN:
            self.first.append(_sentence(entry))
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
            publish(self._partial, self._path)


_NEWER = {
    "table": "changed later in the table",
    "s9": "changed later in S9",
    "neither": "with the same updatedAt",
    "unknown": "without an updatedAt to compare",
}


def _sentence(entry: dict[str, Any]) -> str:
    names: list[str] = entry["attributes"]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (
        f"{entry['PK']} {entry['SK']} (in S9 {entry['legacyId']}): {', '.join(names[:4])}{more} "
        f"differ, {_NEWER[entry['newer']]}"
    )
