"""What AWS and its client library refuse, in words for an operator."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from utils.aws.session import ProviderFailed
from utils.config import TargetConfig
from utils.error_handler import MigrationError, TargetError
from utils.wording.invocation import again
from utils.wording.masking import scrub

CREDENTIALS_REMEDY = (
    "give AWS credentials (environment, `aws configure`, target.profile or the machine's role) "
    "or set target.useLocalStack"
)
EXPIRED_CODES = frozenset({"ExpiredTokenException", "ExpiredToken"})
_SIGNATURE_CODES = {"InvalidSignatureException", "SignatureDoesNotMatch"}
CREDENTIAL_CODES = _SIGNATURE_CODES | {
    "UnrecognizedClientException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
}
# What they say of a request whose moment is not near enough to the service's clock.
_CLOCK_CODES = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
# DynamoDB has no code of its own for it: its text holds the two moments that are too far apart.
_MOMENT = re.compile(r"\b\d{8}T\d{6}Z")
_TOLERATED = timedelta(minutes=4)  # of five that AWS tolerates
_SHOWN = 300  # characters of another's words


def is_of_credentials(code: str) -> bool:
    """Whether an error's code is about who asks, or about the time at which he does."""
    return code in EXPIRED_CODES | CREDENTIAL_CODES | _CLOCK_CODES


@contextmanager
def target_errors(target: TargetConfig) -> Iterator[None]:
    """Turn what botocore raises for settings that it does not take into a TargetError."""
    try:
        yield
    except ProfileNotFound as error:
        setting = "target.profile" if target.profile else "AWS_PROFILE in the environment"
        name = (
            target.profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
        )
        raise TargetError(
            f"the AWS profile {name} does not exist",
            remedy=f"correct {setting}, or create it with `aws configure --profile …`",
        ) from error
    except ClientError as error:
        problem = error.response.get("Error", {})
        raise refused(problem.get("Code", ""), problem.get("Message", ""), target) from error
    except (MigrationError, ProviderFailed):
        raise
    except Exception as error:  # it meets words that it does not expect with whatever comes of it
        known = isinstance(error, (BotoCoreError, ValueError, OSError))
        kind = "" if known else f"{type(error).__name__}: "
        raise TargetError(
            f"AWS's client library does not accept these settings: {kind}{in_short(error)}",
            remedy="correct what it names in the environment, in AWS's configuration file or in "
            f"`target`; then: {again()}",
        ) from error


def in_short(error: BaseException) -> str:
    """What an exception of another's says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return where + error.strerror
    return shortened(str(error)) or type(error).__name__


def shortened(text: str) -> str:
    """Others' words in one line of a bearable length. A secret is found whole only, so that it goes
    before anything is cut."""
    line = " ".join(scrub(text).split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def place_of(target: TargetConfig) -> str:
    """What requests go to, as an operator calls it."""
    return target.endpoint_url or f"DynamoDB in {target.region}"


def refused(
    code: str,
    message: str,
    target: TargetConfig,
    headers: Mapping[bytes, bytes] | None = None,
    where: str = "",
) -> TargetError:
    """The error for a request that the service answered with error `code`; `headers` are those of
    its answer, `where` is what has answered."""
    where = where or place_of(target)
    if code in EXPIRED_CODES:
        return TargetError(
            f"the AWS credentials for {where} have expired ({code})",
            remedy=f"renew them (`aws sso login`, a new session token), then run: {again()}",
        )
    if code in _CLOCK_CODES or code in CREDENTIAL_CODES:
        return _not_accepted(code, message, where, (headers or {}).get(b"date", b"").decode())
    if code == "AccessDeniedException":
        return TargetError(
            f"{where} denies access: {message}",
            remedy=f"grant this action to the credentials, then run: {again()}",
        )
    if code == "ResourceNotFoundException":
        return TargetError(
            f"a table is missing at {where}: {message}",
            remedy="create it, correct the table names of `target`, or set target.createTables",
        )
    return TargetError(
        f"{where} refused a request: {code}: {message}",
        remedy=f"see the message, fix the cause, then run: {again()}",
    )


def _not_accepted(code: str, message: str, where: str, date: str) -> TargetError:
    """The service does not accept who asks, or when: a wrong clock looks like wrong keys."""
    said = f": {shortened(message)}" if message else ""
    of_time = code in _SIGNATURE_CODES and (_names_moments(message) or _is_far(date))
    if code in _CLOCK_CODES or of_time:
        service = f", the service's {date}" if date else ""
        return TargetError(
            f"{where} does not accept the time of a request ({code}){said}. This machine's clock "
            f"says {clock()}{service}",
            remedy=f"set this machine's clock (`timedatectl`, NTP), then run: {again()}",
        )
    return TargetError(
        f"{where} does not accept the AWS credentials ({code}){said}", remedy=CREDENTIALS_REMEDY
    )


def of_clocks(error: BaseException) -> bool:
    """Whether a service has refused a request for its time, as far as its words tell."""
    return isinstance(error, ClientError) and _names_moments(str(error))


def _names_moments(message: str) -> bool:
    return len(_MOMENT.findall(message)) > 1


def clock() -> str:
    """What this machine's clock says, as AWS writes moments."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_far(date: str) -> bool:
    """Whether a moment that HTTP's Date names is not this machine's."""
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return False
    if then.tzinfo is None:
        return False
    return abs(datetime.now(timezone.utc) - then) > _TOLERATED
