"""The files of a data directory, kept in S3 while a command works on them: lock, pull, push, sweep,
in that order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from utils.config import Config
from utils.error_handler import ArtifactError, MigrationError
from utils.files.storage import make_directory, telling_of_files
from utils.interrupt import StopFlag
from utils.s3.file_bucket import FileBucket
from utils.s3.s3_errors import Changed
from utils.wording.invocation import again
from utils.working_copy import kept
from utils.working_copy.index import Index
from utils.working_copy.kinds import is_looked_at
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place
from utils.working_copy.pull import Pull
from utils.working_copy.push import Push
from utils.working_copy.record import Record
from utils.working_copy.remote_lock import RemoteLock, at_work_elsewhere
from utils.working_copy.staging import When
from utils.working_copy.sweep import sweep


def bucket_of(config: Config, place: Place) -> FileBucket:
    """The bucket of a place. Raises TargetError."""
    settings = config.data.s3
    return FileBucket(config.target, place.bucket, owner=settings.owner, kms_key=settings.kms_key)


class Keeping:
    """A context manager around the work of one command."""

    def __init__(self, config: Config, place: Place, root: Path, stop: StopFlag | None) -> None:
        self._config = config
        self._place = place
        self._record = Record.open(root, str(place))
        self._patience = Patience(place, config.migration)
        self._patience.stop = stop
        self._bucket = bucket_of(config, place)
        self._push: Push | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Keeping:
        with ExitStack() as stack:
            lock = RemoteLock(
                self._bucket, self._place, self._record.copy, self._patience, self._lost
            )
            lock.take()
            stack.callback(lock.release)
            push = self._push = self._opened()
            stack.enter_context(telling_of_files(push.has_named))
            stack.enter_context(kept.keeping(self._record.root, push.keep))
            push.begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Everything is sent, also what a command that has failed has left; what went wrong before
        is what is told."""
        push = self._push
        assert push is not None
        with self._stack:
            push.end()
            try:
                push.send(When.END)
                sweep(self._bucket, self._place, push.index, self._patience)
            except MigrationError:
                if kind is None:
                    raise

    def send(self) -> None:
        """Send everything now. Raises as utils/working_copy/push.py says."""
        assert self._push is not None
        self._push.send(When.END)

    def send_afterwards(self, say: Callable[[str], object]) -> None:
        """Send what has been written since the end, unless another machine has begun."""
        push = self._push
        assert push is not None
        try:
            push.send(When.END, waits=False)
        except (MigrationError, Changed) as error:
            say(f"Warning: what was written last is not in S3: {error.message}")

    def _lost(self) -> None:
        if self._push is not None:
            self._push.is_taken()

    def _opened(self) -> Push:
        """The files as they are to be worked on, and who sends them. What this copy has written
        last is believed: what it holds was never less than what S3 has."""
        pull = Pull(self._bucket, self._place, self._patience)
        index, etag = pull.index()
        record = self._record
        _require_index(record, index, etag, self._place)
        if etag is not None and not _is_by(record, index):
            pull.bring(record, index)
            record.generation = index.generation
        record.whole, record.elsewhere = True, ""
        record.save()
        push = Push(self._bucket, self._place, record, self._patience, index, etag)
        push.send(When.END)  # what was written when S3 did not answer
        return push


def _is_by(record: Record, index: Index) -> bool:
    """Whether S3 has what this copy has written last: then the copy has that and more. A copy that
    does not know of it was killed just then, or is an old one that somebody has put back."""
    return (record.whole, record.copy, record.generation) == (True, index.by, index.generation)


def _require_index(record: Record, index: Index, etag: str | None, place: Place) -> None:
    """Raise ArtifactError where S3 has less than this copy has put there."""
    if record.whole and index.by in ("", record.copy) and index.generation < record.generation:
        what = "is no longer there" if etag is None else "is an earlier one than was put there"
        raise ArtifactError(
            f"{place.url(place.index)} {what}",
            remedy="put the last version of the object back, if the bucket keeps versions. If "
            f"this migration was deleted there on purpose, move {record.root} away; then: "
            f"{again()}",
        )


def bring_to_look(config: Config, place: Place, root: Path, *, everything: bool) -> None:
    """Get what there is to look at; see utils/working_copy/at_work.py. The lock of the copy is held
    by the caller."""
    make_directory(root)
    record = Record.open(root, str(place))
    bucket, patience = bucket_of(config, place), Patience(place, config.migration)
    pull = Pull(bucket, place, patience)
    for tries_left in reversed(range(3)):
        record.elsewhere = at_work_elsewhere(bucket, place, patience)
        index, etag = pull.index()
        if etag is None or _is_by(record, index):
            record.elsewhere = ""  # of a command of this very copy, which was killed
            record.save()
            return
        try:
            pull.bring(record, index, None if everything else is_looked_at)
        except ArtifactError:
            if not tries_left or pull.index()[1] == etag:
                raise  # nobody has replaced it meanwhile
        else:
            return
