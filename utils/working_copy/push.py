"""The files of a working copy, sent to their place in S3.

What is sent is a cut (utils/working_copy/staging.py): all files as they were at one moment. The
objects go first, each whole and with its SHA-256; then the index is replaced, on condition that it
is still the one that this machine has written or read last. So S3 holds at every moment what this
machine's disk held at some moment before; and a machine that was thought to be gone, and is not,
fails before it does anything else.

A file that somebody relies on (utils/working_copy/kinds.py) is in S3 before whoever has written it
goes on: the state of a load, by which it is resumed and undone, before the first write that it is
of. What only tells how it stands is sent every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from utils.error_handler import MigrationError
from utils.files.artifacts import utc_now
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.s3.file_bucket import FileBucket
from utils.s3.s3_errors import Changed
from utils.wording.invocation import again
from utils.working_copy.index import Entry, Index
from utils.working_copy.kinds import is_barrier, is_kept_in_s3
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place
from utils.working_copy.record import Record
from utils.working_copy.remote_lock import host
from utils.working_copy.staging import Staged, When, clear, cut, know_again, send_all

_EVERY = 5.0  # seconds
_REST_PER_COST = 20.0
_INLINE = 64 << 10  # bytes that stand in the index itself


class Push:
    """Sends what changes in one working copy, as long as it is at work. Safe to share between
    threads. `index` and `etag` are what S3 has (None: nothing yet)."""

    def __init__(
        self,
        bucket: FileBucket,
        place: Place,
        record: Record,
        patience: Patience,
        index: Index,
        etag: str | None,
    ) -> None:
        self.index = index
        self._bucket = bucket
        self._place = place
        self._record = record
        self._patience = patience
        self._etag = etag
        self._lock = threading.RLock()
        self._taken = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._now_and_then, name="to S3", daemon=True)

    def begin(self) -> None:
        """Send regularly from now on what tells how it stands."""
        self._thread.start()

    def end(self) -> None:
        """Send regularly no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def is_taken(self) -> None:
        """Another machine has taken the place over: nothing is written there any more, and the
        command is asked to stop."""
        self._taken = "another machine has taken its lock away"
        if self._patience.stop is not None:
            self._patience.stop.request()

    def listen_to(self, stop: StopFlag) -> None:
        """The command is stopped by this flag."""
        self._patience.stop = stop

    def has_named(self, path: Path) -> None:
        """A file has got its name. What others rely on is in S3 when this returns. Raises
        StorageError, and MigrationError where another machine has taken the place over."""
        if self._record.root not in path.parents:
            return
        name = path.relative_to(self._record.root).as_posix()
        if is_barrier(name) and is_kept_in_s3(name):
            self.send(When.BARRIER)

    def keep(self, path: Path, life: str, moment: str, text: bytes) -> None:
        """Put there what was kept in a file of items; durable when this returns. Raises as
        `has_named` does."""
        self._require_ours()
        name = path.relative_to(self._record.root.resolve()).as_posix()
        with self._lock:
            known = self.index.files.get(name)
            if known is None or known.life != life:
                self.send(When.BARRIER)  # without the file nothing can be done to it
        key = self._place.kept_of(name, life) + moment
        self._patience.do(lambda: self._bucket.put_bytes(key, text))

    def send(self, when: When, *, waits: bool = True) -> None:
        """Send what has changed. Raises as `has_named` does."""
        with self._lock:
            self._require_ours()
            found = cut(self._record, self.index.files, when)
            try:
                files = send_all(found, self._record, self.index.files, self._sender(waits))
            finally:
                clear(self._record.root)
            know_again(found, self._record)
            if files != self.index.files or self._etag is None:
                self._replace_index(files, waits=waits)

    def _sender(self, waits: bool) -> Callable[[Staged, str], Entry]:
        def send(staged: Staged, sha256: str) -> Entry:
            size = staged.path.stat().st_size
            if size <= _INLINE and is_barrier(staged.name):
                return Entry.of(staged.path.read_bytes())
            key = self._place.file(staged.name, sha256)
            self._patience.do(lambda: self._bucket.upload(staged.path, key), waits=waits)
            return Entry(size, sha256, key, life=staged.life)

        return send

    def _replace_index(self, files: dict[str, Entry], *, waits: bool) -> None:
        new = Index(self.index.generation + 1, self._record.copy, host(), utc_now(), files)
        text, over = new.text(), self._etag
        try:
            self._etag = self._patience.do(
                lambda: self._bucket.write(self._place.index, text, over), waits=waits
            )
        except Changed as error:
            self._taken = "another machine has written there since"
            raise self._not_ours() from error
        old, self.index = self.index, new
        self._record.generation = new.generation
        self._record.save()
        self._remove(old, new)

    def _remove(self, old: Index, new: Index) -> None:
        """What no file is any more goes; what cannot be removed now is found at the end."""
        left = {entry.key for entry in new.files.values()}
        gone = {entry.key for entry in old.files.values()} - left - {""}
        if gone:
            with suppress(MigrationError):
                self._bucket.remove(sorted(gone))

    def _require_ours(self) -> None:
        if self._taken:
            raise self._not_ours()

    def _not_ours(self) -> MigrationError:
        return MigrationError(
            f"{self._place} is no longer this machine's: {self._taken}",
            remedy="leave the migration to that machine; or, when that has ended, type here: "
            f"{again()}",
        )

    def _now_and_then(self) -> None:
        pause = _EVERY
        while not self._ended.wait(pause):
            began = time.monotonic()
            try:
                self.send(When.MEANWHILE, waits=False)
            except MigrationError as error:
                get_logger().warning("%s", error.message, extra={"files_only": True})
            except OSError as error:
                get_logger().warning(
                    "What tells how it stands could not be sent to S3: %s", error.strerror
                )
            pause = max(_EVERY, _REST_PER_COST * (time.monotonic() - began))
