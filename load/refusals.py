"""Records that cannot be loaded: DynamoDB refuses an item of theirs, or they need such a record.

A record is loaded whole or not at all. When DynamoDB refuses one of its items, the others are
taken out of the table again and the record goes to quarantine, and with a party the sales that
need it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from load.batch_writer import RefusedItem
from load.guard import Guard
from load.lines import record_key
from load.transactions import MOST_WRITES
from load.undo import STAYING, UNDONE, Doubt, Record, Undo, Verdict
from utils.artifacts import ArtifactWriter, lines_of, starts_record
from utils.config import PARTY_ENTITIES
from utils.error_handler import TargetError
from utils.figures import counted
from utils.findings import Finding
from utils.invocation import again
from utils.load_plan import EDITED, KEPT_ABSENT, WITHDRAWN, LoadPlan
from utils.logger import get_logger
from utils.numbering import Numbering, candidate_of, held_numbers
from utils.quarantine import Refusal, read_quarantine, source_rows
from utils.run import Run
from utils.tables import TableSpec

PHASE = "load"
_AT_MOST = 10_000
# So many of the first records refused for one kind of reason, and so large a part of them, are no
# chance; of a small entity all, if they are not just a few.
_FIRST, _NEARLY_ALL, _FEW = 20, 0.8, 3
_SINGLE = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|[0-9]+|(?:BUYER|PRODUCER|SALE|LINE)#\S+")
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


class RefusesNearlyAll(TargetError):
    """DynamoDB refuses nearly all records for one kind of reason: it is the table's."""

    def __init__(self, refused: int, of: int, reason: str) -> None:
        super().__init__(
            f"DynamoDB has refused {refused:,} of the first {counted(of, 'record')} for the same "
            f"kind of reason: {reason}",
            remedy="this is no matter of single records, and nothing was put into quarantine: see "
            "the reason (an index of the table may want an attribute of another type), mend the "
            f"table or the settings, then go on: {again()}",
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
        self.reasons[key] = Reason("refused-by-dynamodb", item.reason, True)
        alike = self._kinds[_kind(item.reason)]
        if alike >= _FIRST and alike >= _NEARLY_ALL * (alike + written):
            raise RefusesNearlyAll(alike, len(self.reasons) + written, item.reason)
        if len(self.reasons) > _AT_MOST:
            raise TargetError(
                f"DynamoDB has refused more than {_AT_MOST:,} records; the last reason: "
                f"{item.reason}",
                remedy="this is no matter of single records: see the reason, mend it, then go on: "
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
    """How many records and items were kept out of the table; `held` are the numbers of years that
    are in quarantine with them and nowhere else (utils/numbering.py)."""

    records: int = 0
    items: int = 0
    held: dict[str, int] = field(default_factory=dict)


def withdraw(run: Run, spec: TableSpec, refusals: Refusals, guard: Guard) -> Withdrawn:
    """Take what is left of refused records out of the table, and put them into quarantine. A
    record on which the application has worked since stays in the table, whole."""
    entity = spec.entity
    kept: set[str] = set()
    counted: dict[str, _Record] = {}
    doubt = Doubt(absent_ok=lambda _line: True, moments=guard.state.moments)
    undo = Undo.on(guard.writer, guard.before, doubt=doubt, completes=False)
    for records in _refused_records(run, entity, refusals, guard.plan):
        written = [each for each in records if refusals.reasons[each.pk].written]
        for record in _withdrawn(written, undo, guard.plan):
            kept.add(record.pk)
        for record in records:
            if record.pk not in kept:
                counted[record.legacy_id] = _Record(record.pk, len(record.lines))
                for line in record.lines:
                    guard.plan.mark(line.place, WITHDRAWN)
    path = run.workspace.quarantine(entity)
    with ArtifactWriter(path) as quarantine:
        for refusal in _refusals(run, entity, refusals, counted):
            quarantine.write(refusal.as_line(), records=1, items=refusal.items)
        run.replace((path, quarantine))
    held = _held(run, entity, frozenset(record.key for record in counted.values()))
    return Withdrawn(len(counted), sum(record.items for record in counted.values()), held)


def _held(run: Run, entity: str, keys: Collection[str]) -> dict[str, int]:
    """The numbers of years that only refused sales have: the file is numbered with them, and the
    sales that are left may be in the index otherwise than they should without them."""
    if entity in PARTY_ENTITIES:
        return {}
    refused, rest = Numbering(), Numbering()
    for line in filter(starts_record, lines_of(run.workspace.transformed(entity))):
        if candidate := candidate_of(line):
            (refused if record_key(line) in keys else rest).add((candidate,))
    return held_numbers(refused.last.values(), rest)


def _withdrawn(records: Sequence[Record], undo: Undo, plan: LoadPlan) -> Iterator[Record]:
    """Withdraw records that may be in the table; yields those that stay there."""
    gone: list[Record] = []
    by_us: set[int] = set()
    for record, verdict in zip(records, undo.undo(records), strict=True):
        if verdict.kept:
            yield _stays(record, verdict, plan)
        else:
            gone.append(record)
            by_us.update(place for place, mark in verdict.fates.items() if mark in UNDONE)
    # What the application had read before, it may have written to afterwards.
    doubt = replace(undo.doubt, by_us=lambda line: line.place in by_us)
    again = replace(undo, doubt=doubt)
    for record, verdict in zip(gone, again.undo(gone), strict=True):
        if verdict.kept:
            yield _stays(record, verdict, plan)


def _stays(record: Record, verdict: Verdict, plan: LoadPlan) -> Record:
    """Mark the lines of a record that stays, as the application has it."""
    get_logger().warning(
        "%s (in S9 %s) stays in the table, though DynamoDB refuses an item of it: the application "
        "has worked on it",
        record.pk,
        record.legacy_id,
    )
    for line in record.lines:
        there = verdict.fates.get(line.place) in STAYING
        plan.mark(line.place, EDITED if there else KEPT_ABSENT)
    return record


def _refused_records(
    run: Run, entity: str, refusals: Refusals, plan: LoadPlan
) -> Iterator[list[Record]]:
    """The refused records, about a hundred items at a time."""
    together: list[Record] = []
    lines: list[tuple[int, bytes, int]] = []
    for each in plan.lines_of(run.workspace.transformed(entity)):
        if record_key(each[1]) not in refusals.reasons:
            continue
        if lines and starts_record(each[1]):
            together.append(Record.of(lines))
            lines = []
            if sum(len(record.lines) for record in together) >= MOST_WRITES:
                yield together
                together = []
        lines.append(each)
    if lines:
        yield [*together, Record.of(lines)]


@dataclass
class _Record:
    """A refused record: its partition key, and how many items it has."""

    key: str
    items: int


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
