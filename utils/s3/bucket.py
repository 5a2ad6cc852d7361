"""A bucket in S3, as a run reaches it: with the session, endpoint and credentials of the target.

What is put there is proven on its way: S3 is told the SHA-256 of every object, or of every part of
one, and refuses what has another. The objects of a place are listed whole, and removed whole: with
all their versions, and with uploads that were never completed. A bucket is safe to share between
threads.
"""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import IO, Any, NamedTuple

from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from utils.aws.services import open_service
from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.s3.s3_errors import OF_IMPORTS, Settings, code_of, s3_errors
from utils.wording.invocation import again

PART_BYTES = 8 << 20  # beyond, an object goes up in parts; S3 takes none below 5 MiB but the last
_MOST_PARTS = 10_000
_DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"}
_TRIES = 3  # of what was damaged on its way
_AT_ONCE = 1_000  # objects in one request to delete
_PATIENT = BotoConfig(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 6},
    max_pool_connections=16,
)


@dataclass(frozen=True)
class StoredObject:
    """An object as S3 has it: `size` in bytes, `etag` S3's own word for its content."""

    key: str
    size: int
    etag: str


class _Part(NamedTuple):
    number: int
    content: bytes


class Bucket:
    """A bucket. What is put there is encrypted by the key `kms_key` in AWS KMS, by default as the
    bucket says. Every request fails where it does not belong to the account `owner`, if one is
    named."""

    def __init__(
        self,
        target: TargetConfig,
        name: str,
        *,
        owner: str | None = None,
        kms_key: str | None = None,
        settings: Settings = OF_IMPORTS,
    ) -> None:
        """`settings` are those that name it, for errors. Raises TargetError for settings that
        cannot be used, and without credentials."""
        self.name = name
        self._settings = settings
        self._errors = partial(s3_errors, target, name, settings=settings)
        with self._errors("opening it"):
            self._client: Any = open_service(target, "s3", _PATIENT)
        self._whose = {"Bucket": name, **({"ExpectedBucketOwner": owner} if owner else {})}
        self._encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        )

    def put_bytes(self, key: str, content: bytes) -> StoredObject:
        """Put an object there, over one that there may be. Raises TargetError."""
        return self.put(key, io.BytesIO(content), len(content))

    def put(self, key: str, content: IO[bytes], size: int) -> StoredObject:
        """The same of the next `size` bytes of a file; never more than a part of it is in memory.
        What is not completed is not there. Raises TargetError."""
        with self._errors(f"putting {key} there"):
            if size <= PART_BYTES:
                etag = self._put_whole(key, _read(content, size))
            else:
                etag = self._put_parts(key, content, size)
        return StoredObject(key, size, etag)

    def get(self, key: str) -> bytes:
        """The content of an object, whole. Raises TargetError."""
        with self._errors(f"getting {key} from there"):
            answer = self._client.get_object(**self._whose, Key=key)
            content: bytes = answer["Body"].read()
        return content

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins so, in the order of the keys. Raises TargetError."""
        with self._errors(f"listing {prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                **self._whose, Prefix=prefix
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    yield StoredObject(each["Key"], each["Size"], each["ETag"])

    def remove_all(self, prefix: str) -> int:
        """Remove everything whose key begins so: objects with all their versions, and uploads that
        were not completed; returns how many objects and versions. `prefix` names a place of the
        caller's own. Raises TargetError."""
        removed = 0
        with self._errors(f"removing {prefix}"):
            self._abort_uploads(prefix)
            pages = self._client.get_paginator("list_object_versions").paginate(
                **self._whose, Prefix=prefix
            )
            for page in pages:
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                for first in range(0, len(found), _AT_ONCE):
                    self._delete(found[first : first + _AT_ONCE])
                removed += len(found)
        return removed

    def facts(self) -> BucketFacts:
        """What there is to know of the bucket before it is used. Raises TargetError when it is not
        there, or may not be used."""
        with self._errors("looking at it"):
            head = self._client.head_bucket(**self._whose)
            headers = head["ResponseMetadata"]["HTTPHeaders"]
            return BucketFacts(
                region=str(headers.get("x-amz-bucket-region") or head.get("BucketRegion") or ""),
                encryption=self._told("get_bucket_encryption", _encryption),
                versions=self._told("get_bucket_versioning", lambda a: a.get("Status", "Off")),
                lifecycle=self._told("get_bucket_lifecycle_configuration", _expirations),
            )

    def _told(self, operation: str, read: Any) -> Any:
        """What an answer about the bucket says; None where it may not be asked."""
        try:
            return read(getattr(self._client, operation)(**self._whose))
        except ClientError as error:
            code = code_of(error)
            if code.startswith(("NoSuch", "ServerSideEncryptionConfigurationNotFound")):
                return read({})
            if code in {"AccessDenied", "403"}:
                return None
            raise

    def _put_whole(self, key: str, content: bytes) -> str:
        answer = self._sent(
            lambda: self._client.put_object(
                **self._whose,
                **self._encryption,
                Key=key,
                Body=content,
                ContentType="application/octet-stream",
                ChecksumSHA256=_digest(content),
            )
        )
        return str(answer["ETag"])

    def _put_parts(self, key: str, content: IO[bytes], size: int) -> str:
        place = {**self._whose, "Key": key}
        begun = self._client.create_multipart_upload(
            **place,
            **self._encryption,
            ContentType="application/octet-stream",
            ChecksumAlgorithm="SHA256",
        )
        place["UploadId"] = begun["UploadId"]
        try:
            done = [self._put_part(place, part) for part in _parts(content, size)]
            answer = self._client.complete_multipart_upload(
                **place, MultipartUpload={"Parts": done}
            )
        except BaseException:
            with suppress(Exception):  # what went wrong is told; `remove_all` finds what is left
                self._client.abort_multipart_upload(**place)
            raise
        return str(answer["ETag"])

    def _put_part(self, place: Mapping[str, str], part: _Part) -> dict[str, Any]:
        digest = _digest(part.content)
        answer = self._sent(
            lambda: self._client.upload_part(
                **place, PartNumber=part.number, Body=part.content, ChecksumSHA256=digest
            )
        )
        return {"ETag": answer["ETag"], "PartNumber": part.number, "ChecksumSHA256": digest}

    def _sent(self, send: Any) -> Any:
        """The answer to what is sent again where it was damaged on its way."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return send()
            except ClientError as error:
                if code_of(error) not in _DAMAGED or not tries_left:
                    raise
        raise AssertionError("the last try has ended otherwise")

    def _abort_uploads(self, prefix: str) -> None:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            **self._whose, Prefix=prefix
        )
        for page in pages:
            for each in page.get("Uploads", ()):
                if each["Key"].startswith(prefix):
                    self._client.abort_multipart_upload(
                        **self._whose, Key=each["Key"], UploadId=each["UploadId"]
                    )

    def _delete(self, found: list[Mapping[str, Any]]) -> None:
        named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        answer = self._client.delete_objects(
            **self._whose, Delete={"Objects": named, "Quiet": True}
        )
        self._refused(answer, len(named))

    def _refused(self, answer: Mapping[str, Any], count: int) -> None:
        """Raise TargetError when S3 has not removed all of so many objects."""
        if errors := answer.get("Errors"):
            first = errors[0]
            raise TargetError(
                f"S3 does not remove {len(errors):,} of {count:,} objects in {self.name}: "
                f"{first.get('Code', '')}: {first.get('Message', '')}",
                remedy="grant s3:DeleteObject and s3:DeleteObjectVersion (policy "
                f"`{self._settings.policy}` of docs/iam-policy.json), then: {again()}",
            )


@dataclass(frozen=True)
class BucketFacts:
    """What there is to know of a bucket; None: these credentials may not ask. `region` is "" where
    it is not told, `encryption` the algorithm, `versions` Enabled, Suspended or Off, `lifecycle`
    the prefixes ("": everything) under which objects expire, with the days after which they do."""

    region: str
    encryption: str | None
    versions: str | None
    lifecycle: Mapping[str, int] | None

    def days_of(self, prefix: str) -> int | None:
        """After how many days objects below a prefix expire; None: never, or it is not known."""
        days = [days for begin, days in (self.lifecycle or {}).items() if prefix.startswith(begin)]
        return min(days, default=None)


def _encryption(answer: Mapping[str, Any]) -> str:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    for rule in rules:
        return str(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", ""))
    return ""


def _expirations(answer: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for rule in answer.get("Rules", ()):
        days = rule.get("Expiration", {}).get("Days")
        narrowed = set(rule.get("Filter", {})) - {"Prefix"}  # by tags, sizes
        if rule.get("Status") == "Enabled" and days and not narrowed:
            found[rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))] = int(days)
    return found


def _parts(content: IO[bytes], size: int) -> Iterator[_Part]:
    length = max(PART_BYTES, ceil(size / _MOST_PARTS))
    for number, first in enumerate(range(0, size, length), 1):
        yield _Part(number, _read(content, min(length, size - first)))


def _read(content: IO[bytes], size: int) -> bytes:
    """The next so many bytes, which must be there."""
    found = content.read(size)
    if len(found) != size:
        raise ValueError(f"{size} bytes were to be read, and there are {len(found)}")
    return found


def _digest(content: bytes) -> str:
    return b64encode(hashlib.sha256(content).digest()).decode()
