"""Reading single records again, after their cause of refusal has been fixed in S9.

The rows are replaced in the extracted file; records that have left S9 meanwhile leave the file
and the count of the source with it. They are of a later moment than the rest, and the manifest
says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import orjson

from extract.declaration import Entity
from extract.engine import open_for, planned_of, settings
from extract.reading.records import records_of
from extract.snapshot.continuity import PHASE, doubt_of, recognise_source
from extract.snapshot.lost import read_in_spite_of_losses
from extract.snapshot.table_count import NO_LONGER_SELECTED
from extract.source import Source
from extract.sums.adding_up import add_up_again
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter, lines_of, utc_now
from utils.files.extracted_rows import key_of_row
from utils.logger import get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import COMPLETE, Run
from utils.sums.source_sums import parsed
from utils.wording.figures import counted


def extract_again(
    run: Run, declared: Mapping[str, Entity], keys: Mapping[str, Collection[int]]
) -> None:
    """Read records again, by entity and key, into the extracted files that have them.

    Raises ArtifactError when an extracted file is not what the extract wrote, SourceError when S9
    cannot be read.
    """
    left = {name: frozenset(wanted) for name, wanted in keys.items() if wanted}
    read_in_spite_of_losses(
        run,
        partial(_read_again, run, declared, left, (len(left), run.manifest.snapshot)),
        f"{run.command('--resume')}, then {run.command('retry-quarantine')}",
    )


def _read_again(
    run: Run,
    declared: Mapping[str, Entity],
    left: dict[str, frozenset[int]],
    before: tuple[int, dict[str, Any]],
) -> None:
    """Read what is `left`, and take out of it what is done: that stands if the connection is lost.
    `before` is how much that was, and what the manifest said of the snapshot."""
    with open_for(run, declared) as source:
        recognise_source(run, source)
        if len(left) == before[0]:
            run.manifest.snapshot = before[
                1
            ]  # of a moment at which nothing was read it says nothing
        if doubt := doubt_of(run, source, list(declared.values())):
            _state_the_moment(run, source, sum(map(len, left.values())), doubt)
        for name, wanted in list(left.items()):
            with run.progress.task(PHASE, name, len(wanted), step="reading again") as task:
                _replace(run, source, declared[name], wanted)
                task.advance(len(wanted))
            del left[name]


def _replace(run: Run, source: Source, entity: Entity, wanted: frozenset[int]) -> None:
    path = run.workspace.extracted(entity.name)
    run.artifact(path, written_by=PHASE)
    earlier = run.manifest.phase(PHASE, entity.name)
    if earlier is None:
        raise ArtifactError(
            f"the extract of {entity.name} is not complete",
            remedy=f"complete the run first: {run.command('--resume')}",
        )
    planned = planned_of(run, source, entity, wanted)
    before = (parsed(line) for key, line in _lines(run, entity.name) if key in wanted)
    with ExitStack() as written:
        writer = written.enter_context(ArtifactWriter(path))
        files = [(path, writer)]
        sums = add_up_again(run, source, planned, before, wanted)
        if sums is not None:
            written.enter_context(sums)
            files.append((run.workspace.source_sums(entity.name), sums))
        found = 0
        with records_of(source, planned) as records:
            fresh = next(records, None)
            for key, line in _lines(run, entity.name):
                if key is None or key not in wanted:
                    writer.write(line, records=1, items=_items(line, entity))
                    continue
                while fresh is not None and int(fresh[0]) < key:
                    fresh = next(records, None)
                if fresh is not None and int(fresh[0]) == key:
                    writer.write(fresh[2], records=1, items=fresh[1])
                    found += 1
            while fresh is not None:  # S9 hands it over whole
                fresh = next(records, None)
        counted = {"records": writer.records, "items": writer.items}
        result = {**earlier.result, "source": counted, **_table(earlier.result, counted, entity)}
        entry = PhaseEntry(COMPLETE, utc_now(), {}, settings(run, entity.name), result)
        run.manifest.record(PHASE, entity.name, entry)
        run.replace(*files)
    _tell(entity.name, len(wanted), found)


def _table(
    earlier: Mapping[str, Any], counted: Mapping[str, int], entity: Entity
) -> dict[str, Any]:
    """The count of the table, which the selection of another moment has to agree with."""
    if "table" not in earlier:
        return {}
    table = _of_now(earlier["table"], counted["records"])
    if entity.children is not None:
        name = entity.children.name
        table[name] = _of_now(table[name], counted["items"] - counted["records"])
    return {"table": table}


def _of_now(table: Mapping[str, Any], selected: int) -> dict[str, Any]:
    """What is gone has a reason; what has come since was not there when the table was counted."""
    change = selected - table["selected"]
    reasons = dict(table["notSelected"])
    if change < 0:
        reasons[NO_LONGER_SELECTED] = reasons.get(NO_LONGER_SELECTED, 0) - change
    rows = table["rows"] + max(0, change)
    return {**table, "rows": rows, "selected": selected, "notSelected": reasons}


def _lines(run: Run, entity: str) -> Iterator[tuple[int | None, bytes]]:
    for line in lines_of(run.workspace.extracted(entity)):
        yield key_of_row(line), line


def _items(line: bytes, entity: Entity) -> int:
    if entity.children is None:
        return 1
    row: dict[str, Any] = orjson.loads(line)
    return 1 + len(row[entity.children.name])


def _state_the_moment(run: Run, source: Source, count: int, doubt: str) -> None:
    earlier = run.manifest.snapshot.get("statement", "")
    run.manifest.snapshot = {
        **run.manifest.snapshot,
        "consistent": False,
        "statement": f"{earlier}; "
        f"{counted(count, 'record of the quarantine was', 'records of the quarantine were')} read "
        "again at "
        f"{source.snapshot.taken_at}; {doubt}",
    }
    run.save()


def _tell(entity: str, wanted: int, found: int) -> None:
    get_logger().info("Read %d quarantined %s again", found, entity)
    if found < wanted:
        get_logger().warning("%d of the %s have left S9 in the meantime", wanted - found, entity)
