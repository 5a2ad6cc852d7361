"""Who may work on a place in S3, and what the others are told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from utils.config import MigrationConfig
from utils.error_handler import MigrationError
from utils.s3.file_bucket import FileBucket, Small
from utils.s3.s3_errors import Changed
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place
from utils.working_copy.remote_lock import LEASE, Holder, RemoteLock, at_work_elsewhere

PLACE = Place("bucket", "data")


class OneObject:
    """A bucket with room for one object, of some age in seconds."""

    def __init__(self, content: bytes | None = None, age: float = 0.0) -> None:
        self.content, self.age, self.count = content, age, 0

    def small(self, _: str) -> Small | None:
        return None if self.content is None else Small(self.content, str(self.count), self.age)

    def write(self, _: str, content: bytes, over: str | None) -> str:
        if (over is None) != (self.content is None) or over not in (None, str(self.count)):
            raise Changed("changed", remedy="again")
        self.content, self.count = content, self.count + 1
        return str(self.count)

    def remove(self, _: Any) -> None:
        self.content = None


def lock_in(bucket: OneObject, copy: str = "mine") -> RemoteLock:
    patience = Patience(PLACE, MigrationConfig(max_retries=0))
    return RemoteLock(cast(FileBucket, bucket), PLACE, copy, patience, lambda: None)


def of_another(copy: str = "theirs", host: str = "elsewhere", process: int = 1) -> bytes:
    return Holder(copy, host, process, "2026-01-30T08:00:00Z").text(1)


def test_it_is_taken_and_let_go_of() -> None:
    bucket = OneObject()
    lock = lock_in(bucket)
    lock.take()
    with pytest.raises(MigrationError, match="another machine is at work on s3://bucket/data"):
        lock_in(bucket, "another").take()
    lock.release()
    assert bucket.content is None


def test_one_that_is_left_behind_is_told_with_what_takes_it_away() -> None:
    bucket = OneObject(of_another(), age=LEASE + 240)
    with pytest.raises(MigrationError, match="elsewhere, process 1") as told:
        lock_in(bucket).take()
    assert "has not been heard of for" in told.value.message
    assert "aws s3 rm s3://bucket/data/lock.json" in told.value.remedy
    assert at_work_elsewhere(cast(FileBucket, bucket), PLACE, lock_patience()) == ""


def lock_patience() -> Patience:
    return Patience(PLACE, MigrationConfig(max_retries=0))


def test_one_that_this_copy_has_left_behind_is_taken_over() -> None:
    mine = Holder.here("mine")
    gone = Holder(mine.copy, mine.host, 2**22 + 1, mine.since)  # no process has such a number
    lock = lock_in(OneObject(gone.text(1)))
    lock.take()
    lock.release()
    other = Holder(mine.copy, mine.host, 1, mine.since)  # which is always there
    with pytest.raises(MigrationError, match="process 1"):
        lock_in(OneObject(other.text(1))).take()


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"not json"])
def test_what_cannot_be_read_is_somebodys(text: bytes) -> None:
    with pytest.raises(MigrationError, match="an unnamed machine"):
        lock_in(OneObject(text)).take()
