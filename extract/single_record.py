"""One record as S9 has it at this moment, for people who ask: by the queries of the extract, and if
these leave it out, why."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from extract.declaration import Entity
from extract.engine import open_for, planned_of, recognised_columns
from extract.reading.records import records_of
from extract.selection import ExtractPlan, source_name
from extract.snapshot.lost import read_in_spite_of_losses
from extract.snapshot.table_count import count_one
from extract.source import Source
from utils.error_handler import SourceError
from utils.explain.stations import RowNow
from utils.files.artifacts import utc_now
from utils.files.workspace import Workspace
from utils.findings.source_names import Targets, names_of
from utils.run.manifest import Manifest, PhaseEntry
from utils.run.run import COMPLETE, Run
from utils.wording.invocation import again

_MOST_KEYS = 20  # of records with one number

_Seen = TypeVar("_Seen")


def row_now(
    run: Run, declared: Mapping[str, Entity], entity: str, key: int, targets: Targets
) -> RowNow:
    """The row with this key. `targets` are what the columns become. Raises SourceError."""

    def look(run: Run, source: Source) -> RowNow:
        planned = planned_of(run, source, declared[entity], {key})
        line = _line(source, planned)
        reason = ""
        if not line:
            single = _of_one(source, planned, declared[entity], key)
            count = count_one(source, declared[entity], single, run.config.extraction.of(entity))
            if count.rows:
                reason = next(iter(count.not_selected), "it is not selected")
                line = _line_of_whole(source, single)
        names = names_of(_as_extracted(run, planned), entity, targets)
        table = declared[entity].table.name
        return RowNow(table, source.snapshot.taken_at or utc_now(), line, reason, names)

    return _asked(run, declared, look)


def keys_of_number(
    run: Run, declared: Mapping[str, Entity], entity: str, number: int, year: int
) -> list[int]:
    """The keys of the rows that have a running number of a year, rising, whether they are selected
    or not. Raises SourceError."""

    def look(run: Run, source: Source) -> list[int]:
        planned = planned_of(run, source, declared[entity], ())
        mapping = planned.columns[declared[entity].table.name]
        names = {
            each: source.quote(source_name(mapping, each))
            for each in ("first_id", "sale_number", "year", "sale_date")
            if each in mapping.recognised.values()
        }
        if not names.keys() >= {"first_id", "sale_number"}:
            return []
        in_year = names.get("year", "NULL"), names.get("sale_date", "NULL")
        rows = source.tally(
            f"SELECT {names['first_id']}, {in_year[0]}, {in_year[1]} FROM ({planned.whole}) AS q "
            f"WHERE CAST({names['sale_number']} AS CHAR(20)) = '{number}' "
            f"ORDER BY {names['first_id']}"
        )
        years = ((key, str(own or day or "")[:4]) for key, own, day in rows)
        return [int(key) for key, said in years if said == str(year)][:_MOST_KEYS]

    return _asked(run, declared, look)


def _asked(run: Run, declared: Mapping[str, Entity], look: Callable[[Run, Source], _Seen]) -> _Seen:
    """What a look at S9 gives; what has to be kept in between is kept elsewhere than in the data
    directory. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="explain-") as scratch:
        elsewhere = replace(run, workspace=Workspace(Path(scratch)))

        def once() -> _Seen:
            with open_for(elsewhere, declared) as source:
                return look(elsewhere, source)

        return read_in_spite_of_losses(elsewhere, once, again())


def _line(source: Source, planned: ExtractPlan) -> bytes:
    with records_of(source, planned) as records:
        return next((line for _, _, line in records), b"")


def _of_one(source: Source, planned: ExtractPlan, entity: Entity, key: int) -> ExtractPlan:
    """The plan as if the table had only the row with this key."""
    column = source.quote(source_name(planned.columns[entity.table.name], entity.table.key))

    def only(query: str) -> str:
        return f"SELECT * FROM ({query}) AS only_one WHERE {column} = {key}"

    return replace(planned, base=only(planned.base), whole=only(planned.whole))


def _line_of_whole(source: Source, planned: ExtractPlan) -> bytes:
    """The row of a table that the queries leave out; b"" where the table has other columns than
    what is configured reads."""
    children = planned.children
    if children is not None:
        parent, key = source.quote(children.key), source.quote(planned.records.key)
        query = (
            f"SELECT * FROM ({children.everything}) AS l WHERE {parent} IN "
            f"(SELECT {key} FROM ({planned.whole}) AS r)"
        )
        children = replace(children, query=query)
    records = replace(planned.records, query=planned.whole)
    try:
        return _line(source, replace(planned, records=records, children=children))
    except SourceError:
        return b""


def _as_extracted(run: Run, planned: ExtractPlan) -> Manifest:
    """A manifest that knows the names of the columns as they are now."""
    columns = {table: dict(found) for table, found in recognised_columns(planned).items()}
    entry = PhaseEntry(COMPLETE, utc_now(), result={"columns": columns})
    known = run.manifest.phases.get("extract", {})
    return replace(run.manifest, phases={"extract": {**known, planned.entity: entry}})
