"""The files of parts, while they are made: complete under their names, whoever wrote them, and how
often.

`sales/part-00042-1f0c….json` beside `sales.json` is what somebody has made of part 42. Two tasks
may be at the same part (a machine that was thought to be lost, a twin of one that is slow), and
what they read may not be the same (a snapshot that was given up meanwhile): each writes a file of
its own, whose name is known to who hears of it, and nobody writes to it again. Which of them are
the artifact its list tells, when all are there (utils/files/parts.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from utils.files.artifacts import ArtifactEntry, ArtifactWriter
from utils.files.elsewhere import made_at
from utils.files.parts import Part, directory_of, file_of, opened_here, require_whole
from utils.files.storage import partial_of, storage_errors
from utils.interrupt import StopFlag


@dataclass
class PartWriter:
    """A part that is being written; it is `written` when that is over."""

    output: ArtifactWriter
    name: str
    ends: tuple[str, str] | None = None
    entry: ArtifactEntry | None = None

    def spans(self, *keys: int | None) -> None:
        """Records with these keys of S9's are written, in their order; None: one has none."""
        texts = ["" if key is None else str(key) for key in keys]
        if texts:
            self.ends = (self.ends or (texts[0], ""))[0], texts[-1]

    @property
    def written(self) -> Part:
        """What has been written, now that it is complete."""
        assert self.entry is not None
        made = self.entry
        ends = self.ends or ("", "")
        return Part(self.name, *ends, made.records, made.items, made.bytes, made.sha256)


@contextmanager
def writing(path: Path, number: int) -> Iterator[PartWriter]:
    """Write a file of a part of the artifact at `path`, which has its name when the context is left
    without an exception. Raises StorageError."""
    name = f"part-{number:05d}-{uuid.uuid4().hex[:12]}.json"
    with made_at(directory_of(path) / name) as own:
        try:
            with ArtifactWriter(own) as output:
                part = PartWriter(output, name)
                yield part
                part.entry = output.commit()
        finally:
            partial = partial_of(own)
            with storage_errors(partial):
                partial.unlink(missing_ok=True)


def is_there(path: Path, part: Part) -> bool:
    """Whether the file of a part is there, by its size: its content is looked at when the artifact
    is."""
    file = file_of(path, part)
    return file.is_file() and file.stat().st_size == part.bytes


def put_together(output: ArtifactWriter, path: Path, parts: Sequence[Part], stop: StopFlag) -> None:
    """Append the parts of the file at `path`, in their order, where it is to be one file all the
    same. Raises ArtifactError for one that is not what its task has written, Interrupted when a
    stop is asked for."""
    for part in parts:
        require_whole(path, [part], stop.leave_if_asked)
        with opened_here(file_of(path, part)) as handle:
            output.copy(handle, part.bytes, pause=stop.leave_if_asked)
        output.write(b"", records=part.records, items=part.items)
