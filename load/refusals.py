"""Records that cannot be loaded: DynamoDB refuses an item of theirs, or they need such a record.

A record is loaded whole or not at all. When DynamoDB refuses one of its items, the others are
taken out of the table again and the record goes to quarantine, and with it those that name it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from load.writing.batch_writer import RefusedItem
from load.writing.batches import record_key
from utils.entities import ENTITIES, shape_at, shape_of
from utils.error_handler import TargetError
from utils.files.artifacts import lines_of, starts_record
from utils.files.findings import Cause, Finding
from utils.files.quarantine import Refusal, read_quarantine
from utils.findings.shown_values import shown, stored
from utils.findings.source_names import SourceNames
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again

PHASE = "load"
REFUSED = "refused-by-dynamodb"
_AT_MOST = 10_000
# So many of the first records refused for one kind of reason, and so large a part of them, are no
# chance; of a small entity all, if they are not just a few.
_FIRST, _NEARLY_ALL, _FEW = 20, 0.8, 3
_PREFIXES = [each.prefix for shape in ENTITIES for each in (shape, shape.children) if each]
_ATTRIBUTE = re.compile(r"[A-Za-z]\w*")
_KEYS = frozenset({"PK", "SK"})
_SINGLE = re.compile(
    rf"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|[0-9]+|(?:{'|'.join(map(re.escape, _PREFIXES))})\S+"
)


@dataclass(frozen=True)
class Reason:
    """Why a record is not loaded. `written`: some of its items may be in the table.

    `field` is the attribute that the reason is about, if it names one, with its `value` as it may
    be shown; `line` is S9's key of the line that was refused, `cause` the record that this one
    needs and that is not loaded.
    """

    rule: str
    message: str
    written: bool
    field: str = ""
    value: str = ""
    line: str = ""
    cause: Cause | None = None

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Reason:
        """What `asdict` made of one."""
        return cls(**{**stored, "cause": Cause.of_json(stored.get("cause"))})

    @classmethod
    def of_item(cls, item: RefusedItem) -> Reason:
        """DynamoDB's reason, and which part of S9 it is about."""
        content = orjson.loads(item.line)["Item"]
        shape = shape_at(content["PK"]["S"])
        children = shape.children if shape else None
        is_child = bool(children and content["SK"]["S"].startswith(children.prefix))
        schema = children.schema if children and is_child else shape.schema if shape else ""
        named = _ATTRIBUTE.findall(item.reason)
        field = next((name for name in named if name in content and name not in _KEYS), "")
        return cls(
            REFUSED,
            item.reason,
            True,
            field,
            shown(stored(content.get(field)), schema, field),
            content["legacyId"]["S"] if is_child and "legacyId" in content else "",
        )

    def as_finding(self, entity: str, legacy_id: str, names: SourceNames) -> Finding:
        """What the quarantine says of the record with this key in S9."""
        children = shape_of(entity).children
        part = children.name if self.line and children else ""
        origin = names.of_attribute(self.field)
        if part:
            origin = names.of_attribute(f"{part}[1].{self.field}")
        return Finding(
            entity,
            legacy_id,
            f"{part}.{self.field}".strip(".") if part else self.field,
            self.rule,
            "error",
            self.message,
            origin.table,
            origin.column,
            self.line or legacy_id,
            self.value,
            self.cause,
        )


class RefusesNearlyAll(TargetError):
    """DynamoDB refuses nearly all records for one kind of reason: it is the table's."""

    def __init__(self, refused: int, of: int, reason: str) -> None:
        super().__init__(
            f"DynamoDB has refused {refused:,} of the first {counted(of, 'record')} for the same "
            f"reason: {reason}",
            remedy="the cause is not in single records, so nothing was put into quarantine: see "
            "the reason (an index of the table may need an attribute of another type), correct "
            f"the table or the settings, then run: {again()}",
        )


def _kind(message: str) -> str:
    """A reason without what is of the single item: quoted texts and numbers."""
    return _SINGLE.sub("…", message)


class Refusals:
    """The records of one entity that are not loaded, by partition key."""

    def __init__(self, reasons: dict[str, Reason]) -> None:
        self.reasons = reasons
        self._kinds = Counter(_kind(each.message) for each in reasons.values() if each.written)

    def add(self, item: RefusedItem, *, written: int = 0) -> None:
        """DynamoDB refuses an item, and has taken `written` records so far. Raises TargetError when
        it refuses too many to be chance: RefusesNearlyAll when they are nearly all that there
        were."""
        key = record_key(item.line)
        if key not in self.reasons:
            self._kinds[_kind(item.reason)] += 1
        self.reasons[key] = Reason.of_item(item)
        alike = self._kinds[_kind(item.reason)]
        if alike >= _FIRST and alike >= _NEARLY_ALL * (alike + written):
            raise RefusesNearlyAll(alike, len(self.reasons) + written, item.reason)
        if len(self.reasons) > _AT_MOST:
            raise TargetError(
                f"DynamoDB has refused more than {_AT_MOST:,} records; the last reason: "
                f"{item.reason}",
                remedy="the cause is not in single records: see the reason, fix it, then run: "
                f"{again()}",
            )

    def check_all(self, records: int) -> None:
        """The end of a load of so many records: raise RefusesNearlyAll when DynamoDB has refused
        all of them for the same kind of reason, and they are not just one or two."""
        if records < _FEW or len(self._kinds) != 1 or self._kinds.total() < records:
            return
        last = next(reversed(self.reasons.values()))
        raise RefusesNearlyAll(records, records, last.message)

    def without(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a batch whose records are still to be loaded."""
        if not self.reasons:
            return lines
        return [line for line in lines if record_key(line) not in self.reasons]


def dependents(run: Run, entity: str) -> dict[str, Reason]:
    """The records that name one of another entity which the load has refused."""
    refused = {
        reference.attribute: _refused_by_id(run, reference.entity)
        for reference in shape_of(entity).references
    }
    if not any(refused.values()):
        return {}
    named = re.compile(rb'"(%b)":\{"S":"([^"]*)"\}' % "|".join(refused).encode())
    found: dict[str, Reason] = {}
    for line in filter(starts_record, lines_of(run.workspace.transformed(entity))):
        for attribute, identifier in named.findall(line):
            if needed := refused[attribute.decode()].get(identifier.decode()):
                party = shape_of(needed.entity).singular
                found[record_key(line)] = Reason(
                    "reference",
                    f"needs {party} {needed.legacy_id}, which was not loaded",
                    False,
                    attribute.decode(),
                    needed.legacy_id,
                    cause=Cause(
                        needed.entity, needed.legacy_id, "refused", needed.findings[0].rule
                    ),
                )
                break
    return found


def _refused_by_id(run: Run, entity: str) -> dict[str, Refusal]:
    """The records of an entity that the load has refused, by their ids."""
    prefix = shape_of(entity).prefix
    return {
        refusal.key.removeprefix(prefix): refusal
        for refusal in read_quarantine(run.workspace.quarantine(entity), phases=(PHASE,))
    }
