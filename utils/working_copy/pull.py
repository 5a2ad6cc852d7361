"""The files of a place in S3, got into a working copy: what differs, each proven by its SHA-256.

While files come, the record of the copy says that it is not whole: whoever is killed then begins
again, and what has come stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from utils.error_handler import ArtifactError, StorageError
from utils.files.artifacts import sha256_of_file
from utils.files.known_files import FileStamp
from utils.files.storage import make_directory, open_private, partial_of, publish, storage_errors
from utils.logger import get_logger
from utils.s3.file_bucket import FileBucket
from utils.s3.s3_errors import ObjectMissing
from utils.wording.figures import counted
from utils.wording.invocation import again, command
from utils.working_copy.index import Entry, Index
from utils.working_copy.kept import replay
from utils.working_copy.kinds import names_in
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place
from utils.working_copy.record import Record

Wanted = Callable[[str, int], bool]
"""Whether a file is needed, by its name and size."""


class Pull:
    """Gets files of one place. Raises StorageError when S3 or the disk cannot be used, and
    ArtifactError that names an object which is missing or damaged."""

    def __init__(self, bucket: FileBucket, place: Place, patience: Patience) -> None:
        self._bucket = bucket
        self._place = place
        self._patience = patience

    def index(self) -> tuple[Index, str | None]:
        """The index that S3 has, with its ETag; an empty one and None where there is none."""
        found = self._patience.do(lambda: self._bucket.small(self._place.index))
        if found is None:
            return Index(), None
        return Index.read(found.content, self._place.url(self._place.index)), found.etag

    def bring(self, record: Record, index: Index, wanted: Wanted | None = None) -> None:
        """Make a working copy the same as the index, or that of it which is `wanted`: the other
        files are not there then, rather than as they were once."""
        record.whole = False
        record.generation = 0
        record.save()
        root = record.root
        due = {
            name: entry
            for name, entry in index.files.items()
            if wanted is None or wanted(name, entry.size)
        }
        with storage_errors(root):
            for name, path in list(names_in(root)):
                if name not in due:
                    path.unlink()
                    record.files.pop(name, None)
        missing = [name for name, entry in due.items() if not self._is_there(record, name, entry)]
        if missing:
            get_logger().info("Getting %s from %s", counted(len(missing), "file"), self._place)
        for name in missing:
            self._get(record, name, due[name])
        record.whole = wanted is None
        record.save()

    def _is_there(self, record: Record, name: str, entry: Entry) -> bool:
        """Whether a file is as the index has it; of one that may have been changed elsewhere since,
        nothing is believed."""
        path = record.root / name
        if entry.life or not path.is_file():
            return False
        if record.knows(path, name, entry.sha256):
            return True
        stamp = FileStamp.of(path)
        if stamp.size != entry.size or sha256_of_file(path) != entry.sha256:
            return False
        record.note(name, entry.sha256, stamp if stamp.settled else None)
        return True

    def _get(self, record: Record, name: str, entry: Entry) -> None:
        path = record.root / name
        partial = partial_of(path)
        make_directory(path.parent)
        with storage_errors(path):
            with open_private(partial, "wb") as file:
                if not entry.key:
                    file.write(entry.bytes)
            if entry.key:
                self._download(name, entry, partial)
            if sha256_of_file(partial) != entry.sha256:
                raise self._broken(name, entry, "is not what was put there (its SHA-256 differs)")
            if entry.life:
                self._replay(name, entry, partial)
            stamp = FileStamp.of(partial)
            publish(path)
        if not entry.life:
            seen = FileStamp.of(path)
            if seen.settled and seen[:-1] == stamp[:-1]:
                record.note(name, entry.sha256, seen)

    def _download(self, name: str, entry: Entry, partial: Path) -> None:
        try:
            self._patience.do(lambda: self._bucket.download(entry.key, partial))
        except ObjectMissing as error:
            raise self._broken(name, entry, "is missing") from error
        partial.chmod(0o600)

    def _replay(self, name: str, entry: Entry, partial: Path) -> None:
        """Do to a file of items what was kept since it was sent."""
        prefix = self._place.kept_of(name, entry.life)
        since = self._patience.do(lambda: [e.key for e in self._bucket.objects(prefix)])
        try:
            replay(partial, map(self._got, since))
        except (sqlite3.Error, ValueError) as error:
            raise StorageError(
                f"what was kept of {name} in {self._place.url(prefix)} is damaged",
                remedy="without it the load cannot be undone: put an earlier version of the "
                f"objects back, if the bucket keeps versions; then: {again()}",
            ) from error

    def _got(self, key: str) -> bytes:
        return self._patience.do(lambda: self._bucket.get(key))

    def _broken(self, name: str, entry: Entry, what: str) -> ArtifactError:
        return ArtifactError(
            f"{self._place.url(entry.key)} (the file {name}) {what}",
            remedy="put an earlier version of the object back, if the bucket keeps versions; or "
            "go on at the machine that has the working copy; or start over with another "
            f"data.directory: {command('--full')}",
        )
