"""The engine that reads any declared entity from S9 into data/extracted/{entity}.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from utils.artifacts import ArtifactWriter
from utils.error_handler import BackOff, SourceError
from utils.logger import get_logger
from utils.manifest import PhaseEntry
from utils.run import Run, settings_digest

from extract.declaration import Entity
from extract.postgresql import PostgresSource, RowStream
from extract.selection import Plan, plan

PHASE = "extract"
_FLUSH_RECORDS = 500

Row = tuple[bytes, bytes]


def open_source(run: Run) -> PostgresSource:
    """Open the one snapshot from which every entity of this extract is read."""
    source = PostgresSource(run.config.source)
    run.manifest.snapshot = asdict(source.snapshot)
    return source


def settings(run: Run, entity: str) -> str:
    """The digest of every setting that shapes an entity's extract."""
    source = run.config.source
    return settings_digest(
        [source.type, source.layout, source.schema, source.timezone],
        run.config.extraction.of(entity),
        run.config.extraction.disabled_parties,
    )


def extract(run: Run, source: PostgresSource, entity: Entity) -> PhaseEntry:
    """Read one entity: its selected records in key order, whole, into its artifact.

    Returns the phase's entry in the manifest. Raises SourceError when S9 cannot be read, or when
    what was read is not what S9 itself counted in the same snapshot.
    """
    run.begin(PHASE, entity.name)
    extraction = run.config.extraction
    try:
        planned = plan(entity, extraction.disabled_parties, extraction.of(entity.name), source)
        counted = _count(source, planned)
        _write(run, source, planned, counted)
    except BackOff as error:
        raise SourceError(
            f"the connection to S9 was lost while reading {entity.name}: {error.detail}",
            remedy="when S9 answers again, run again with --resume",
        ) from error
    _tell_columns(planned)
    return run.finish(
        PHASE,
        entity.name,
        inputs={},
        settings=settings(run, entity.name),
        result={
            "source": counted,
            "snapshot": asdict(source.snapshot),
            "columns": _columns_report(planned),
        },
    )


def _count(source: PostgresSource, planned: Plan) -> dict[str, int]:
    """What S9 itself counts in the snapshot: the first station of the ledger."""
    records, keys = source.count(planned.records)
    if records != keys:
        raise SourceError(
            f"the query for {planned.entity} returns {records - keys:,} rows without a key or "
            "with the key of another row",
            remedy=f"correct extraction.{planned.entity}.query: each record once, none without key",
        )
    children = source.count(planned.children)[0] if planned.children else 0
    return {"records": records, "items": records + children}


def _write(run: Run, source: PostgresSource, planned: Plan, counted: dict[str, int]) -> None:
    """Stream the records into the artifact."""
    path = run.workspace.extracted(planned.entity)
    streams = [source.stream(planned.records)]
    if planned.children:
        streams.append(source.stream(planned.children))
    try:
        with (
            ArtifactWriter(path) as writer,
            run.progress.task(PHASE, planned.entity, counted["records"]) as task,
        ):
            for records, items, data in _packed(_records(planned, streams)):
                writer.write(data, records=records, items=items)
                task.advance(records)
            _compare(planned.entity, counted, writer)
            run.publish(path, writer.commit())
    finally:
        for stream in streams:
            stream.close()


def _records(planned: Plan, streams: list[RowStream]) -> Iterator[tuple[int, bytes]]:
    """The records as (items, line) pairs."""
    if planned.children is None:
        return ((1, row + b"\n") for _, row in streams[0])
    return merge(streams[0], streams[1], planned.children_name)


def merge(
    parents: Iterable[Row], children: Iterable[Row], name: str
) -> Iterator[tuple[int, bytes]]:
    """Put each child into its parent under `name`, by splicing JSON texts.

    Both come as (key, JSON object) pairs in the order of the parents' keys; yields
    (items, line) pairs, where items counts the parent and its children.
    """
    opening = b',"%b":[' % name.encode()
    rest = iter(children)
    child_key, child = next(rest, (None, b""))
    for key, parent in parents:
        own: list[bytes] = []
        while child_key == key:
            own.append(child)
            child_key, child = next(rest, (None, b""))
        yield 1 + len(own), b"".join((parent[:-1], opening, b",".join(own), b"]}\n"))


def _packed(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """Gather lines so that the writer is called once for many: (records, items, data)."""
    lines: list[bytes] = []
    items = 0
    for count, line in records:
        lines.append(line)
        items += count
        if len(lines) == _FLUSH_RECORDS:
            yield len(lines), items, b"".join(lines)
            lines, items = [], 0
    if lines:
        yield len(lines), items, b"".join(lines)


def _compare(entity: str, counted: dict[str, int], writer: ArtifactWriter) -> None:
    if counted != {"records": writer.records, "items": writer.items}:
        raise SourceError(
            f"S9 counts {counted['records']:,} {entity} ({counted['items']:,} with lines), but "
            f"{writer.records:,} ({writer.items:,}) were read",
            remedy="run the extract again; if it stays so, the query does not select a fixed set",
        )


def _columns_report(planned: Plan) -> dict[str, Any]:
    """For the reports: which columns of which table nobody maps, and which are absent."""
    return {
        table: {"unmapped": list(mapping.unmapped), "missing": list(mapping.missing)}
        for table, mapping in planned.columns.items()
    }


def _tell_columns(planned: Plan) -> None:
    for table, mapping in planned.columns.items():
        if mapping.unmapped:
            get_logger().warning(
                "%s has columns without a place in the target: %s (they stay in data/extracted)",
                table,
                ", ".join(mapping.unmapped),
            )
        if mapping.missing:
            get_logger().info(
                "%s lacks columns that S9 usually has: %s", table, ", ".join(mapping.missing)
            )
