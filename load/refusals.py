"""Records that cannot be loaded: DynamoDB refuses an item of theirs, or they need such a record.

A record is loaded whole or not at all. When DynamoDB refuses one of its items, the others are
taken out of the table again and the record goes to quarantine, and with a party the sales that
need it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import orjson

from load.batch_writer import RefusedItem
from load.conditional_writer import READ_AT_ONCE
from load.guard import Guard, Planned
from load.lines import record_key
from load.undo import Undo
from utils.artifacts import ArtifactWriter, lines_of, starts_record
from utils.config import PARTY_ENTITIES
from utils.error_handler import TargetError
from utils.findings import Finding
from utils.invocation import again
from utils.load_plan import WITHDRAWN, LoadPlan
from utils.quarantine import Refusal, read_quarantine, source_rows
from utils.run import Run

PHASE = "load"
_AT_MOST = 10_000
_LEGACY_ID = re.compile(rb'"legacyId":\{"S":"([^"]*)"\}')
_PARTIES = re.compile(rb'"(?:buyerId|producerId)":\{"S":"([^"]*)"\}')
_ID = re.compile(r"^(?:BUYER|PRODUCER)#")


def keys_of(run: Run, entity: str, legacy_ids: Collection[str]) -> frozenset[str]:
    """The partition keys of the transformed records with these legacy ids."""
    wanted = {legacy_id.encode() for legacy_id in legacy_ids}
    return frozenset(
        record_key(line)
        for line in filter(starts_record, lines_of(run.workspace.transformed(entity)))
        if not wanted.isdisjoint(_LEGACY_ID.findall(line))
    )


@dataclass(frozen=True)
class Reason:
    """Why a record is not loaded. `written`: some of its items may be in the table."""

    rule: str
    message: str
    written: bool


class Refusals:
    """The records of one entity that are not loaded, by partition key."""

    def __init__(self, reasons: dict[str, Reason]) -> None:
        self.reasons = reasons

    def add(self, item: RefusedItem) -> None:
        """DynamoDB refuses an item. Raises TargetError when it refuses too many to be chance."""
        self.reasons[record_key(item.line)] = Reason("refused-by-dynamodb", item.reason, True)
        if len(self.reasons) > _AT_MOST:
            raise TargetError(
                f"DynamoDB has refused more than {_AT_MOST:,} records; the last reason: "
                f"{item.reason}",
                remedy="this is no matter of single records: see the reason, mend it, then go on: "
                f"{again()}",
            )

    def without(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a batch whose records are still to be loaded."""
        if not self.reasons:
            return lines
        return [line for line in lines if record_key(line) not in self.reasons]


def dependents(run: Run, entity: str) -> dict[str, Reason]:
    """The sales that need a party which the load has refused."""
    if entity in PARTY_ENTITIES:
        return {}
    refused = {
        _ID.sub("", finding.field): refusal
        for party in PARTY_ENTITIES
        for refusal in read_quarantine(run.workspace.quarantine(party), phases=(PHASE,))
        for finding in refusal.findings
    }
    if not refused:
        return {}
    found: dict[str, Reason] = {}
    for line in filter(starts_record, lines_of(run.workspace.transformed(entity))):
        needed = {match.decode() for match in _PARTIES.findall(line)} & refused.keys()
        if needed:
            party = refused[needed.pop()]
            found[record_key(line)] = Reason(
                "reference",
                f"needs {party.legacy_id} of {party.entity}, which was not loaded",
                False,
            )
    return found


@dataclass
class Withdrawn:
    """How many records and items were kept out of the table."""

    records: int = 0
    items: int = 0


def withdraw(run: Run, entity: str, refusals: Refusals, guard: Guard) -> Withdrawn:
    """Take what is left of refused records out of the table, unless the application has changed
    it since, and put them into quarantine."""
    lines = list(_lines_of(run, entity, refusals, guard.plan))
    undo = Undo(guard.before, guard.writer)
    written = [each for each in lines if refusals.reasons[record_key(each.line)].written]
    for start in range(0, len(written), READ_AT_ONCE):
        undo.undo(written[start : start + READ_AT_ONCE])
    for each in lines:
        guard.plan.mark(each.place, WITHDRAWN)
    counted = _counted(each.line for each in lines)
    path = run.workspace.quarantine(entity)
    with ArtifactWriter(path) as quarantine:
        for refusal in _refusals(run, entity, refusals, counted):
            quarantine.write(refusal.as_line(), records=1, items=refusal.items)
        run.replace((path, quarantine))
    return Withdrawn(len(counted), len(lines))


def _lines_of(run: Run, entity: str, refusals: Refusals, plan: LoadPlan) -> Iterator[Planned]:
    for place, line, mark in plan.lines_of(run.workspace.transformed(entity)):
        if record_key(line) in refusals.reasons:
            yield Planned(place, line, mark, orjson.loads(line)["Item"])


@dataclass
class _Record:
    key: str
    items: int


def _counted(lines: Iterable[bytes]) -> dict[str, _Record]:
    """The refused records by legacy id, with their number of items."""
    legacy_ids: dict[str, str] = {}
    counts: dict[str, int] = {}
    for line in lines:
        key = record_key(line)
        counts[key] = counts.get(key, 0) + 1
        if starts_record(line):
            found = _LEGACY_ID.search(line)
            legacy_ids[key] = found[1].decode() if found else key
    return {legacy_id: _Record(key, counts[key]) for key, legacy_id in legacy_ids.items()}


def _refusals(
    run: Run, entity: str, refusals: Refusals, counted: dict[str, _Record]
) -> Iterator[Refusal]:
    """What the quarantine holds from now on: what earlier phases refused, then these."""
    path = run.workspace.quarantine(entity)
    yield from read_quarantine(path, phases=("transform", "validate"))
    for legacy_id, row in source_rows(run.workspace.extracted(entity), counted):
        record = counted[legacy_id]
        reason = refusals.reasons[record.key]
        finding = Finding(entity, legacy_id, record.key, reason.rule, "error", reason.message)
        yield Refusal(entity, legacy_id, PHASE, (finding,), record.items, row)
