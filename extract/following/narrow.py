"""Bringing the extracted files up to S9 by what its log names: these records are read again, whole,
all from one snapshot that sees their changes, and take their places in the files of the last pass.

Nothing is taken on trust: S9 counts its records in the same snapshot, and where the file does not
have as many, the log has not told everything, and the entity is read whole. Cut short, an extract
that is not complete is made anew, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from extract.change_log.change_log import Changes
from extract.declaration import Entity
from extract.engine import (
    account_for,
    extract_entity,
    open_for,
    planned_of,
    recognised_columns,
    settings,
)
from extract.following.affected import affected
from extract.following.follower import Narrow
from extract.following.tables import Touched, touched_by
from extract.reading.records import records_of
from extract.selection import ExtractPlan
from extract.snapshot.continuity import PHASE, follow_on, recognise_source
from extract.snapshot.lost import read_in_spite_of_losses
from extract.source import Source
from extract.sums.adding_up import add_up_again
from utils.entities import shape_of
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter, lines_of
from utils.files.extracted_rows import key_of_row
from utils.files.storage import make_directory, open_private
from utils.logger import get_logger
from utils.run.manifest import Manifest, PhaseEntry
from utils.run.run import COMPLETE, Run
from utils.sums.source_sums import parsed
from utils.wording.figures import counted
from utils.wording.invocation import again

MOST_KEYS = 20_000  # of one entity; more are read quicker with all the others
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds until the snapshot is taken anew
_WAIT_FOR_FENCE = 0.5
_TELL_AFTER = 8  # of these
_TOGETHER = 1 << 20  # bytes that are written at once


def extract_changes(
    run: Run, before: Manifest, declared: Mapping[str, Entity], narrow: Narrow
) -> None:
    """Bring the extracted files up to S9; `before` is the manifest of the run that has written
    them. An entity whose file is not what that says, or was made by other settings, is read whole.

    Raises SourceError when S9 cannot be read, or is not the one that was followed,
    SourceUnavailable when it stays away; Interrupted.
    """
    bring_up = partial(_bring_all_up, run, before, declared, narrow)
    read_in_spite_of_losses(run, bring_up, again())


def _bring_all_up(
    run: Run, before: Manifest, declared: Mapping[str, Entity], narrow: Narrow
) -> None:
    with _seeing(run, declared, narrow) as source:
        recognise_source(run, source)
        follow_on(run, source, list(declared.values()), before.snapshot)
        _read_up_to_now(run, source, narrow)
        for entity in declared.values():
            _bring_up(run, before, source, entity, narrow.changes)


@contextmanager
def _seeing(run: Run, declared: Mapping[str, Entity], narrow: Narrow) -> Iterator[Source]:
    """S9, open with a snapshot that sees the changes: its log may have a transaction a while before
    others can see it (with a synchronous standby that does not answer, for as long as that lasts).
    """
    wait, tries = _FIRST_WAIT, 0
    while True:
        with open_for(run, declared) as source:
            if narrow.log.is_seen(narrow.changes, source):
                yield source
                return
        tries += 1
        if tries == _TELL_AFTER:
            get_logger().warning(
                "S9's log has changes that S9 does not show yet (does it wait for a standby?): "
                "they are waited for"
            )
        run.stop.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 2)


def _read_up_to_now(run: Run, source: Source, narrow: Narrow) -> None:
    """Have the log tell all that the snapshot sees: more than the changes that it was waited for.
    What comes with that and is later than the snapshot is looked at again by the next pass."""
    log, further = narrow.log, Changes()
    fence = log.fence()
    while not log.has_passed(fence):
        further.add(log.read(_WAIT_FOR_FENCE))
        run.stop.leave_if_asked()
    narrow.take(further, is_seen=log.is_seen(further, source))


def _bring_up(run: Run, before: Manifest, source: Source, entity: Entity, changes: Changes) -> None:
    touched = touched_by(changes, entity, run.config.extraction)
    if not (touched.whole or _takes_over(run, before, entity)):
        touched = Touched(whole=True)
    if touched.is_empty:
        _keep(run, before, source, entity)
        return
    if not touched.whole:
        keys = _keys(run, entity, touched)
        if not keys:
            _keep(run, before, source, entity)
            return
        if len(keys) <= MOST_KEYS and _replace(run, before, source, entity, keys):
            return
    for path in _files(run, entity):
        run.manifest.artifacts.pop(run.workspace.name_of(path), None)
    extract_entity(run, source, entity)


def _takes_over(run: Run, before: Manifest, entity: Entity) -> bool:
    """Whether the files of the last pass are there as it left them; then they are this run's."""
    entry = before.phase(PHASE, entity.name)
    if entry is None or entry.status != COMPLETE or entry.settings != settings(run, entity.name):
        return False
    for path in _files(run, entity):
        name = run.workspace.name_of(path)
        if name in before.artifacts:
            run.manifest.artifacts[name] = before.artifacts[name]
            try:
                run.artifact(path, written_by=PHASE)
            except ArtifactError as error:
                get_logger().warning("%s; %s are read whole", error.message, entity.name)
                return False
    return run.workspace.name_of(run.workspace.extracted(entity.name)) in before.artifacts


def _files(run: Run, entity: Entity) -> list[Path]:
    return [run.workspace.extracted(entity.name), run.workspace.source_sums(entity.name)]


def _keep(run: Run, before: Manifest, source: Source, entity: Entity) -> None:
    """Nothing of an entity has changed: what was extracted is as of now."""
    earlier = _earlier(before, entity)
    _record(run, source, entity, {**earlier.result})


def _earlier(before: Manifest, entity: Entity) -> PhaseEntry:
    entry = before.phase(PHASE, entity.name)
    assert entry is not None, entity.name
    return entry


def _record(run: Run, source: Source, entity: Entity, result: dict[str, Any]) -> None:
    result = {**result, "snapshot": source.snapshot.taken_at}
    run.finish(PHASE, entity.name, inputs={}, settings=settings(run, entity.name), result=result)


def _keys(run: Run, entity: Entity, touched: Touched) -> frozenset[int]:
    """The keys of the touched records, as S9 and the extracted file know them."""
    if not touched.is_looked_up:
        return touched.keys
    child_key = entity.children.table.key if entity.children is not None else ""
    path = run.workspace.extracted(entity.name)
    with run.progress.task(PHASE, entity.name, None, step="looking for what has changed"):
        found = affected(path, touched.references, touched.children, child_key)
        return touched.keys.union(found)


def _replace(
    run: Run, before: Manifest, source: Source, entity: Entity, keys: frozenset[int]
) -> bool:
    """Put these records, as S9 has them now, into the extracted file. False when the file cannot be
    what S9 has: other columns, or another count."""
    earlier, path = _earlier(before, entity), run.workspace.extracted(entity.name)
    planned, narrow = planned_of(run, source, entity), planned_of(run, source, entity, keys)
    if not _has_same_columns(earlier, planned):
        get_logger().warning("S9's columns have changed: %s are read whole", entity.name)
        return False
    with (
        run.progress.task(PHASE, entity.name, len(keys), step="reading what has changed") as task,
        ExitStack() as written,
    ):
        writer = written.enter_context(ArtifactWriter(path))
        replaced = written.enter_context(_beside(run, entity))
        _write(run, entity, keys, source, narrow, writer, replaced)
        there, account = account_for(run, source, entity, planned)
        if there != {"records": writer.records, "items": writer.items}:
            _tell_difference(entity, there, writer)
            return False
        files = [(path, writer)]
        were = map(parsed, lines_of(replaced))
        sums = add_up_again(run, source, narrow, were, keys, is_later=False)
        if sums is not None:
            written.enter_context(sums)
            files.append((run.workspace.source_sums(entity.name), sums))
        run.replace(*files)
        task.advance(len(keys))
    _record(run, source, entity, {**earlier.result, **account})
    return True


def _has_same_columns(earlier: PhaseEntry, planned: ExtractPlan) -> bool:
    known = earlier.result.get("columns", {})
    return all(
        {name: known.get(table, {}).get(name) for name in found} == found
        for table, found in recognised_columns(planned).items()
    )


@contextmanager
def _beside(run: Run, entity: Entity) -> Iterator[Path]:
    """A file for the records that are replaced, for as long as they are needed: they may be large,
    and many."""
    make_directory(run.workspace.scratch)
    path = run.workspace.scratch / f"replaced-{entity.name}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write(
    run: Run,
    entity: Entity,
    keys: frozenset[int],
    source: Source,
    narrow: ExtractPlan,
    writer: ArtifactWriter,
    replaced: Path,
) -> None:
    """Write the file anew, in the order of the keys, one record after the other; the lines that are
    in it no more go to the file `replaced`."""
    path, items_of = run.workspace.extracted(entity.name), shape_of(entity.name).items_in
    unchanged, size, gone = list[bytes](), 0, 0

    def flush() -> None:
        nonlocal size
        writer.write(b"".join(unchanged), records=len(unchanged), items=0)
        unchanged.clear()
        size = 0

    with records_of(source, narrow) as records, open_private(replaced, "wb") as out:
        fresh = next(records, None)
        for line in lines_of(path):
            key = key_of_row(line)
            while fresh is not None and key is not None and int(fresh[0]) <= key:
                flush()
                writer.write(fresh[2], records=1, items=fresh[1])
                fresh = next(records, None)
            if key in keys:
                out.write(line)
                gone += items_of(parsed(line))
            else:
                unchanged.append(line)
                size += len(line)
            if size >= _TOGETHER:
                flush()
                run.stop.leave_if_asked()
        flush()
        while fresh is not None:
            writer.write(fresh[2], records=1, items=fresh[1])
            fresh = next(records, None)
    # What was not touched has the items that it had.
    were = run.manifest.artifacts[run.workspace.name_of(path)].items
    writer.write(b"", records=0, items=were - gone)


def _tell_difference(entity: Entity, there: Mapping[str, int], writer: ArtifactWriter) -> None:
    get_logger().warning(
        "S9 counts %s of %s (with %s), and by its log there are %s (%s): they are read whole",
        counted(there["records"], "record"),
        entity.name,
        counted(there["items"], "row"),
        f"{writer.records:,}",
        f"{writer.items:,}",
    )
