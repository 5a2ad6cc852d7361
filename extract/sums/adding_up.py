"""S9 adds up its own columns, in the snapshot in which they are read.

What the accountant's proof begins with: SQL has counted and summed it, and no line of ours: by the
columns of few values, and by each that names other records. Where the source has a connection that
is free for it, that goes on while the records are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Any

import orjson

from extract.selection import ExtractPlan
from extract.source import Source
from extract.sums.queries import SumQueries
from utils.entities import Shape, column_of, shape_of
from utils.error_handler import BackOff
from utils.files.artifacts import ArtifactWriter
from utils.logger import get_logger
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
from utils.telemetry.tasks import Task

PHASE = "extract"
_PAGE = 100  # lines that are written at once


def add_up(run: Run, source: Source, planned: ExtractPlan) -> None:
    """Have S9 add up the planned records of an entity with amounts, and write down what it says.

    Raises SourceError when S9 refuses, BackOff when the connection is lost.
    """
    shape = shape_of(planned.entity)
    if shape.measures is None:
        return
    path = run.workspace.source_sums(planned.entity)
    with ArtifactWriter(path) as writer, _step(run, planned):
        _write(writer, _said(source, planned, shape))
        run.commit(path, writer)


@contextmanager
def adding_up(run: Run, source: Source, planned: ExtractPlan) -> Iterator[Callable[[], None]]:
    """Do the same while the body reads, over another connection that sees the same, if there is
    one. The body calls what it is given when it has read everything: that waits, writes down and
    raises as `add_up` does. If the other connection was lost meanwhile, S9 is asked over this one.
    """
    shape = shape_of(planned.entity)
    if shape.measures is None:
        yield partial(add_up, run, source, planned)
        return
    path = run.workspace.source_sums(planned.entity)
    with (  # left from the last to the first: who is asking ends with his connection
        ExitStack() as files,
        ThreadPoolExecutor(1, thread_name_prefix="sums") as threads,
        source.beside() as other,
    ):
        if other is None:
            yield partial(add_up, run, source, planned)
            return
        writer = files.enter_context(ArtifactWriter(path))
        beside = threads.submit(_write, writer, _said(other, planned, shape))

        def finish() -> None:
            try:
                with _step(run, planned):
                    beside.result()
            except BackOff as lost:
                get_logger().info("S9 is asked again for what it adds up: %s", lost)
                add_up(run, source, planned)
            else:
                run.commit(path, writer)

        yield finish


def _step(run: Run, planned: ExtractPlan) -> Task:
    return run.progress.task(PHASE, planned.entity, None, step="adding up")


def _said(source: Source, planned: ExtractPlan, shape: Shape) -> Iterator[Line]:
    """What S9 adds up, as it says it."""
    queries = _queries(source, planned, shape)
    yield Head(queries.absent, zero=_with_zero(source, planned))
    yield from _groups(source, queries, shape)
    yield from _incomplete(source, queries)


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
    for place, text in source.summed(queries.groups(sets)):
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
