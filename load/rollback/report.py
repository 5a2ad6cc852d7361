"""data/reports/rollback_report.json: what became of everything that the load had written.

{"runId", "at", "snapshot", "undone": {"run", "began"}, "closes", "entities": {entity: figures},
"backups", "kept": [records]}. For each entity, in items: created = deleted + kept + gone, and
replaced = restored + kept + gone. `kept` belongs to a record that the application has worked on
since, or that another record needs; `gone` has been deleted by the application. `neverWritten` are
items that the load did not come to, `leftAlone` those that were in the table before it and were not
written. `broughtBack` were there before it, and a repair (load/repair) or a sync (load/sync) has
taken them away, or deleted them softly.
Every kept record is listed with the reason: what was done with which of its items (names of
attributes, no value), or the key of a record that names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from load.rollback.undo_record import LEFT_ALONE, STAYING, Record, Verdict
from utils.files.line_marks import (
    DELETED,
    GONE,
    GONE_REPLACED,
    RESTORED,
    RETURNED,
    RETURNED_REPLACED,
    STAYS,
    STAYS_REPLACED,
)
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.run.run import Run

CHANGED, IN_USE = "changed", "inUse"
_SHOWN = 10


@dataclass
class UndoneFigures:
    """The figures of one entity, in items. `created` and `replaced` are counted by what the load
    did, the others by what became of it."""

    created: int = 0
    deleted: int = 0
    created_kept: int = 0
    created_gone: int = 0
    replaced: int = 0
    restored: int = 0
    replaced_kept: int = 0
    replaced_gone: int = 0
    never_written: int = 0
    left_alone: int = 0
    brought_back: int = 0

    @classmethod
    def of(cls, marks: Mapping[int, int], items: int) -> UndoneFigures:
        """The figures of a file of so many items, from how many have which mark in the plan."""
        kept = marks.get(STAYS, 0) + marks.get(RETURNED, 0)
        deleted, gone = marks.get(DELETED, 0), marks.get(GONE, 0)
        replaced_kept = marks.get(STAYS_REPLACED, 0) + marks.get(RETURNED_REPLACED, 0)
        restored, replaced_gone = marks.get(RESTORED, 0), marks.get(GONE_REPLACED, 0)
        left_alone = sum(marks.get(mark, 0) for mark in LEFT_ALONE)
        created, replaced = deleted + kept + gone, restored + replaced_kept + replaced_gone
        return cls(
            created,
            deleted,
            kept,
            gone,
            replaced,
            restored,
            replaced_kept,
            replaced_gone,
            items - created - replaced - left_alone,
            left_alone,
        )

    @property
    def kept(self) -> int:
        return self.created_kept + self.replaced_kept

    @property
    def done(self) -> int:
        """How many items were deleted or put back."""
        return self.deleted + self.restored + self.brought_back

    @property
    def closes(self) -> bool:
        """Whether everything that the load did is accounted for."""
        created = self.deleted + self.created_kept + self.created_gone
        replaced = self.restored + self.replaced_kept + self.replaced_gone
        return (self.created, self.replaced) == (created, replaced) and self.never_written >= 0

    def as_json(self) -> dict[str, Any]:
        """The figures as the report has them."""
        return {
            "created": {
                "count": self.created,
                "deleted": self.deleted,
                "kept": self.created_kept,
                "gone": self.created_gone,
            },
            "replaced": {
                "count": self.replaced,
                "restored": self.restored,
                "kept": self.replaced_kept,
                "gone": self.replaced_gone,
            },
            "neverWritten": self.never_written,
            "leftAlone": self.left_alone,
            "broughtBack": self.brought_back,
            "closes": self.closes,
        }


@dataclass
class Rolled:
    """What a rollback has done, or would do: whose load it is, when that began, the figures by
    entity, the kept records by reason and the first few of them in words; `late` are records that
    arrived after they had been deleted, `again` says that it was only looked for these."""

    run: str
    began: str
    figures: dict[str, UndoneFigures] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)
    late: int = 0
    again: bool = False

    @property
    def closes(self) -> bool:
        return all(each.closes for each in self.figures.values())

    @property
    def done(self) -> int:
        """How many items were deleted or put back."""
        return sum(each.done for each in self.figures.values())


def kept_line(entity: str, record: Record, verdict: Verdict, *, returned: bool) -> bytes:
    """What the report says of a record that is kept: no value of it. `returned`: it had been
    undone, and was put back."""
    entry = {
        "entity": entity,
        "PK": record.pk,
        "legacyId": record.legacy_id,
        "items": sum(mark in STAYING for mark in verdict.fates.values()),
        "reason": CHANGED if verdict.changes else IN_USE,
        "changes": [
            {"SK": each.sk, "what": each.what, "attributes": list(each.attributes)}
            for each in verdict.changes
        ],
        "usedBy": verdict.used_by or None,
        "returned": returned,
    }
    return orjson.dumps(entry) + b"\n"


def write_rollback_report(run: Run, name: str, rolled: Rolled, lists: Sequence[Path]) -> None:
    """Write the report `name`; what is kept is listed in `lists`. Completes `rolled` by it."""
    path = run.workspace.report(name)
    partial = partial_of(path)
    head = {
        **run.report_head(),
        "undone": {"run": rolled.run, "began": rolled.began},
        "closes": rolled.closes,
        "entities": {name: each.as_json() for name, each in rolled.figures.items()},
        "backups": run.manifest.backups,
    }
    with storage_errors(path), open_private(partial, "wb") as out:
        out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "kept": [')
        separator = b"\n    "
        for line in _listed(lists):
            out.write(separator + line)
            separator = b",\n    "
            _count(rolled, orjson.loads(line))
        out.write(b"\n  ]\n}\n")
        out.flush()
        os.fsync(out.fileno())
    publish(path)


def _listed(lists: Sequence[Path]) -> Iterator[bytes]:
    """The lines of the lists; a record that was put back by a look that was cut short may be
    there twice."""
    returned: set[str] = set()
    for path in lists:
        if not path.exists():
            continue
        with path.open("rb") as lines:
            for line in lines:
                entry = orjson.loads(line)
                if entry["returned"]:
                    if entry["PK"] in returned:
                        continue
                    returned.add(entry["PK"])
                yield line.rstrip(b"\n")


def _count(rolled: Rolled, entry: Mapping[str, Any]) -> None:
    reason = entry["reason"]
    rolled.reasons[reason] = rolled.reasons.get(reason, 0) + 1
    if len(rolled.first) < _SHOWN:
        rolled.first.append(_in_words(entry))


def _in_words(entry: Mapping[str, Any]) -> str:
    who = f"{entry['PK']} (in S9 {entry['legacyId']}) of {entry['entity']}"
    if entry["usedBy"]:
        return f"{who}: {entry['usedBy']} names it"
    shown = [_change_in_words(each) for each in entry["changes"][:3]]
    more = ", …" if len(entry["changes"]) > 3 else ""
    return f"{who}: {', '.join(shown)}{more}"


def _change_in_words(change: Mapping[str, Any]) -> str:
    names: list[str] = change["attributes"]
    if not names:
        return f"{change['SK']} was {change['what']}"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{change['SK']} was {change['what']} ({', '.join(names[:4])}{more})"
