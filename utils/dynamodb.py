"""A thin wire to DynamoDB for the two hot calls, BatchWriteItem and Scan.

Request bodies go out as the bytes they are. Credentials, endpoint, TLS and signature are
botocore's; what is left out is its serialising, parsing and retrying. The low-level API: HTTP POST
of JSON with the operation in X-Amz-Target ("DynamoDB low-level API", DynamoDB developer guide).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from utils.aws import (
    CONNECT_TIMEOUT,
    EXPIRED_CODES,
    READ_TIMEOUT,
    UNRENEWED,
    Keys,
    open_dynamodb,
    refused,
    target_errors,
    trusted_certificates,
    unreachable,
)
from utils.config import TargetConfig
from utils.error_handler import BackOff, TargetError, Throttled

_VERSION = "DynamoDB_20120810"
THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
_PASSING_CODES = frozenset({"InternalServerError", "InternalFailure", "ServiceUnavailable"})


class RequestRefused(TargetError):
    """DynamoDB refused a request for what is in it (ValidationException)."""


class Expired(BackOff):
    """The credentials have expired; the next call looks for new ones."""


class DynamoDB:
    """Signed raw calls to one endpoint, safe to share between threads."""

    def __init__(self, target: TargetConfig, *, connections: int = 4) -> None:
        self._target = target
        client = open_dynamodb(target)
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._keys = Keys(target)
        self._http = URLLib3Session(
            verify=trusted_certificates(target),  # type: ignore[arg-type] # the stub is narrow
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),  # type: ignore[arg-type] # the stub is narrow
            max_pool_connections=connections,
            proxies=get_environ_proxies(self._url),
            # Without it the body waits for the acknowledgement of the headers: 40 ms a request.
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[list-item]
            ],
        )

    def call(self, operation: str, body: bytes) -> bytes:
        """POST one request and return the answer's body.

        Raises BackOff (Throttled for throttling, Expired for credentials) for what passes,
        RequestRefused for a ValidationException, and TargetError for everything that a retry
        cannot mend.
        """
        request = AWSRequest(
            "POST",
            self._url,
            data=body,
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"{_VERSION}.{operation}",
                "Accept-Encoding": "identity",
            },
        )
        keys = self._sign(request)
        try:
            response = self._http.send(request.prepare())
        except (ReadTimeoutError, ConnectTimeoutError) as error:
            raise BackOff("Timeout", type(error).__name__) from error
        except (ConnectionError, HTTPClientError) as error:
            raise BackOff("ConnectionLost", type(error).__name__) from error
        content: bytes = response.content
        if response.status_code != 200:
            problem = self._error(response.status_code, content)
            if isinstance(problem, Expired):
                self._keys.look_again(keys)
            raise problem
        _check(response.headers, content)
        return content

    def _sign(self, request: AWSRequest) -> ReadOnlyCredentials:
        try:
            keys = self._keys.current()
        except UNRENEWED as error:
            raise Expired(type(error).__name__, str(error)) from error
        with target_errors(self._target):
            SigV4Auth(keys, "dynamodb", self._target.region).add_auth(request)
        return keys

    def _error(self, status: int, content: bytes) -> Exception:
        code, message, reasons = _problem(content)
        if code in THROTTLING_CODES:
            return Throttled(code, reasons or message)
        if code in EXPIRED_CODES:
            return Expired(code, message)
        if status >= 500 or code in _PASSING_CODES:
            return BackOff(code or f"HTTP {status}", message)
        error = refused(code or f"HTTP {status}", message, self._target)
        if code == "ValidationException":
            return RequestRefused(error.message, remedy=error.remedy)
        return error

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        """The error when a call has failed `attempts` times in ways that should pass."""
        if isinstance(last, Expired):
            return refused("ExpiredTokenException", last.detail, self._target)
        if last.reason == "ConnectionLost":
            return unreachable(self._target)
        return TargetError(
            f"the target did not accept a request in {attempts} tries; the last answer was {last}",
            remedy="wait until it has recovered, then run again with --resume",
        )


def parse_answer(content: bytes) -> dict[str, Any]:
    """An answer's body as JSON. Raises BackOff when it is none."""
    try:
        answer: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BackOff("CorruptAnswer", "the answer is not JSON") from error
    return answer


def _check(headers: Mapping[str, str], content: bytes) -> None:
    """Raise BackOff unless an answer is what was sent."""
    length, digest = headers.get("Content-Length"), headers.get("x-amz-crc32")
    if length is not None and int(length) != len(content):
        raise BackOff("CorruptAnswer", "the answer was cut short")
    if digest is not None and int(digest) != crc32(content):
        raise BackOff("CorruptAnswer", "the answer's CRC-32 does not match")


def _problem(content: bytes) -> tuple[str, str, str]:
    """The error code, the message and the throttling reasons of an answer; empty where it is
    not DynamoDB's JSON."""
    try:
        answer = orjson.loads(content)
        code = str(answer.get("__type", "")).rpartition("#")[2]
        message = str(answer.get("message") or answer.get("Message") or "")
        return code, message, _throttling_reasons(answer)
    except (orjson.JSONDecodeError, AttributeError):
        return "", "", ""


def _throttling_reasons(answer: Mapping[str, Any]) -> str:
    """What is throttled and why, as "IndexWriteKeyRangeThroughputExceeded on Sales/index/GSI1".

    The list's name is written in two ways (API reference, ThrottlingReason, and the exceptions
    that have it); ResourceArn comes beside the message.
    """
    listed = answer.get("ThrottlingReasons") or answer.get("throttlingReasons") or []
    parts = [f"{entry.get('reason')} on {_resource(entry.get('resource'))}" for entry in listed]
    if not parts and answer.get("ResourceArn"):
        parts = [_resource(answer["ResourceArn"])]
    return "; ".join(dict.fromkeys(parts))


def _resource(arn: object) -> str:
    """The table or index that a resource name is of, without region and account."""
    return str(arn).rpartition(":table/")[2]
