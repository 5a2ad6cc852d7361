"""S9 adds up its own columns, in the snapshot in which they are read.

What the accountant's proof begins with: SQL has counted and summed it, and no line of ours. One
query for all columns of few values, and one for each that names other records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Any

import orjson

from extract.selection import ExtractPlan
from extract.source import Source
from extract.sums.queries import SumQueries
from utils.entities import Shape, column_of, shape_of
from utils.files.artifacts import ArtifactWriter
from utils.run.run import Run
from utils.sums.source_sums import (
    Group,
    Head,
    Incomplete,
    Line,
    columns_by,
    group_of,
    measures_of,
    parsed,
    read_incomplete,
    read_sums,
    together,
)

PHASE = "extract"
_PAGE = 100  # lines that are written at once


def add_up(run: Run, source: Source, planned: ExtractPlan) -> None:
    """Have S9 add up the planned records of an entity with amounts, and write down what it says.

    Raises SourceError when S9 refuses, BackOff when the connection is lost.
    """
    shape = shape_of(planned.entity)
    if shape.measures is None:
        return
    queries = _queries(source, planned, shape)
    path = run.workspace.source_sums(planned.entity)
    with (
        ArtifactWriter(path) as writer,
        run.progress.task(PHASE, planned.entity, None, step="adding up"),
    ):
        found: Iterable[Line] = chain(
            [Head(queries.absent, zero=_with_zero(source, planned))],
            _groups(source, queries, shape),
            _incomplete(source, queries),
        )
        _write(writer, found)
        run.commit(path, writer)


def add_up_again(
    run: Run,
    source: Source,
    planned: ExtractPlan,
    before: Iterable[Mapping[str, Any]],
    keys: Collection[int],
    *,
    is_later: bool = True,
) -> ArtifactWriter | None:
    """Put what S9 says now of some records (`planned` is for them alone) in the place of what it
    has said of them before; `before` are their extracted rows of that time, `keys` their keys.
    `is_later`: they are of a later moment than the others, which is told.

    Returns what has been written, to be published together with the extracted file; None where
    nothing was added up. The caller closes it.
    """
    shape, path = shape_of(planned.entity), run.workspace.source_sums(planned.entity)
    if run.workspace.name_of(path) not in run.manifest.artifacts:
        return None
    run.artifact(path, written_by=PHASE)
    queries = _queries(source, planned, shape)
    head = next(read_sums(path))
    assert isinstance(head, Head)
    kept = (each for each in read_incomplete(path) if each.key not in keys)
    writer = ArtifactWriter(path)
    found: Iterable[Line] = chain(
        [replace(head, again=(*head.again, source.snapshot.taken_at)) if is_later else head],
        together(
            chain(
                (each for each in read_sums(path) if isinstance(each, Group)),
                (-each for row in before for each in _of_row(row, shape, head)),
                _groups(source, queries, shape),
            )
        ),
        merge(kept, _incomplete(source, queries), key=attrgetter("key")),
    )
    try:
        _write(writer, found)
    except BaseException:
        writer.__exit__(None, None, None)
        raise
    return writer


def _write(writer: ArtifactWriter, lines: Iterable[Line]) -> None:
    rest = iter(lines)
    while page := [line.as_line() for line in islice(rest, _PAGE)]:
        writer.write(b"".join(page), records=len(page), items=len(page))


def _queries(source: Source, planned: ExtractPlan, shape: Shape) -> SumQueries:
    return SumQueries(source, planned, tuple(map(column_of, measures_of(shape).amounts)))


def _with_zero(source: Source, planned: ExtractPlan) -> tuple[str, ...]:
    """Of which of the records that these name there is one with the key 0."""
    return tuple(
        copy.name
        for copy in planned.records.copies
        if source.tally(
            f"SELECT 1 FROM ({copy.query}) AS q WHERE {source.quote(copy.key.name)} = 0 LIMIT 1"
        )
    )


def _groups(source: Source, queries: SumQueries, shape: Shape) -> Iterator[Group]:
    sets = columns_by(shape)
    for query in queries.groups(sets):
        for place, text in source.summed(query):
            labels, records, lines, amounts, there = parsed(text)
            sums = tuple(map(Decimal, amounts))
            without = tuple(records - count for count in there)
            yield Group(sets[int(place)], tuple(labels), records, lines, sums, without)


def _incomplete(source: Source, queries: SumQueries) -> Iterator[Incomplete]:
    query = queries.incomplete()
    for key, text in source.summed(query) if query else ():
        has = orjson.loads(text)
        yield Incomplete(int(key), tuple(place for place, each in enumerate(has) if not each))


def _of_row(row: Mapping[str, Any], shape: Shape, head: Head) -> Iterator[Group]:
    lines = shape.items_in(row) - 1
    for by in columns_by(shape):
        yield group_of(row, by, shape, lines=lines, absent=head.absent)
