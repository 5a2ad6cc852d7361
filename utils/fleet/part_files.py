"""The files of parts: complete under their names, whoever wrote them, and how often.

`sales/part-00042-1f0c….json` beside `sales.json` is what somebody has made of part 42. Two tasks
may be at the same part (a machine that was thought to be lost, a twin of one that is slow), and
what they read may not be the same (a snapshot that was given up meanwhile): each writes a file of
its own, whose name is known to who hears of it, and nobody writes to it again. Put together in
their order, the parts are the file that one machine would have written, byte for byte.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry, ArtifactWriter
from utils.files.elsewhere import made_at
from utils.files.storage import partial_of, storage_errors
from utils.interrupt import StopFlag
from utils.wording.invocation import again

_BLOCK = 1 << 20
# To remove a directory into which somebody still writes; seconds between two tries.
_TRIES, _REST = 5, 0.2


@dataclass(frozen=True)
class WrittenPart:
    """A file of a part: its name in the directory of the parts, and what is in it."""

    name: str
    entry: ArtifactEntry

    def as_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> WrittenPart:
        """What `as_json` gave."""
        return cls(stored["name"], ArtifactEntry(**stored["entry"]))


def file_of(path: Path, part: WrittenPart) -> Path:
    """Where a part of the artifact at `path` is."""
    return path.with_suffix("") / part.name


@dataclass
class PartWriter:
    """A part that is being written; it is `written` when that is over."""

    output: ArtifactWriter
    name: str
    entry: ArtifactEntry | None = None

    @property
    def written(self) -> WrittenPart:
        """What has been written, now that it is complete."""
        assert self.entry is not None
        return WrittenPart(self.name, self.entry)


@contextmanager
def writing(path: Path, number: int) -> Iterator[PartWriter]:
    """Write a file of a part of the artifact at `path`, which has its name when the context is left
    without an exception. Raises StorageError."""
    name = f"part-{number:05d}-{uuid.uuid4().hex[:12]}{path.suffix}"
    with made_at(path.with_suffix("") / name) as own:
        try:
            with ArtifactWriter(own) as output:
                part = PartWriter(output, name)
                yield part
                part.entry = output.commit()
        finally:
            partial = partial_of(own)
            with storage_errors(partial):
                partial.unlink(missing_ok=True)


def is_there(path: Path, part: WrittenPart) -> bool:
    """Whether the file of a part is there, by its size: its content is looked at when it is put
    together with the others."""
    file = file_of(path, part)
    return file.is_file() and file.stat().st_size == part.entry.bytes


def put_together(
    output: ArtifactWriter, path: Path, parts: Sequence[WrittenPart], stop: StopFlag
) -> None:
    """Append the parts of the artifact at `path`, in their order. Raises ArtifactError for one
    that is not what its task has written, Interrupted when a stop is asked for."""
    block = memoryview(bytearray(_BLOCK))
    for each in parts:
        part, entry = file_of(path, each), each.entry
        digest, left = hashlib.sha256(), entry.bytes
        with storage_errors(part), part.open("rb", buffering=0) as handle:
            while size := handle.readinto(block):
                stop.leave_if_asked()
                output.write(block[:size], records=0, items=0)
                digest.update(block[:size])
                left -= size
        if left or digest.hexdigest() != entry.sha256:
            raise ArtifactError(
                f"{part} is not what was written there: it was cut or edited, or its disk has lost "
                "something",
                remedy=f"check the disk of data.directory; then delete {part}, and: {again()}",
            )
        output.write(b"", records=entry.records, items=entry.items)


def remove_parts(path: Path) -> None:
    """Remove the files of the parts of the artifact at `path`, also while a task of an earlier run
    that does not know yet that it is not needed writes there. Raises StorageError."""
    directory = path.with_suffix("")
    for left in reversed(range(_TRIES)):
        if not directory.is_dir() or directory.is_symlink():
            return
        with storage_errors(directory):
            try:
                shutil.rmtree(directory)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or not left:
                    raise
                time.sleep(_REST)
