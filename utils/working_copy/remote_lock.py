"""One machine at a time at a place in S3.

The lock of a data directory keeps the commands of one machine apart. This one keeps machines apart:
an object that is written where there is none, and renewed over what was written last, both on
condition. Whoever holds it says who it is. One that has not been renewed for a while is not taken
over unasked: nobody here can tell a machine that is gone from one that is cut off.

That a machine which was thought to be gone does no harm is seen to by the index: it is replaced on
condition, too, and what its machine does next it does only after that (utils/working_copy/push.py).
"""

from __future__ import annotations

import os
import platform
import shlex
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import orjson

from utils.error_handler import MigrationError
from utils.files.artifacts import utc_now
from utils.s3.file_bucket import FileBucket, Small
from utils.s3.s3_errors import Changed
from utils.wording.figures import lasting
from utils.wording.invocation import again
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place

RENEWED_EVERY = 15.0
LEASE = 60.0
"""Seconds after which a lock that is not renewed is told as left behind."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: which working copy, on which machine, by which process, since when."""

    copy: str
    host: str
    process: int
    since: str
    renewals: int = 0

    @classmethod
    def here(cls, copy: str) -> Holder:
        return cls(copy, host(), os.getpid(), utc_now())

    @classmethod
    def read(cls, text: bytes) -> Holder | None:
        """Who a lock names; None where that cannot be read."""
        try:
            return cls(**orjson.loads(text))
        except (ValueError, TypeError):
            return None

    def text(self, renewals: int) -> bytes:
        return orjson.dumps({**vars(self), "renewals": renewals})

    def __str__(self) -> str:
        return f"{self.host}, process {self.process}, since {self.since}"


def host() -> str:
    """The name of this machine."""
    return platform.node() or "an unnamed machine"


def _lives(process: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def at_work_elsewhere(bucket: FileBucket, place: Place, patience: Patience) -> str:
    """Which machine is at work on a place, "" when none has been heard of lately."""
    found = patience.do(lambda: bucket.small(place.lock))
    if found is None or found.age >= LEASE:
        return ""
    return str(Holder.read(found.content) or "an unnamed machine")


class RemoteLock:
    """The lock of a place, for one working copy. While it is held, a thread renews it; `lost` is
    called when that finds somebody else's."""

    def __init__(
        self,
        bucket: FileBucket,
        place: Place,
        copy: str,
        patience: Patience,
        lost: Callable[[], object],
    ) -> None:
        self._bucket = bucket
        self._place = place
        self._holder = Holder.here(copy)
        self._patience = patience
        self._lost = lost
        self._etag = ""
        self._renewals = 0
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lock in S3", daemon=True)

    def take(self) -> None:
        """Take it. Raises MigrationError that names who holds it, and where S3 takes no conditions;
        StorageError when S3 cannot be used."""
        try:
            self._etag = self._write(None)
        except Changed:
            found = self._patience.do(lambda: self._bucket.small(self._place.lock))
            if found is not None and not self._is_ours(found):
                raise self._held(found) from None
            self._etag = self._taken_over(found.etag if found else None)
        self._require_conditions()
        self._thread.start()

    def release(self) -> None:
        """Let go of it; what S3 does not take away is found to be left behind."""
        self._released.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(MigrationError):
            found = self._patience.do(lambda: self._bucket.small(self._place.lock), waits=False)
            if found is not None and found.etag == self._etag:
                self._patience.do(lambda: self._bucket.remove([self._place.lock]), waits=False)

    def _write(self, over: str | None) -> str:
        self._renewals += 1
        text = self._holder.text(self._renewals)
        return self._patience.do(lambda: self._bucket.write(self._place.lock, text, over))

    def _taken_over(self, over: str | None) -> str:
        try:
            return self._write(over)
        except Changed:
            found = self._patience.do(lambda: self._bucket.small(self._place.lock))
            raise self._held(found) from None

    def _is_ours(self, found: Small) -> bool:
        """Whether a command of this very working copy has left it behind, and has ended."""
        holder = Holder.read(found.content)
        mine = self._holder
        if holder is None or (holder.copy, holder.host) != (mine.copy, mine.host):
            return False
        return holder.process == mine.process or not _lives(holder.process)

    def _require_conditions(self) -> None:
        """Raise MigrationError where S3 writes over what there is although it was told not to."""
        try:
            self._patience.do(
                lambda: self._bucket.write(self._place.lock, self._holder.text(0), None)
            )
        except Changed:
            return
        with suppress(MigrationError):
            self._patience.do(lambda: self._bucket.remove([self._place.lock]))
        raise MigrationError(
            f"the S3 of {self._place} does not know conditional writes (If-None-Match): two "
            "machines could not be kept apart",
            remedy="keep the files in an S3 that does (AWS has since 2024), or name a directory as "
            f"data.directory; then: {again()}",
        )

    def _held(self, found: Small | None) -> MigrationError:
        holder = Holder.read(found.content) if found else None
        who = str(holder) if holder else "an unnamed machine"
        age = found.age if found else 0.0
        if age < LEASE:
            return MigrationError(
                f"another machine is at work on {self._place} ({who})",
                remedy=f"wait until it has ended, or stop it there; then: {again()}",
            )
        remove = f"aws s3 rm {shlex.quote(self._place.url(self._place.lock))}"
        return MigrationError(
            f"another machine was at work on {self._place} ({who}), and has not been heard of for "
            f"{lasting(age)}",
            remedy="if it is gone for good, or the command on it has ended, take its lock away: "
            f"{remove}; then: {again()}",
        )

    def _renew(self) -> None:
        while not self._released.wait(RENEWED_EVERY):
            try:
                self._etag = self._bucket.write(self._place.lock, self._next(), self._etag)
            except Changed:
                self._lost()
                return
            except MigrationError:  # S3 does not answer: whoever needs it says so
                continue

    def _next(self) -> bytes:
        self._renewals += 1
        return self._holder.text(self._renewals)
