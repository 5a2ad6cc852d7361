"""Taking records out of the table of which DynamoDB refuses an item: whole, and into quarantine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from load.conflicts.conditional_load import ConditionalLoad
from load.refusals import PHASE, Refusals
from load.rollback.undo_record import STAYING, UNDONE, Doubt, Record, Undo, Verdict
from load.writing.batches import record_key
from load.writing.transactions import MOST_WRITES
from utils.dynamodb.table_spec import TableSpec
from utils.entities import shape_of
from utils.files.artifacts import ArtifactWriter, lines_of, starts_record
from utils.files.line_marks import EDITED, KEPT_ABSENT, WITHDRAWN, LineMarks
from utils.files.quarantine import Refusal, read_quarantine, source_rows
from utils.findings.source_names import names_of
from utils.logger import get_logger
from utils.run.run import Run
from utils.sale_numbering import Numbering, candidate_of, held_numbers


@dataclass
class Withdrawn:
    """How many records and items were kept out of the table; `held` are the numbers of years that
    are in quarantine with them and nowhere else (utils/sale_numbering.py)."""

    records: int = 0
    items: int = 0
    held: dict[str, int] = field(default_factory=dict)


def withdraw(
    run: Run, spec: TableSpec, refusals: Refusals, conditional: ConditionalLoad
) -> Withdrawn:
    """Take what is left of refused records out of the table, and put them into quarantine. A
    record on which the application has worked since stays in the table, whole."""
    entity = spec.entity
    kept: set[str] = set()
    counted: dict[str, _Record] = {}
    doubt = Doubt(absent_ok=lambda _line: True, moments=conditional.state.moments)
    undo = Undo.on(conditional.writer, conditional.before, doubt=doubt, completes=False)
    for records in _refused_records(run, entity, refusals, conditional.plan):
        written = [each for each in records if refusals.reasons[each.pk].written]
        for record in _withdrawn(written, undo, conditional.plan):
            kept.add(record.pk)
        for record in records:
            if record.pk not in kept:
                counted[record.legacy_id] = _Record(record.pk, len(record.lines))
                for line in record.lines:
                    conditional.plan.mark(line.place, WITHDRAWN)
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
    if not shape_of(entity).numbered:
        return {}
    refused, rest = Numbering(), Numbering()
    for line in filter(starts_record, lines_of(run.workspace.transformed(entity))):
        if candidate := candidate_of(line):
            (refused if record_key(line) in keys else rest).add((candidate,))
    return held_numbers(refused.last.values(), rest)


def _withdrawn(records: Sequence[Record], undo: Undo, plan: LineMarks) -> Iterator[Record]:
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


def _stays(record: Record, verdict: Verdict, plan: LineMarks) -> Record:
    """Mark the lines of a record that stays, as the application has it."""
    get_logger().warning(
        "%s (in S9 %s) stays in the table, although DynamoDB refuses one of its items: the "
        "application has changed it",
        record.pk,
        record.legacy_id,
    )
    for line in record.lines:
        there = verdict.fates.get(line.place) in STAYING
        plan.mark(line.place, EDITED if there else KEPT_ABSENT)
    return record


def _refused_records(
    run: Run, entity: str, refusals: Refusals, plan: LineMarks
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
    path, names = run.workspace.quarantine(entity), names_of(run.manifest, entity)
    yield from read_quarantine(path, phases=("transform", "validate"))
    for legacy_id, row in source_rows(run.workspace.extracted(entity), counted):
        record = counted[legacy_id]
        finding = refusals.reasons[record.key].as_finding(entity, legacy_id, names)
        yield Refusal(entity, legacy_id, PHASE, (finding,), record.items, row, record.key)
