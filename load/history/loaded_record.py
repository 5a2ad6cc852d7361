"""When, and in which request, a record was loaded, by what is kept of the load."""

from __future__ import annotations

from pathlib import Path

from load.history.request_log import LoggedRequest, requests_in
from load.undoable_loads import Load, loads_in
from utils.explain.stations import LoadedRecord, WrittenBy
from utils.explain.transformed_records import TransformedRecords
from utils.files.line_marks import LineMarks
from utils.files.parts import opened_here
from utils.files.pieces import ByteRange
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest


def loaded_record(
    files: Workspace, manifest: Manifest, entity: str, key: int
) -> LoadedRecord | None:
    """What is kept of the load of a record with S9's `key`, None where nothing is kept of any load
    of the entity. Only looked at. Raises ArtifactError when the state of a load is damaged."""
    load = next((each for each in loads_in(files) if each.entity == entity), None)
    if load is None:
        return None
    place = _place_in(load.loaded, key)
    done = manifest.phase("load", entity)
    is_same_run = load.state.run in ("", manifest.run_id)
    found = LoadedRecord(
        run=load.state.run or load.state.run_id,
        began=load.state.began,
        ended=done.at if done and load.state.complete and is_same_run else "",
        complete=load.state.complete,
        may_be_sent=_may_be_sent(load, place),
        undone=_undone(load, manifest),
    )
    return _with_requests(found, load, place) if place else found


def _undone(load: Load, manifest: Manifest) -> str:
    if load.state.undone:
        return "done" if load.state.undone.get("done") else "begun"
    return manifest.rolled_back


def _place_in(path: Path, key: int) -> ByteRange | None:
    with TransformedRecords(path) as records:
        return records.place(key)


def _may_be_sent(load: Load, place: ByteRange | None) -> bool:
    if place is None:
        return load.state.may_have_written
    return any(start < place.end and place.start < end for start, end in load.state.sent)


def _with_requests(found: LoadedRecord, load: Load, place: ByteRange) -> LoadedRecord:
    head, lines = requests_in(load.requests, load.loaded, place)
    return LoadedRecord(
        **{
            **vars(found),
            "head": _written_by(head) if head else None,
            "lines": tuple(map(_written_by, lines)),
            "marks": _marks(load, place),
        }
    )


def _marks(load: Load, place: ByteRange) -> tuple[int, ...]:
    if not load.plan.exists():
        return ()
    with opened_here(load.loaded) as handle, LineMarks(load.plan, writes=False) as plan:
        handle.seek(place.start)
        at, marks = place.start, []
        for line in handle:
            if at >= place.end:
                break
            marks += plan.marks(at, [line])
            at += len(line)
    return tuple(marks)


def _written_by(request: LoggedRequest) -> WrittenBy:
    return WrittenBy(request.kind.name.lower(), request.at, request.request_id)
