"""What is only in the target: items of a migration that S9 no longer has.

A load deletes nothing but the lines of the records that it replaces. What else has left S9 (a
record that was deleted, disabled or moved there; a line of a record that is kept) stays, is
counted, and listed by name in data/reports/only_in_target_{entity}_report.json: {"runId", "at",
"snapshot", "items": [{"PK", "SK", "legacyId", "kind"}], "count"}. `kind` is "record" for what
belongs to a record that is gone, "line" for a line of one that S9 still has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from load.backup.key_index import KeyIndex
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Item
from utils.dynamodb.table_reader import TableReader, items_page
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import shape_of
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.run.run import Run

# What the survey knows of an item of the picture: nothing (its record is not in the file), that
# it stays beside its record, that it is of the file, that it is to be taken away.
UNKNOWN, STAYS, FOUND, TAKEN = range(4)
_ATTRIBUTES = (PARTITION_KEY, SORT_KEY, "legacyId", "deletedAt")


@dataclass(frozen=True)
class OnlyInTarget:
    """How much of an entity is only in the target: records that are gone from S9 with the number
    of their items, and lines of records that S9 still has."""

    records: int = 0
    record_items: int = 0
    lines: int = 0

    def as_json(self) -> dict[str, int]:
        """The figures, as a load's result has them."""
        return {"records": self.records, "recordItems": self.record_items, "lines": self.lines}


def list_what_left(run: Run, entity: str, index: KeyIndex, seen: bytearray) -> OnlyInTarget:
    """Count and list what is only in the target; `seen` says what the survey knows of each item of
    the picture. The table is read for it, where there is anything.

    Raises TargetError when it cannot be read.
    """
    path = run.workspace.report(f"only_in_target_{entity}")
    if not index.has_left_over(seen, FOUND):
        path.unlink(missing_ok=True)
        return OnlyInTarget()
    partial = partial_of(path)
    found, separator = OnlyInTarget(), b"\n"
    with storage_errors(partial), open_private(partial, "wb") as out:
        out.write(orjson.dumps({**run.report_head(), "entity": entity})[:-1] + b',"items":[')
        for item, kind in _surplus(run, entity, index, seen):
            out.write(separator + orjson.dumps(_entry(item, kind)))
            separator = b",\n"
            found = _counted(found, item, kind)
        out.write(b'\n],"count":%d}\n' % (found.record_items + found.lines))
    publish(path)
    return found


def _surplus(run: Run, entity: str, index: KeyIndex, seen: bytearray) -> Iterator[tuple[Item, str]]:
    """The items of the table that a migration wrote and the application has not deleted, that were
    there, and are of no record of the file."""
    retry = RetryPolicy.of(run.config.migration, run.stop.sleep)
    reader = TableReader(DynamoDB(run.config.target), retry, pause=run.stop.leave_if_asked)
    segments = run.config.migration.scans
    prefix = shape_of(entity).prefix
    for page in reader.scan(
        run.config.target.table(entity),
        items_page,
        segments=range(segments),
        of=segments,
        attributes=_ATTRIBUTES,
    ):
        for item in page.items:
            if _is_migrated(item) and item[PARTITION_KEY]["S"].startswith(prefix):
                entry = index.find(item)
                state = FOUND if entry is None else seen[entry.place]
                if state in (UNKNOWN, STAYS):
                    yield item, "record" if state == UNKNOWN else "line"


def _is_migrated(item: Item) -> bool:
    return "legacyId" in item and "deletedAt" not in item


def _entry(item: Item, kind: str) -> dict[str, Any]:
    return {
        PARTITION_KEY: item[PARTITION_KEY]["S"],
        SORT_KEY: item[SORT_KEY]["S"],
        "legacyId": item["legacyId"].get("S"),
        "kind": kind,
    }


def _counted(found: OnlyInTarget, item: Item, kind: str) -> OnlyInTarget:
    if kind == "line":
        return replace(found, lines=found.lines + 1)
    opens = item[SORT_KEY]["S"] == "METADATA"
    return replace(found, records=found.records + opens, record_items=found.record_items + 1)
