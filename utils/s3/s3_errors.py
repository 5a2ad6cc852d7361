"""What S3 and its client library refuse, in words for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
# S3's names of what DynamoDB has other words for.
_OF_CREDENTIALS = {"InvalidAccessKeyId": "InvalidClientTokenId", "InvalidToken": "ExpiredToken"}


class BucketMissing(TargetError):
    """There is no such bucket, or none that these credentials may know of."""


class Denied(TargetError):
    """S3 does not allow it."""


def code_of(error: ClientError) -> str:
    """S3's word for an error; where it sends no body (HEAD), the status."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def s3_errors(target: TargetConfig, bucket: str, doing: str) -> Iterator[None]:
    """Turn what S3 refuses about a bucket into a TargetError; `doing` is what is being done, for
    its sentence: "putting … there"."""
    try:
        yield
    except ClientError as error:
        raise _of_code(error, target, bucket, doing) from error
    except Unrenewed as error:
        raise TargetError(error.message, remedy=error.remedy) from error
    except (HTTPClientError, NotConnected) as error:
        raise TargetError(
            f"S3 cannot be reached ({doing}): {in_short(error)}",
            remedy=f"correct the way to S3 (an endpoint of the VPC, a proxy), then: {again()}",
        ) from error
    except BotoCoreError as error:
        raise TargetError(
            f"S3 cannot be used ({doing}): {in_short(error)}",
            remedy="correct what it names in the environment, in AWS's configuration file or in "
            f"load.s3; then: {again()}",
        ) from error


def _of_code(error: ClientError, target: TargetConfig, bucket: str, doing: str) -> TargetError:
    code = code_of(error)
    message = shortened(str(error.response.get("Error", {}).get("Message", "")))
    where = f"S3 in {target.region}"
    if code in _MISSING:
        return BucketMissing(
            f"there is no bucket {bucket} ({doing})",
            remedy=f"make it in {target.region}, or correct load.s3.bucket; then: {again()}",
        )
    if code in _DENIED:
        return Denied(
            f"S3 denies access to the bucket {bucket} ({doing}): {message or code}",
            remedy="grant what the policy `import` of docs/iam-policy.json has, or correct "
            f"load.s3.bucket and load.s3.owner; then: {again()}",
        )
    if code in _ELSEWHERE:
        return TargetError(
            f"the bucket {bucket} is in another region than {target.region} ({doing})",
            remedy=f"name one in {target.region} as load.s3.bucket; then: {again()}",
        )
    known = _OF_CREDENTIALS.get(code, code)
    if is_of_credentials(known):
        return refused(known, message, target, where=where)
    return TargetError(
        f"{where} refused a request ({doing}): {code}: {message}",
        remedy=f"see the message, fix the cause, then run: {again()}",
    )
