"""data/reports/rollback_report.json: what became of everything that the load had written.

For each entity: created = deleted + kept + gone, and replaced = restored + kept + gone. `kept` has
been changed by the application since, `gone` has been deleted by it. `neverWritten` are items that
the load did not come to, `leftAlone` those that were in the table before it and were not written.
Every kept item is listed, with the names of the attributes that differ from what was loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from load.conditional_writer import text_key
from utils.item_content import Item, differing_attributes
from utils.run import Run
from utils.workspace import PARTIAL_SUFFIX, open_private, publish, storage_errors


@dataclass
class Undone:
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

    @property
    def kept(self) -> int:
        return self.created_kept + self.replaced_kept

    @property
    def gone(self) -> int:
        return self.created_gone + self.replaced_gone

    @property
    def closes(self) -> bool:
        """Whether everything that the load did is accounted for."""
        created = self.deleted + self.created_kept + self.created_gone
        replaced = self.restored + self.replaced_kept + self.replaced_gone
        return (self.created, self.replaced) == (created, replaced)

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
            "closes": self.closes,
        }


def kept_line(entity: str, item: Item, there: Item) -> bytes:
    """What the report says of an item that was kept: no value of it."""
    pk, sk = text_key(item)
    entry = {
        "entity": entity,
        "PK": pk,
        "SK": sk,
        "legacyId": item.get("legacyId", {}).get("S"),
        "attributes": differing_attributes(item, there),
    }
    return orjson.dumps(entry) + b"\n"


def write_rollback_report(run: Run, figures: Mapping[str, Undone]) -> None:
    """Write the report; what was kept is listed where the rollback has put it."""
    path = run.workspace.report("rollback")
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    head = {
        **run.report_head(),
        "closes": all(each.closes for each in figures.values()),
        "entities": {name: each.as_json() for name, each in figures.items()},
        "backups": run.manifest.backups,
    }
    with storage_errors(path), open_private(partial, "wb") as out:
        out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "kept": [')
        separator = b"\n    "
        for entity in figures:
            kept = run.workspace.kept(entity)
            if kept.exists():
                with kept.open("rb") as lines:
                    for line in lines:
                        out.write(separator + line.rstrip(b"\n"))
                        separator = b",\n    "
        out.write(b"\n  ]\n}\n")
        out.flush()
        os.fsync(out.fileno())
    with storage_errors(path):
        publish(partial, path)
