"""What S3 and its client library refuse, in words for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from utils.aws.credentials import Unrenewed
from utils.aws.errors import in_short, is_of_credentials, refused, shortened
from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.wording.invocation import again

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_DENIED = {"403", "AccessDenied", "AllAccessDisabled"}
_ELSEWHERE = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect"}
_NOT_NOW = {
    *("500", "502", "503", "504", "InternalError", "RequestTimeout"),
    *("ServiceUnavailable", "SlowDown", "TooManyRequests"),
}
# S3's names of what DynamoDB has other words for.
_OF_CREDENTIALS = {"InvalidAccessKeyId": "InvalidClientTokenId", "InvalidToken": "ExpiredToken"}


class BucketMissing(TargetError):
    """There is no such bucket, or none that these credentials may know of."""


class Denied(TargetError):
    """S3 does not allow it."""


class NotNow(TargetError):
    """S3 does not answer, or asks to be left alone for a while."""


class Changed(TargetError):
    """What was to be written on condition is not as it was thought to be."""


class ObjectMissing(TargetError):
    """There is no such object."""


_OF_OBJECTS: dict[str, type[TargetError]] = {
    "412": Changed,
    "PreconditionFailed": Changed,
    "ConditionalRequestConflict": Changed,
    "NoSuchKey": ObjectMissing,
}


@dataclass(frozen=True)
class Settings:
    """Which settings name a bucket and its owner, and which policy has the rights that it needs."""

    bucket: str
    owner: str
    policy: str


OF_IMPORTS = Settings("load.s3.bucket", "load.s3.owner", "import")
OF_FILES = Settings("data.directory", "data.s3.owner", "dataInS3")


def code_of(error: ClientError) -> str:
    """S3's word for an error; where it sends no body (HEAD), the status."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def s3_errors(
    target: TargetConfig, bucket: str, doing: str, settings: Settings = OF_IMPORTS
) -> Iterator[None]:
    """Turn what S3 refuses about a bucket into a TargetError; `doing` is what is being done, for
    its sentence: "putting … there". The bucket is named by `settings`."""
    try:
        yield
    except ClientError as error:
        raise _of_code(error, target, bucket, doing, settings) from error
    except Unrenewed as error:
        raise TargetError(error.message, remedy=error.remedy) from error
    except (HTTPClientError, NotConnected) as error:
        raise NotNow(
            f"S3 cannot be reached ({doing}): {in_short(error)}",
            remedy=f"correct the way to S3 (an endpoint of the VPC, a proxy), then: {again()}",
        ) from error
    except BotoCoreError as error:
        raise TargetError(
            f"S3 cannot be used ({doing}): {in_short(error)}",
            remedy="correct what it names in the environment, in AWS's configuration file or in "
            f"{settings.bucket}; then: {again()}",
        ) from error


def _of_code(
    error: ClientError, target: TargetConfig, bucket: str, doing: str, settings: Settings
) -> TargetError:
    code = code_of(error)
    message = shortened(str(error.response.get("Error", {}).get("Message", "")))
    where = f"S3 in {target.region}"
    if code in _OF_OBJECTS:
        return _OF_OBJECTS[code](f"{bucket}, {doing}: {message or code}", remedy=again())
    if code in _MISSING:
        return BucketMissing(
            f"there is no bucket {bucket} ({doing})",
            remedy=f"make it in {target.region}, or correct {settings.bucket}; then: {again()}",
        )
    if code in _DENIED:
        return Denied(
            f"S3 denies access to the bucket {bucket} ({doing}): {message or code}",
            remedy=f"grant what the policy `{settings.policy}` of docs/iam-policy.json has, or "
            f"correct {settings.bucket} and {settings.owner}; then: {again()}",
        )
    if code in _ELSEWHERE:
        return TargetError(
            f"the bucket {bucket} is in another region than {target.region} ({doing})",
            remedy=f"name one in {target.region} as {settings.bucket}; then: {again()}",
        )
    known = _OF_CREDENTIALS.get(code, code)
    if is_of_credentials(known):
        return refused(known, message, target, where=where)
    kind = NotNow if code in _NOT_NOW else TargetError
    return kind(
        f"{where} refused a request ({doing}): {code}: {message}",
        remedy=f"see the message, fix the cause, then run: {again()}",
    )
