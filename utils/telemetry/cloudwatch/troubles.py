"""What keeps CloudWatch from taking what it is sent, in words for an operator: said once a run.

The first trouble that does not pass at once is a warning; what comes after it, of another kind or
of another service, is for the log file.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from utils.aws.errors import in_short, is_of_credentials, refused, shortened
from utils.aws.services import ANSWER_SECONDS, CONNECT_SECONDS
from utils.config import TargetConfig
from utils.error_handler import BackOff, MigrationError, traceback_of
from utils.logger import get_logger

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_BUSY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "InternalFailure",
        "InternalServiceFault",
        "InternalServerError",
    }
)
_UNKNOWN = frozenset(
    {
        "UnknownOperationException",
        "UnknownOperation",
        "InvalidAction",
        "NotImplemented",
        "404",
        "405",
        "501",
    }
)
_CREDENTIALS = "give it AWS credentials that are valid (docs/operations.md, How AWS is reached)"
_POLICY = "attach the policy cloudWatch of docs/iam-policy.json"
_ROUTE = (
    "check the network, the proxy and the endpoint (AWS_ENDPOINT_URL_CLOUDWATCH_LOGS, "
    "AWS_ENDPOINT_URL_CLOUDWATCH) between this machine and CloudWatch"
)


class LogGroupMissing(Exception):
    """There is no such log group, and none may be created. The text says which, and why."""


class NotTaken(Exception):
    """The service has answered well and has not taken everything."""


@dataclass(frozen=True)
class Trouble:
    """Why something was not taken, and what to do. With `passes` the next try may succeed; with
    `untouched` the service has certainly not got what it was sent."""

    said: str
    remedy: str
    passes: bool = False
    untouched: bool = False


def trouble_of(error: Exception, target: TargetConfig) -> Trouble:
    """What an error of a client or of the credentials means."""
    if isinstance(error, ClientError):
        return _of_answer(error, target)
    if isinstance(error, (MigrationError, BackOff)):
        message = getattr(error, "message", str(error))
        return Trouble(f"is not asked: {message}", _CREDENTIALS, passes=True, untouched=True)
    if isinstance(error, LogGroupMissing):
        remedy = f"create it, or {_POLICY}, which lets the tool create it"
        return Trouble(f"lacks the log group {error}", remedy, untouched=True)
    if isinstance(error, NotTaken):
        return Trouble(f"has not taken everything: {error}", "see the message")
    return _of_the_way(error)


def _of_the_way(error: Exception) -> Trouble:
    """Nothing has come back that the service has said."""
    if isinstance(error, ConnectTimeoutError):
        said = f"accepts no connection within {CONNECT_SECONDS:g} seconds"
        return Trouble(said, _ROUTE, passes=True, untouched=True)
    if isinstance(error, ReadTimeoutError):
        return Trouble(f"gives no answer within {ANSWER_SECONDS:g} seconds", _ROUTE, passes=True)
    if isinstance(error, (HTTPClientError, ResponseParserError)):
        return Trouble(f"gives no proper answer: {in_short(error)}", _ROUTE, passes=True)
    if isinstance(error, NoConnection):
        said = f"cannot be reached: {in_short(error)}"
        return Trouble(said, _ROUTE, passes=True, untouched=True)
    kind = "" if isinstance(error, (BotoCoreError, ValueError)) else f"{type(error).__name__}: "
    return Trouble(
        f"cannot be used: {kind}{in_short(error)}",
        "correct what it names in the environment, in AWS's configuration file or in `logging`",
        untouched=True,
    )


def _of_answer(error: ClientError, target: TargetConfig) -> Trouble:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), shortened(str(told.get("Message", "")))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _DENIED:
        return Trouble(
            f"denies access: {message}",
            f"{_POLICY} to the credentials",
            untouched=True,
        )
    if is_of_credentials(code):
        known = refused(code, message, target, where="it")
        return Trouble(f"is not used: {known.message}", _CREDENTIALS, True, True)
    if code in _BUSY or status >= 500:
        return Trouble(f"is overloaded or disturbed ({code})", "wait until it is well", True, True)
    if code in _UNKNOWN or status in (404, 405):
        return Trouble(
            f"is not served there ({code} {message})",
            "name the endpoints in AWS_ENDPOINT_URL_CLOUDWATCH_LOGS and "
            "AWS_ENDPOINT_URL_CLOUDWATCH",
            untouched=True,
        )
    return Trouble(f"refuses what it is sent: {code}: {message}", "see the message")


class Troubles:
    """Keeps what has gone wrong in a run, and says it once. `off` names the settings that turn
    CloudWatch off. Safe to share between threads."""

    def __init__(self, target: TargetConfig, off: str) -> None:
        self._target = target
        self._off = off
        self._lock = threading.Lock()
        self._in_a_row: dict[str, int] = {}
        self._told: set[tuple[str, str]] = set()

    def met(self, service: str, error: Exception, *, last: bool) -> None:
        """Something went wrong; `last`: there will be no other try, or the run ends."""
        trouble = trouble_of(error, self._target)
        with self._lock:
            row = self._in_a_row[service] = self._in_a_row.get(service, 0) + 1
        if not (trouble.passes and row == 1 and not last):
            kind = f"{type(error).__name__} {trouble.said.partition(':')[0]}"
            self._tell(service, kind, trouble, {"traceback": traceback_of(error)})

    def left(self, service: str, what: str) -> None:
        """The run ends, and `what` is not sent."""
        said = f"has not taken {what} in the time that the end of a run gives it"
        self._tell(service, "left", Trouble(said, _ROUTE), {})

    def over(self, service: str) -> None:
        """It takes what it is sent again."""
        with self._lock:
            self._in_a_row[service] = 0
            told = any(name == service for name, _ in self._told)
        if told:
            get_logger().info("%s takes what it is sent again", service, extra=_files_only({}))

    def _tell(self, service: str, kind: str, trouble: Trouble, context: dict[str, str]) -> None:
        with self._lock:
            first, known = not self._told, (service, kind) in self._told
            self._told.add((service, kind))
        if known:
            return
        text = (
            f"{service} {trouble.said}. The migration continues without it. For the next run: "
            f"{trouble.remedy}; or set {self._off} to false"
        )
        if first:
            get_logger().warning("%s", text)
        else:
            get_logger().info("%s", text, extra=_files_only({}))
        if context:
            get_logger().info("How %s has failed", service, extra=_files_only(context))


def _files_only(context: dict[str, str]) -> dict[str, object]:
    return {"files_only": True, "context": context}
