"""data/reports/repair_report.json: what a repair has done, record by record, and what it has left.

{"runId", "at", "tool", "snapshot", "asked", "began", "before", "after", "passed", "entities",
"records"}. `before` and `after` count the items that are not as in S9, by entity and kind
(utils/differences.py), as the verification before and the one after have found them; `after` and
`passed` are null as long as there is none. Of a record that was repaired the items are named with
what was done with them, of one that is left the reason: no value of either.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from load.conflicts.repair_journal import CREATED, REPLACED, TAKEN_AWAY
from load.repair.mending_pieces import Mended
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.run.run import Run

Kinds = Mapping[str, Mapping[str, int]]  # items by entity and kind of difference
NAME, FORESEEN = "repair", "repair_plan"


@dataclass(frozen=True)
class Asked:
    """What is asked for: to mend what is missing or different (`repair`), to take away what is
    only in the target (`extra`); unless it `writes`, only to say what would be done."""

    repair: bool
    extra: bool
    writes: bool = True

    def as_json(self) -> dict[str, bool]:
        return {"repair": self.repair, "repairExtra": self.extra, "dryRun": not self.writes}


@dataclass
class RepairFigures:
    """The figures of one entity: records that were repaired, their items by what was done with
    them, and records that are left by the reason."""

    records: int = 0
    items: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        done = {what: self.items[what] for what in (CREATED, REPLACED, TAKEN_AWAY)}
        return {"records": self.records, **done, "left": dict(sorted(self.left.items()))}


@dataclass
class Repaired:
    """What a repair has done, or would do. `before` and `after` are as in the report; `passed` is
    what the verification after it says (None: there was none)."""

    asked: Asked
    began: str
    before: Kinds
    figures: dict[str, RepairFigures] = field(default_factory=dict)
    after: Kinds | None = None
    passed: bool | None = None

    @property
    def records(self) -> int:
        """How many records were repaired."""
        return sum(each.records for each in self.figures.values())

    def items(self, what: str) -> int:
        """With how many items this was done."""
        return sum(each.items[what] for each in self.figures.values())

    @property
    def left(self) -> Counter[str]:
        """How many records are left, by the reason."""
        return sum((each.left for each in self.figures.values()), Counter())


def line_of(entity: str, mended: Mended) -> bytes:
    """What the report says of a record."""
    entry = {
        "entity": entity,
        "PK": mended.pk,
        "legacyId": mended.legacy_id,
        "items": [{"SK": sk, "what": what} for sk, what in mended.done],
        "left": mended.reason or None,
        "changes": [
            {"SK": each.sk, "what": each.what, "attributes": list(each.attributes)}
            for each in mended.changes
        ],
        "because": mended.used_by or None,
    }
    return orjson.dumps(entry) + b"\n"


def write_repair_report(run: Run, repaired: Repaired, lists: Sequence[Path]) -> Path:
    """Write the report; what it says of records is in `lists`, a line each. Returns its path."""
    path = run.workspace.report(NAME if repaired.asked.writes else FORESEEN)
    partial = partial_of(path)
    head = {
        **run.report_head(),
        "asked": repaired.asked.as_json(),
        "began": repaired.began,
        "before": repaired.before,
        "after": repaired.after,
        "passed": repaired.passed,
        "entities": {name: each.as_json() for name, each in repaired.figures.items()},
    }
    with storage_errors(path), open_private(partial, "wb") as out:
        out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "records": [')
        separator = b"\n    "
        for line in _lines(lists):
            out.write(separator + line)
            separator = b",\n    "
        out.write(b"\n  ]\n}\n")
        out.flush()
        os.fsync(out.fileno())
    publish(path)
    return path


def _lines(lists: Sequence[Path]) -> Iterator[bytes]:
    for path in lists:
        if path.exists():
            with path.open("rb") as lines:
                yield from (line.rstrip(b"\n") for line in lines)
