"""The engine that reads any declared entity from S9 into data/extracted/{entity}.json."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from logging import INFO, WARNING
from pathlib import Path
from typing import Any

from extract.databases import open_source
from extract.declaration import ColumnMapping, Entity
from extract.entities import entities_of
from extract.reading.by_parts import place_of, read_by_parts
from extract.reading.records import doubled_keys, packed, records_of
from extract.selection import ExtractPlan, Selection, configured_plan, configured_sql
from extract.snapshot.continuity import PHASE, establish
from extract.snapshot.lost import Losses
from extract.snapshot.rights import tables_of_all, warn_of_rights
from extract.snapshot.table_count import count_table
from extract.source import CONNECTIONS, Reads, Source
from extract.sums.adding_up import adding_up
from utils.checkpoint import Checkpoint
from utils.entities import shape_of
from utils.error_handler import BackOff, MigrationError, SourceError, SourceUnavailable
from utils.files.artifacts import ArtifactWriter, PartialState
from utils.files.parts import tidy
from utils.interrupt import Interrupted
from utils.logger import IN_THE_FILES, get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import Run, settings_digest
from utils.wording.figures import counted
from utils.wording.invocation import again

_ITEMS_A_PIECE = 1_500  # about: later phases share a file out by the MB

SetAside = Callable[[str, str, MigrationError], None]


def settings(run: Run, entity: str) -> str:
    """The digest of every setting that shapes an entity's extract."""
    source, extraction = run.config.source, run.config.extraction
    copied = entities_of(source.layout)[entity].copies
    of_others = [query for copy in copied if copy.of and (query := extraction.of(copy.of).query)]
    return settings_digest(
        [source.type, source.layout, source.schema, source.timezone],
        extraction.of(entity),
        extraction.disabled_parties,
        *of_others,
    )


def extract(
    run: Run,
    declared: Mapping[str, Entity],
    due: Sequence[str],
    set_aside: SetAside,
    *,
    by_hand: bool = False,
) -> None:
    """Read entities from S9 into their artifacts, all from one snapshot.

    `declared` has every entity, `due` names those to read; `by_hand` when the operator named
    them. A lost connection is opened again and the reading goes on, as far as the snapshots are
    provably the same. What S9 refuses of one entity is handed to `set_aside`.

    Raises SourceError when S9 cannot be read, or when what was read is not what S9 itself
    counted in the same snapshot; SourceUnavailable when it cannot be reached.
    """
    if due and run.fleet is not None:  # no snapshot is to wait for that
        with run.progress.task(PHASE, "", None, step="starting the fleet"):
            run.fleet.start()
    losses, was_open, before = Losses(run, again()), False, _progress(run)
    while due:
        try:
            with run.progress.task(PHASE, "", None, step="connecting"):
                opened = open_for(run, declared, connections=CONNECTIONS)
            with opened as source:
                if not was_open:
                    warn_of_rights(source, run.config.source, declared.values())
                was_open = True
                with run.progress.task(PHASE, "", None, step="counting tables"):
                    due = establish(run, source, declared, due, by_hand=by_hand)
                _read_all(run, source, declared, due, set_aside)
                return
        except (BackOff, SourceUnavailable) as lost:
            if isinstance(lost, SourceUnavailable) and not was_open:
                raise  # it was not lost: it has never been there
            now = _progress(run)
            if now > before:
                losses.begin_anew()
            before = now
            losses.count(lost)
            run.resuming = True
            due = [name for name in due if run.manifest.phase(PHASE, name) is None]


def open_for(run: Run, declared: Mapping[str, Entity], connections: int = 1) -> Source:
    """Open S9 with a snapshot for everything that the entities are read from, over as many
    `connections` as can be had that see the same."""
    queries = [
        query
        for name, entity in declared.items()
        if (query := configured_sql(entity, run.config.extraction.of(name), run.config.source.type))
    ]
    reads = Reads(tuple(tables_of_all(declared.values())), tuple(queries), connections)
    return open_source(run.config.source, run.stop, run.workspace.scratch, reads)


def _progress(run: Run) -> tuple[int, int]:
    """How far the extract is, to be compared: entities that are read, and records of the next."""
    saved = run.checkpoint.load()
    done = saved.done if saved is not None and saved.phase == PHASE else 0
    return len(run.manifest.phases.get(PHASE, {})), done


def _read_all(
    run: Run,
    source: Source,
    declared: Mapping[str, Entity],
    due: Sequence[str],
    set_aside: SetAside,
) -> None:
    """Read every entity that is due from an open source."""
    for name in due:
        try:
            entry = extract_entity(run, source, declared[name])
        except SourceUnavailable:
            raise  # this is about S9, not about the entity
        except SourceError as error:
            set_aside(PHASE, name, error)
            continue
        records = entry.result["source"]["records"]
        extracted = counted(records, shape_of(name).singular, name)
        get_logger().info("Extracted %s", extracted, extra=IN_THE_FILES)


def extract_entity(run: Run, source: Source, entity: Entity) -> PhaseEntry:
    """Read one entity: its selected records in key order, whole, into its artifact."""
    saved = run.begin(PHASE, entity.name, {})
    planned = planned_of(run, source, entity)
    with adding_up(run, source, planned) as finish_sums:
        counted, account = account_for(run, source, entity, planned)
        run.runner.expect(counted["items"] // _ITEMS_A_PIECE)
        _write(run, source, planned, counted, saved, finish_sums)
    report = _columns_report(source, planned)
    _tell_columns(planned, report)
    return run.finish(
        PHASE,
        entity.name,
        inputs={},
        settings=settings(run, entity.name),
        result={**account, "snapshot": source.snapshot.taken_at, "columns": report},
    )


def account_for(
    run: Run, source: Source, entity: Entity, planned: ExtractPlan
) -> tuple[dict[str, int], dict[str, Any]]:
    """What S9 itself counts of an entity in the snapshot (records, and items with their children),
    and the account of every row of its table for the manifest. Raises SourceError."""
    with run.progress.task(PHASE, entity.name, None, step="counting"):
        counted = _count(source, planned)
        others = (entry.result for entry in run.manifest.phases.get(PHASE, {}).values())
        now = source.snapshot.taken_at
        told = [each["table"] for each in others if each.get("snapshot") == now]
        settled = run.config.extraction.of(entity.name)
        table = count_table(source, entity, planned, settled, counted, told)
    account = {"table": table.as_json(), "elsewhere": list(table.elsewhere), "source": counted}
    return counted, account


def planned_of(
    run: Run, source: Source, entity: Entity, only: Collection[int] | None = None
) -> ExtractPlan:
    """What is to be read for an entity, as the configuration has it; of that `only` these keys."""
    return configured_plan(run.config.extraction, source, entity, only)


def _count(source: Source, planned: ExtractPlan) -> dict[str, int]:
    """What S9 itself counts in the snapshot: the first station of the ledger."""
    records, keys = source.count_keys(planned.records)
    if records != keys:
        key = source.quote(planned.records.key)
        doubled = doubled_keys(source, planned.records.query, key)
        raise SourceError(
            f"the query for {planned.entity} returns "
            f"{counted(records - keys, 'row')} without a key or with the key of another row"
            + (f": {doubled}" if doubled else ""),
            remedy=f"correct extraction.{planned.entity}.query: it must return each record once, "
            "and none without a key",
        )
    children = source.count(planned.children) if planned.children else 0
    return {"records": records, "items": records + children}


def _write(
    run: Run,
    source: Source,
    planned: ExtractPlan,
    counted: dict[str, int],
    saved: Checkpoint | None,
    finish_sums: Callable[[], None],
) -> None:
    """Bring the records into the artifact, from the checkpoint on if there is one, and what S9
    adds up of them beside it."""
    path = run.workspace.extracted(planned.entity)
    place, fleet = place_of(run, source, planned, counted, saved), run.fleet
    if place is not None and fleet is not None:
        parts = read_by_parts(run, fleet, source, planned, counted, place)
        _compare(planned.entity, counted, *parts.totals)
        finish_sums()
        parts.commit()
    else:
        with _stream(run, source, planned, counted, _Place.of(saved, path)) as writer:
            _compare(planned.entity, counted, writer.records, writer.items)
            finish_sums()
            run.commit(path, writer)
    tidy(path)


def _stream(
    run: Run, source: Source, planned: ExtractPlan, counted: dict[str, int], place: _Place
) -> ArtifactWriter:
    """Stream the records into the artifact, from a place on; returns what has been written, to be
    published. The caller closes it."""
    entity, total = planned.entity, counted["records"]
    writer, state = ArtifactWriter(run.workspace.extracted(entity), place.output), None
    try:
        with (
            run.progress.task(PHASE, entity, total, done=writer.records) as task,
            records_of(source, planned, place.key) as records,
        ):
            tracker = run.track(PHASE, entity, {}, total=total, unit="records", done=writer.records)
            try:
                for pack in packed(records):
                    writer.write(pack.data, records=pack.records, items=pack.items)
                    task.advance(pack.records, bytes=len(pack.data))
                    state = partial(_state, pack.key, writer)
                    tracker.reached(writer.records, state)
            except (BackOff, Interrupted):  # S9 has fallen silent: what it has told is kept
                if state is not None:
                    tracker.save(writer.records, state)
                raise
    except BaseException:
        writer.close()
        raise
    return writer


@dataclass(frozen=True)
class _Place:
    """Where an extract is: the last key, and how far its output is on disk."""

    key: int | None = None
    output: PartialState | None = None

    @classmethod
    def of(cls, saved: Checkpoint | None, path: Path) -> _Place:
        """The place that a checkpoint describes; the beginning when its file is gone, which is
        so when the run was killed between publishing the file and recording it."""
        if saved is None or "output" not in saved.state:
            return cls()
        output = PartialState(**saved.state["output"])
        return cls(saved.state["key"], output) if output.fits(path) else cls()


def _state(key: bytes, writer: ArtifactWriter) -> dict[str, Any]:
    """Make the output durable and describe the place for a checkpoint."""
    return asdict(_Place(int(key), writer.sync()))


def _compare(entity: str, counted: dict[str, int], records: int, items: int) -> None:
    if counted != {"records": records, "items": items}:
        raise SourceError(
            f"S9 counts {counted['records']:,} {entity} ({counted['items']:,} with lines), but "
            f"{records:,} ({items:,}) were read",
            remedy="run the extract again; if this happens again, the query does not select a "
            "fixed set of rows",
        )


def recognised_columns(planned: ExtractPlan) -> dict[str, dict[str, Any]]:
    """The names under which the columns of each table are written, and what its rows are: part of
    what the extract reports of them."""
    return {
        table: {"rows": rows, "read": {field.column.name: field.name for field in selection.fields}}
        for (rows, selection), table in zip(_read(planned), planned.columns, strict=True)
    }


def _read(planned: ExtractPlan) -> list[tuple[str, Selection]]:
    """What the rows of each table are (the entity's, or the children's), with their selection."""
    read = [(planned.entity, planned.records)]
    if planned.children is not None:
        read.append((planned.children_name, planned.children))
    return read


def _columns_report(source: Source, planned: ExtractPlan) -> dict[str, Any]:
    """For the reports: the columns of each table with the names that they are written under,
    which of them the layout does not know, and which of those that it knows are absent. `rows`
    says what the rows of the table are: the entity's, or the children that its records have.
    `several` has the columns that go by more than one name here, and how many rows have different
    values under them; `approximate` those of the layout's that are binary fractions."""
    columns = recognised_columns(planned)
    return {
        table: {
            **columns[table],
            "unmapped": list(mapping.unmapped),
            "missing": list(mapping.missing),
            "several": _several(source, selection, mapping),
            "approximate": [
                field.column.name
                for field in selection.fields
                if field.column.is_approximate and field.column.name in mapping.recognised
            ],
        }
        for (_, selection), (table, mapping) in zip(
            _read(planned), planned.columns.items(), strict=True
        )
    }


def _several(source: Source, selection: Selection, mapping: ColumnMapping) -> dict[str, Any]:
    columns = {field.column.name: field.column for field in selection.fields}
    found = {}
    for canonical, names in mapping.several.items():
        _, differ = source.first_of([columns[name] for name in names])
        [(rows,)] = source.tally(f"SELECT count(*) FROM ({selection.query}) AS q WHERE {differ}")
        found[canonical] = {"names": list(names), "different": int(rows)}
    return found


def _tell_columns(planned: ExtractPlan, report: Mapping[str, Any]) -> None:
    for table, mapping in planned.columns.items():
        if mapping.unmapped:
            get_logger().warning(
                "%s has columns that are not known: %s (mapping_report.json says what becomes of "
                "them)",
                table,
                ", ".join(mapping.unmapped),
            )
        if mapping.missing:
            get_logger().info(
                "%s lacks columns that S9 usually has: %s", table, ", ".join(mapping.missing)
            )
        _tell_doubts(table, report[table])


def _tell_doubts(table: str, report: Mapping[str, Any]) -> None:
    for found in report["several"].values():
        names = " and ".join(found["names"])
        get_logger().log(
            WARNING if found["different"] else INFO,
            "%s has both %s: the first that has a value is taken. Both have one, and they "
            "differ, in %s",
            table,
            names,
            counted(found["different"], "row"),
        )
    if report["approximate"]:
        get_logger().warning(
            "%s has columns that are binary fractions (FLOAT, REAL, DOUBLE): %s. Of each value the "
            "shortest decimal is taken; exact amounts are DECIMAL in S9",
            table,
            ", ".join(report["approximate"]),
        )
