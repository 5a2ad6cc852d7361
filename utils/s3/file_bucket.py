"""A bucket in which whole files are kept, and small objects that several machines write in turn.

Files go up and come down in parts, several at once, by boto3's transfer manager, with SHA-256 on
the way. What is written on condition is written only over the very content that was read: S3 has
this since 2024 (If-Match, If-None-Match), and not everything that speaks like it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from s3transfer.manager import TransferManager

from utils.config import TargetConfig
from utils.s3.bucket import PART_BYTES, Bucket
from utils.s3.s3_errors import OF_FILES, BucketMissing, Changed, ObjectMissing

_AT_ONCE = 1_000  # objects in one request to delete
_TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=8
)


@dataclass(frozen=True)
class Small:
    """A small object: its content, S3's word for that, and by S3's own clock for how many seconds
    it has been there unchanged."""

    content: bytes
    etag: str
    age: float


class FileBucket(Bucket):
    """A bucket of files, safe to share between threads."""

    def __init__(
        self, target: TargetConfig, name: str, *, owner: str | None, kms_key: str | None
    ) -> None:
        """Raises TargetError for settings that cannot be used, and without credentials."""
        super().__init__(target, name, owner=owner, kms_key=kms_key, settings=OF_FILES)

    def upload(self, path: Path, key: str) -> None:
        """Put a file there. Raises TargetError, and OSError for a file that cannot be read."""
        extra = {
            **{name: value for name, value in self._whose.items() if name != "Bucket"},
            **self._encryption,
            "ChecksumAlgorithm": "SHA256",
        }
        with self._errors(f"putting {key} there"), path.open("rb") as file, self._moving() as move:
            move.upload(file, self.name, key, extra_args=extra).result()

    def download(self, key: str, path: Path) -> None:
        """Get a file from there. Raises ObjectMissing, TargetError, and OSError."""
        extra = {name: value for name, value in self._whose.items() if name != "Bucket"}
        try:
            with self._errors(f"getting {key} from there"), self._moving() as move:
                move.download(self.name, key, str(path), extra_args=extra).result()
        except BucketMissing as error:  # it is asked for the size first, which has one word for all
            raise ObjectMissing(error.message, remedy=error.remedy) from error

    def small(self, key: str) -> Small | None:
        """A small object; None where there is none. Raises TargetError."""
        with suppress(ObjectMissing), self._errors(f"getting {key} from there"):
            answer = self._client.get_object(**self._whose, Key=key)
            content: bytes = answer["Body"].read()
            age = (_now(answer) - answer["LastModified"]).total_seconds()
            return Small(content, str(answer["ETag"]), age)
        return None

    def write(self, key: str, content: bytes, over: str | None) -> str:
        """Write a small object over the one with the ETag `over`, or where there is none; returns
        its ETag. No two contents may be the same. Raises Changed where that is not so, and
        TargetError."""
        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        try:
            with self._errors(f"putting {key} there"):
                answer = self._client.put_object(
                    **self._whose,
                    **self._encryption,
                    **condition,
                    Key=key,
                    Body=content,
                    ChecksumAlgorithm="SHA256",
                )
                return str(answer["ETag"])
        except (Changed, ObjectMissing) as error:
            found = self.small(key)
            if found is not None and found.content == content:  # only the answer was lost
                return found.etag
            raise Changed(error.message, remedy=error.remedy) from error

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; in a bucket with versions they are there as such. Raises TargetError."""
        with self._errors("removing what is there no longer"):
            self._remove([{"Key": key} for key in keys])

    def remove_versions(self, keys: Iterable[tuple[str, str]]) -> None:
        """Remove versions of objects (key, version), for good. Raises TargetError."""
        with self._errors("removing what is there no longer"):
            self._remove([{"Key": key, "VersionId": version} for key, version in keys])

    def versions(self, prefix: str) -> Iterator[tuple[str, str, bool]]:
        """Every version below a prefix: key, version, and whether it is the object that is there.
        Raises TargetError."""
        with self._errors(f"listing {prefix}"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                **self._whose, Prefix=prefix
            )
            for page in pages:
                for each in page.get("Versions", ()):
                    yield each["Key"], each["VersionId"], bool(each["IsLatest"])
                for each in page.get("DeleteMarkers", ()):
                    yield each["Key"], each["VersionId"], False

    def try_putting(self, key: str) -> None:
        """See whether an object may be put there, without putting one: an upload in parts is begun,
        and given up. Raises TargetError."""
        with self._errors(f"putting {key} there"):
            begun = self._client.create_multipart_upload(
                **self._whose, **self._encryption, Key=key, ChecksumAlgorithm="SHA256"
            )
            self._client.abort_multipart_upload(**self._whose, Key=key, UploadId=begun["UploadId"])

    def is_public(self) -> bool | None:
        """Whether its policy lets everybody in; None where these credentials may not ask. Raises
        TargetError."""
        told = self._told("get_bucket_policy_status", lambda a: a.get("PolicyStatus", {}))
        return None if told is None else bool(told.get("IsPublic"))

    def _remove(self, named: list[dict[str, str]]) -> None:
        for first in range(0, len(named), _AT_ONCE):
            some: list[Any] = named[first : first + _AT_ONCE]
            self._refused(
                self._client.delete_objects(**self._whose, Delete={"Objects": some, "Quiet": True}),
                len(some),
            )

    def _moving(self) -> TransferManager:
        return TransferManager(self._client, _TRANSFER)


def _now(answer: dict[str, Any]) -> datetime:
    """The moment of an answer, by the clock of who gives it."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    last: datetime = answer["LastModified"]
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(date).replace(tzinfo=timezone.utc)  # of HTTP it is GMT
    return last
