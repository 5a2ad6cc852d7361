"""The drift: every record in which S9 as it is now and the target differ, one JSON object a line.

    {"entity", "PK", "legacyId", "what", "items": [{"SK", "what", "attributes"}], "updatedBy", "at"}

It is made of what a verification by S9 has found (data/differences), with the names of the
attributes that differ, who changed the record last in the target (masked) and when, and with the
records that the application has made itself. `what` of a record is the gravest that there is to say
of its items (of which one that is damaged is `missing`, `different` or `onlyInTarget`):

    damaged         it is missing, otherwise or only in the target, and nobody has signed that
    deleted         by the application, as it deletes
    changed         by the application
    added           the application has made it
    left            S9 no longer has it, or it is in quarantine, and the last sync has left it
    changedInSource, newInSource, removedInSource    by S9, since the load

The differences are taken in portions, and the transformed file is gone through once for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import orjson

from utils.differences import (
    ADDED,
    BY_APPLICATION,
    CHANGED,
    CHANGED_IN_SOURCE,
    DELETED,
    DIFFERENT,
    EXTRA,
    MISSING,
    NEW_IN_SOURCE,
    REMOVED_IN_SOURCE,
    RecordDifference,
    read_differences,
)
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Item, differing_attributes
from utils.dynamodb.item_text import partition_key_of
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, is_mark
from utils.files.artifacts import lines_of
from utils.files.storage import make_directory, open_private
from utils.run.run import Run
from utils.wording.masking import mask

DAMAGED = "damaged"
_WHAT = {
    MISSING: DAMAGED,
    DIFFERENT: DAMAGED,
    EXTRA: DAMAGED,
    DELETED: "deleted",
    CHANGED: "changed",
    ADDED: "added",
    NEW_IN_SOURCE: "newInSource",
    CHANGED_IN_SOURCE: "changedInSource",
    REMOVED_IN_SOURCE: "removedInSource",
}
LEFT = "left"
KINDS = (*dict.fromkeys(_WHAT.values()), LEFT)
_DAMAGE = {MISSING: "missing", DIFFERENT: "different", EXTRA: "onlyInTarget"}
_PORTION = 10_000
_HEAD = "METADATA"


@dataclass
class Drift:
    """What was found: a file with a line for each record, and how many there are, by entity and
    `what`."""

    lines: Path
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def records(self) -> Iterator[dict[str, Any]]:
        """Each of them, as in the file."""
        for line in lines_of(self.lines):
            yield orjson.loads(line)

    def total(self, *kinds: str) -> int:
        """How many records there are of some kinds, of all entities."""
        return sum(count[kind] for count in self.counts.values() for kind in kinds)

    def as_json(self) -> dict[str, dict[str, int]]:
        """The figures as the report has them."""
        return {
            entity: {kind: count[kind] for kind in KINDS} for entity, count in self.counts.items()
        }


def find_drift(
    run: Run, inner: Run, entities: Sequence[str], left: Container[tuple[str, Any]]
) -> Drift:
    """List what a verification of `run` by S9, as `inner` has read it, has found; the file is in
    the run's scratch. `left` are the records (entity, PK) that the last sync has left in the target
    and told of. Raises TargetError when the tables cannot be read."""
    make_directory(run.workspace.scratch)
    lines = run.workspace.scratch / "drift"
    retry = RetryPolicy.of(run.config.migration, run.stop.sleep)
    target = run.config.target
    reader = TableReader(DynamoDB(target), retry, pause=run.stop.leave_if_asked)
    drift = Drift(lines)
    with open_private(lines, "wb") as out:
        for entity in entities:
            count = drift.counts.setdefault(entity, Counter())
            listing = _Listing(run, inner, reader, entity, left)
            for record in listing.records():
                count[record["what"]] += 1
                out.write(orjson.dumps({"entity": entity, **record}) + b"\n")
    return drift


@dataclass
class _Listing:
    """The records of one entity."""

    run: Run
    inner: Run
    reader: TableReader
    entity: str
    left: Container[tuple[str, Any]]

    @property
    def table(self) -> str:
        return self.run.config.target.table(self.entity)

    def records(self) -> Iterator[dict[str, Any]]:
        """Those that differ, and those that the application has made."""
        found = (
            each
            for each in read_differences(self.run.workspace.differences(self.entity))
            if not each.kinds.isdisjoint(_WHAT)
        )
        listed: set[Any] = set()
        while portion := list(islice(found, _PORTION)):
            ours = self._in_file({each.pk for each in portion if isinstance(each.pk, str)})
            for each in portion:
                listed.add(each.pk)
                yield self._told(each, ours.get(each.pk, {}))
        if self._has_foreign():
            yield from (each for each in self._own() if each["PK"] not in listed)

    def _in_file(self, wanted: set[str]) -> dict[str, dict[Any, Item]]:
        """The items that S9's records become now, by PK and SK."""
        found: dict[str, dict[Any, Item]] = {}
        keys = {orjson.dumps(pk) for pk in wanted}
        for line in lines_of(self.inner.workspace.transformed(self.entity)):
            if partition_key_of(line) in keys:
                item: Item = orjson.loads(line)["Item"]
                found.setdefault(_text(item, PARTITION_KEY), {})[_text(item, SORT_KEY)] = item
        return found

    def _told(self, record: RecordDifference, ours: Mapping[Any, Item]) -> dict[str, Any]:
        theirs = self._in_table(record.pk) if isinstance(record.pk, str) else {}
        items, kinds, touched = [], list[str](), list[Item]()
        for each in record.items:
            if each.how not in _WHAT:
                continue
            now, item = theirs.get(each.sk), ours.get(each.sk)
            names = differing_attributes(item, now) if item and now else []
            told = _DAMAGE.get(each.how, _WHAT[each.how])
            items.append({"SK": each.sk, "what": told, "attributes": names})
            kinds.append(_WHAT[each.how])
            if now and each.how in BY_APPLICATION:
                touched.append(now)
        what = min(kinds, key=KINDS.index)
        if record.kinds == {EXTRA} and (self.entity, record.pk) in self.left:
            what = LEFT
        last = max(touched, key=_moment, default=None)
        return _record(record.pk, record.legacy_id, what, items, last)

    def _in_table(self, pk: str) -> dict[Any, Item]:
        request = {
            "TableName": self.table,
            "ConsistentRead": True,
            "KeyConditionExpression": "PK = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        pages = self.reader.pages("Query", request, keys=(PARTITION_KEY, SORT_KEY))
        return {_text(item, SORT_KEY): item for page in pages for item in page["Items"]}

    def _has_foreign(self) -> bool:
        """Whether the verification has seen items without the mark of a migration."""
        entry = self.run.manifest.phase("verify", self.entity)
        return entry is None or bool(entry.result.get("foreign", 1))

    def _own(self) -> Iterator[dict[str, Any]]:
        """The records that the application has made."""
        request = {
            "TableName": self.table,
            "ConsistentRead": True,
            "FilterExpression": "attribute_not_exists(legacyId)",
            "ProjectionExpression": "PK, SK, updatedBy, updatedAt, deletedAt",
        }
        pages = self.reader.pages("Scan", request, keys=(PARTITION_KEY, SORT_KEY))
        items = (item for page in pages for item in page["Items"] if not is_mark(item))
        for pk, group in groupby(items, key=lambda item: _text(item, PARTITION_KEY)):
            made = list(group)
            if all(_text(item, SORT_KEY) != _HEAD for item in made):
                continue  # they belong to a record that was migrated
            told = [
                {"SK": _text(each, SORT_KEY), "what": "added", "attributes": []} for each in made
            ]
            yield _record(pk, "", "added", told, max(made, key=_moment))


def _record(
    pk: Any, legacy_id: str, what: str, items: Iterable[Any], last: Item | None
) -> dict[str, Any]:
    by = _text(last, "updatedBy") if last else ""
    return {
        "PK": pk,
        "legacyId": legacy_id,
        "what": what,
        "items": list(items),
        "updatedBy": mask(by) if isinstance(by, str) and by else None,
        "at": (_moment(last) or None) if last else None,
    }


def _moment(item: Item) -> str:
    """When an item was changed last, be it that it was deleted."""
    found = [_text(item, name) for name in ("updatedAt", "deletedAt")]
    return max((each for each in found if isinstance(each, str)), default="")


def _text(item: Item, name: str) -> Any:
    value = item.get(name, {})
    return value.get("S", "") if isinstance(value, dict) else ""
