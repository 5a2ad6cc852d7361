"""Artifacts in parts though no fleet is at work: with ARTIFACTS_IN_PARTS in the environment every
extracted and every transformed file that a run publishes is cut into parts of whole records.

So everything that the tests know of files is asked of files in parts, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from utils.dynamodb.item_text import source_key_of
from utils.files.artifacts import ArtifactEntry, ArtifactWriter, split_records
from utils.files.extracted_rows import key_of_row
from utils.files.parts import Part, parts_of
from utils.fleet.part_files import writing
from utils.run.run import Run

IN_PARTS = "ARTIFACTS_IN_PARTS"
_MOST = 4


def install() -> None:
    """Have it so in this process, and in those that are forked from it, if it is asked for."""
    if not os.environ.get(IN_PARTS):
        return
    commit, settle = Run.commit, Run.settle

    def committed(run: Run, path: Path, writer: ArtifactWriter) -> None:
        commit(run, path, writer)
        _cut(run, path)

    def settled(run: Run) -> None:
        coming = [run.workspace.root / name for name in run.manifest.coming]
        settle(run)
        for path in coming:
            _cut(run, path)
        if coming:
            run.save()

    for name, function in (("commit", committed), ("settle", settled)):
        setattr(Run, name, function)


def _cut(run: Run, path: Path) -> None:
    """Cut an artifact that is one file into parts of about as many records each."""
    if path.parent.name not in ("extracted", "transformed") or ".sums" in path.name:
        return
    if parts_of(path) is not None:
        return
    entry = run.manifest.artifacts[run.workspace.name_of(path)]
    lines = path.read_bytes().splitlines(keepends=True)
    is_of_rows = path.parent.name == "extracted"
    records = [[line] for line in lines] if is_of_rows else [*split_records(lines)]
    size = -(-len(records) // _MOST) or 1
    parts = [
        _part(path, number, records[start : start + size])
        for number, start in enumerate(range(0, len(records), size))
    ]
    run.commit_parts(path, parts)
    made = run.manifest.artifacts[run.workspace.name_of(path)]
    assert (made.records, made.bytes, made.sha256) == (entry.records, entry.bytes, entry.sha256)
    run.publish(path, ArtifactEntry(**{**vars(made), "items": entry.items}))


def _part(path: Path, number: int, records: Sequence[Sequence[bytes]]) -> Part:
    key_of = key_of_row if path.parent.name == "extracted" else source_key_of
    with writing(path, number) as part:
        for record in records:
            part.spans(key_of(record[0]))
            part.output.write(b"".join(record), records=1, items=len(record))
    return part.written
