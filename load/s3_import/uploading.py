"""Putting the objects of an import into S3: side by side, each acknowledged and then logged."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from load.s3_import.cutting import Cutting
from load.s3_import.import_state import ImportState
from load.s3_import.object_log import LoggedObject, ObjectLog
from utils.error_handler import TargetError
from utils.files.pieces import ByteRange
from utils.logger import IN_THE_FILES, get_logger
from utils.run.run import Run
from utils.s3.bucket import Bucket
from utils.telemetry.tasks import Task
from utils.wording.figures import counted
from utils.wording.invocation import again

_AT_ONCE = 4
_MEMORY = 128 << 20  # bytes of the file in all objects that are under way

Numbered = tuple[int, Sequence[ByteRange]]


def upload(run: Run, entity: str, state: ImportState, bucket: Bucket) -> None:
    """Put everything of an entity's file into S3 that is not there yet, and see that exactly that
    is there. Raises TargetError, Interrupted when a stop is asked for; called again, it resumes."""
    path = run.workspace.transformed(entity)
    run.artifact(path, written_by="transform")
    cutting = Cutting.of(path, state.bytes, state.transformed)
    began = time.monotonic()
    with (
        ObjectLog(run.workspace.import_objects(entity)) as log,
        run.progress.task(
            "load", entity, state.items, unit="items", step="upload to S3", done=log.items
        ) as task,
    ):
        if not state.uploaded:
            due = [
                (number, places)
                for number, places in enumerate(cutting.objects())
                if number not in log.objects
            ]
            try:
                _Uploading(run, state, bucket, cutting, log, task).all(due)
            finally:
                state.upload_seconds += time.monotonic() - began
                state.save()
        _require_all(state, log, bucket)
        state.objects = sum(bool(each.key) for each in log.objects.values())
        state.stored_bytes = log.stored_bytes
        state.uploaded = True
        state.save()
    get_logger().info(
        "%s: %s in %s (%s, compressed to %s)",
        entity.capitalize(),
        counted(state.objects, "object"),
        state.place,
        counted(state.bytes, "byte"),
        f"{state.stored_bytes:,}",
        extra=IN_THE_FILES,
    )


def at_once(cutting: Cutting) -> int:
    """How many objects are under way at once."""
    return max(1, min(_AT_ONCE, _MEMORY // cutting.target))


class _Uploading:
    """An upload at work."""

    def __init__(
        self,
        run: Run,
        state: ImportState,
        bucket: Bucket,
        cutting: Cutting,
        log: ObjectLog,
        task: Task,
    ) -> None:
        self._run = run
        self._state = state
        self._bucket = bucket
        self._cutting = cutting
        self._log = log
        self._task = task

    def all(self, due: Sequence[Numbered]) -> None:
        """Put the objects that are due into S3. What is under way when it ends early is waited for,
        and logged."""
        most = at_once(self._cutting)
        left: Iterator[Numbered] = iter(due)
        with ThreadPoolExecutor(most, thread_name_prefix="upload") as threads:
            working = {threads.submit(self._put, *each) for each in islice(left, most)}
            try:
                while working:
                    done, working = wait(working, return_when=FIRST_COMPLETED)
                    self._note(done)
                    self._run.stop.leave_if_asked()
                    more = islice(left, most - len(working))
                    working |= {threads.submit(self._put, *each) for each in more}
            except BaseException:
                self._note(each for each in wait(working).done if each.exception() is None)
                raise

    def _put(self, number: int, places: Sequence[ByteRange]) -> LoggedObject:
        content = self._cutting.content(number, places)
        if not content.items and self._state.items:  # long lines leave a piece without any
            return LoggedObject(number, "", 0, 0, 0, "", "")
        packed = content.compressed()
        digest = hashlib.sha256(packed).hexdigest()
        stored = self._bucket.put_bytes(f"{self._state.prefix}{number:05}.json.gz", packed)
        return LoggedObject(
            number,
            stored.key,
            content.items,
            len(content.plain),
            stored.size,
            digest,
            stored.etag,
        )

    def _note(self, done: Iterator[Future[LoggedObject]] | set[Future[LoggedObject]]) -> None:
        for each in done:
            found = each.result()
            self._log.add(found)
            self._task.advance(found.items, bytes=found.bytes)


def _require_all(state: ImportState, log: ObjectLog, bucket: Bucket) -> None:
    """Raise TargetError unless exactly what was logged is in S3, and that is all of the file: an
    import takes whatever it finds there."""
    expected = {each.key: each.stored for each in log.objects.values() if each.key}
    there = {each.key: each for each in bucket.objects(state.prefix)}
    gone, strange = sorted(expected.keys() - there.keys()), sorted(there.keys() - expected.keys())
    both = sorted(expected.keys() & there.keys())
    problems = [
        *(f"{key} is not there any more" for key in gone),
        *(f"{key} was not put there by this load" for key in strange),
        *(f"{key} was changed since" for key in both if expected[key] != there[key]),
    ]
    if problems:
        shown = "".join(f"\n  - {each}" for each in problems[:5])
        raise TargetError(
            f"{state.place} does not hold what this load has put there "
            f"({counted(len(problems), 'object')}):{shown}",
            remedy="see who else writes there; to upload everything again, delete "
            f"{state.path.name} and {state.path.stem}.objects in {state.path.parent}, then: "
            f"{again()}",
        )
    if (log.items, log.bytes) != (state.items, state.bytes):
        raise TargetError(
            f"the objects in {state.place} hold {counted(log.items, 'item')} in "
            f"{counted(log.bytes, 'byte')}, and the file has {state.items:,} in {state.bytes:,}",
            remedy=f"delete {state.path.name} and {state.path.stem}.objects in "
            f"{state.path.parent}, which uploads everything again, then: {again()}",
        )
