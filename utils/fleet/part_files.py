"""The files of parts: complete under their final names, whoever wrote them, and how often.

`sales/part-00042.json` beside `sales.json` is what has become of part 42. Two tasks may be at the
same part (a machine that was thought to be lost, a twin of one that is slow): each writes a file of
its own, and the last one to be done gives it the name, with the same bytes as the other. Put
together in their order, the parts are the file that one machine would have written, byte for byte.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry, ArtifactWriter
from utils.files.storage import make_directory, storage_errors
from utils.interrupt import StopFlag
from utils.wording.invocation import again

_BLOCK = 1 << 20


def part_file(path: Path, number: int) -> Path:
    """The file of a part of the artifact at `path`."""
    return path.with_suffix("") / f"part-{number:05d}{path.suffix}"


@dataclass
class PartWriter:
    """A part that is being written; `entry` is there when that is over."""

    output: ArtifactWriter
    entry: ArtifactEntry | None = None

    @property
    def written(self) -> ArtifactEntry:
        """What has been written, now that it is complete."""
        assert self.entry is not None
        return self.entry


@contextmanager
def writing(path: Path) -> Iterator[PartWriter]:
    """Write the file of a part, which has its name when the context is left without an exception.
    Raises StorageError."""
    make_directory(path.parent)
    own = path.with_name(f"{path.stem}-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        with ArtifactWriter(own) as output:
            part = PartWriter(output)
            yield part
            part.entry = output.commit()
        with storage_errors(path):
            own.replace(path)
    finally:
        for left in (own, own.with_name(f"{own.name}.partial")):
            with storage_errors(path):
                left.unlink(missing_ok=True)


def is_there(path: Path, entry: ArtifactEntry) -> bool:
    """Whether the file of a part is there, by its size: its content is looked at when it is put
    together with the others."""
    return path.is_file() and path.stat().st_size == entry.bytes


def put_together(
    output: ArtifactWriter, path: Path, entries: Sequence[ArtifactEntry], stop: StopFlag
) -> None:
    """Append the parts of the artifact at `path`, in their order. Raises ArtifactError for one
    that is not what its task has written, Interrupted when a stop is asked for."""
    block = memoryview(bytearray(_BLOCK))
    for number, entry in enumerate(entries):
        part = part_file(path, number)
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
                remedy=f"check the disk of data.directory; then: {again()}",
            )
        output.write(b"", records=entry.records, items=entry.items)


def remove_parts(path: Path) -> None:
    """Remove the files of the parts of the artifact at `path`. Raises StorageError."""
    directory = path.with_suffix("")
    with storage_errors(directory):
        if directory.is_dir() and not directory.is_symlink():
            shutil.rmtree(directory)
