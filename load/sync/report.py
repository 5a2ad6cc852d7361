"""data/reports/sync_report.json: what a sync has found to be otherwise in S9, and what it did.

{"runId", "at", "snapshot", "dryRun", "entities": {entity: {"unchanged", "new", "changed", "kept",
"removed", "takenAway"}}, "changes": [{"entity", "PK", "legacyId", "what", "items": {"added",
"replaced", "takenAway"}}], "count"}. The figures are records, but for those of `items`. `what` is

    new             S9 has it, and it was not written before
    changed         it is not as it was written last, and is replaced
    kept            the same, but the application has changed it, too, and its work stays

`removed` are those that were written and that S9 does not hand over any more; `takenAway` is what
became of them (load/sync/removal.py), one by one in removed_report.json. A dry run writes the same
below data/dry-run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from load.load_state import LoadState
from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.run.run import Run

NAME = "sync"


def sync_figures(run: Run, entities: Iterable[str]) -> dict[str, dict[str, int]]:
    """What the plans of a sync have found, by entity. Raises ArtifactError."""
    states = {name: LoadState.load(run.workspace.load_state(name)) for name in entities}
    return {name: dict(state.sync) for name, state in states.items() if state is not None}


def records_written(run: Run, entities: Iterable[str]) -> int:
    """How many records the last sync of a run has written or taken away. Raises ArtifactError."""
    found = sync_figures(run, entities).values()
    return sum(each.get(name, 0) for each in found for name in ("new", "changed", "removed"))


def conclude(run: Run, entities: Iterable[str]) -> None:
    """All of a sync is done: what its plans have is what the target is known to hold. Raises
    ArtifactError and StorageError."""
    for name in entities:
        state = LoadState.load(run.workspace.load_state(name))
        if state is not None and state.is_sync:
            state.concluded = True
            state.save()


def write_sync_report(
    run: Run, entities: Iterable[str], taken_away: Mapping[str, Any], *, dry: bool
) -> Path:
    """Write the report; `taken_away` are the figures of what became of the removed records, by
    entity. Returns its path. Raises ArtifactError and StorageError."""
    path = run.workspace.report(NAME)
    found = sync_figures(run, entities)
    head = {
        **run.report_head(),
        "dryRun": dry,
        "entities": {
            name: {**figures, "takenAway": taken_away.get(name)} for name, figures in found.items()
        },
    }
    partial, count = partial_of(path), 0
    with storage_errors(path), open_private(partial, "wb") as out:
        out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "changes": [')
        for line in _changes(run, found):
            out.write((b",\n    " if count else b"\n    ") + line)
            count += 1
        out.write(b'\n  ],\n  "count": %d\n}\n' % count)
        out.flush()
        os.fsync(out.fileno())
    publish(path)
    return path


def _changes(run: Run, entities: Iterable[str]) -> Iterator[bytes]:
    for path in map(run.workspace.changes, entities):
        if path.exists():
            with path.open("rb") as lines:
                yield from (line.rstrip(b"\n") for line in lines)
