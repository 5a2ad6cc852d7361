"""References in the target: every record that another one names, as a sale its parties, is in its
table.

They are read at different times, so both become lines in buckets on disk, under the key of what is
named: its PK, a tab, and the mark of the entity and the PK of what names it (nothing, if it is the
named record itself).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import orjson

from utils.config import TargetConfig
from utils.dynamodb.item_text import Attributes, start_of, texts_of
from utils.dynamodb.table_reader import TableReader
from utils.entities import ENTITY_NAMES, shape_of
from validate.compare.differences import ReferenceFindings, Unresolved

# Where an attribute stands, how the PK of what it names begins, and what follows that PK in a line.
Wanted = tuple[bytes, bytes, bytes]
_NOBODY = b'""'


@cache
def references_wanted(entity: str) -> tuple[Wanted, ...]:
    """How to find what the records of an entity name, in the order of the attributes' names."""
    mark = b"\t%c" % (ord("A") + ENTITY_NAMES.index(entity))
    return tuple(
        (
            start_of(reference.attribute),
            b'"' + shape_of(reference.entity).prefix.encode(),
            mark,
        )
        for reference in sorted(shape_of(entity).references, key=attrgetter("attribute"))
    )


def references_of(
    pk: bytes, record: Attributes, wanted: Sequence[Wanted], *, required: bool = True
) -> list[tuple[bytes, bytes]]:
    """What a record names, as (PK of the named, the line); PKs are JSON texts.

    A sale without one of its parties names the party "", which is nowhere; unless it is not
    `required` to name one, as the application's own need not.
    """
    found = []
    texts = texts_of(record, [start for start, _, _ in wanted])
    for text, (_, opening, mark) in zip(texts, wanted, strict=True):
        if not (required or text):
            continue
        named = opening + text[1:] if len(text) > len(_NOBODY) else _NOBODY
        found.append((named, named + mark + pk))
    return found


def is_there(pk: bytes) -> tuple[bytes, bytes]:
    """The entry of a record that the target has."""
    return pk, pk + b"\t"


def resolve(buckets: Iterable[Iterable[bytes]]) -> ReferenceFindings:
    """Look up every reference among the records that are there."""
    result = ReferenceFindings()
    for lines in buckets:
        there, naming = set[bytes](), list[bytes]()
        for line in lines:
            if line.endswith(b"\t"):
                there.add(line[:-1])
            else:
                naming.append(line)
        result.checked += len(naming)
        lost = [line for line in naming if line[: line.index(b"\t")] not in there]
        for line in sorted(lost):
            named, _, user = line.partition(b"\t")
            entity = ENTITY_NAMES[user[0] - ord("A")]
            result.add(Unresolved(entity, orjson.loads(user[1:]), orjson.loads(named)))
    return result


def read_again(findings: ReferenceFindings, reader: TableReader, target: TargetConfig) -> None:
    """Take out of the listed references those that lead somewhere by now, or that nobody names any
    more: the tables were read one after the other, while they lived. Raises TargetError."""
    entries, findings.unresolved.entries = findings.unresolved.entries, []
    for each in entries:
        if _still_leads_nowhere(each, reader, target):
            findings.unresolved.entries.append(each)
        else:
            findings.unresolved.count -= 1
            findings.lost[each.entity] -= 1


def _still_leads_nowhere(each: Unresolved, reader: TableReader, target: TargetConfig) -> bool:
    def record(entity: str, pk: Any) -> Mapping[str, Any]:
        key = {"PK": {"S": pk} if isinstance(pk, str) else pk, "SK": {"S": "METADATA"}}
        request = {"TableName": target.table(entity), "Key": key, "ConsistentRead": True}
        found: Mapping[str, Any] = reader.ask("GetItem", request).get("Item", {})
        return found

    user = record(each.entity, each.user)
    for reference in shape_of(each.entity).references:
        named = user.get(reference.attribute, {}).get("S", "")
        pk = shape_of(reference.entity).prefix + named if named else ""
        if user and pk == each.named:
            return not (pk and record(reference.entity, pk))
    return False
