"""A thin wire to DynamoDB for the two hot calls, BatchWriteItem and Scan.

Request bodies go out as the bytes they are. Credentials, endpoint, TLS and signature are
botocore's; what is left out is its serialising, parsing and retrying. The low-level API: HTTP POST
of JSON with the operation in X-Amz-Target ("DynamoDB low-level API", DynamoDB developer guide).
"""

from __future__ import annotations

import socket
from zlib import crc32

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from utils.aws import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    open_dynamodb,
    open_session,
    refused,
    target_errors,
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


class DynamoDB:
    """Signed raw calls to one endpoint, safe to share between threads."""

    def __init__(self, target: TargetConfig, *, connections: int = 4) -> None:
        self._target = target
        client = open_dynamodb(target)
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._signer = SigV4Auth(self._credentials(), "dynamodb", target.region)
        self._http = URLLib3Session(
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),  # type: ignore[arg-type] # the stub is narrow
            max_pool_connections=connections,
            proxies=get_environ_proxies(self._url),
            # Without it the body waits for the acknowledgement of the headers: 40 ms a request.
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[list-item]
            ],
        )

    def _credentials(self) -> Credentials:
        with target_errors(self._target):
            found = open_session(self._target).get_credentials()
        if found is None:
            raise refused("MissingAuthenticationTokenException", "", self._target)
        return found

    def call(self, operation: str, body: bytes) -> bytes:
        """POST one request and return the answer's body.

        Raises BackOff (Throttled for throttling) for what passes, RequestRefused for a
        ValidationException, and TargetError for everything that a retry cannot mend.
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
        with target_errors(self._target):
            self._signer.add_auth(request)
        try:
            response = self._http.send(request.prepare())
        except (ReadTimeoutError, ConnectTimeoutError) as error:
            raise BackOff("Timeout", type(error).__name__) from error
        except (EndpointConnectionError, ConnectionClosedError) as error:
            raise BackOff("ConnectionLost", type(error).__name__) from error
        except HTTPClientError as error:
            raise BackOff("ConnectionLost", type(error).__name__) from error
        content: bytes = response.content
        if response.status_code != 200:
            raise self._error(response.status_code, content)
        expected = response.headers.get("x-amz-crc32")
        if expected is not None and int(expected) != crc32(content):
            raise BackOff("CorruptAnswer", "the answer's CRC-32 does not match")
        return content

    def _error(self, status: int, content: bytes) -> Exception:
        code, message = _problem(content)
        if code in THROTTLING_CODES:
            return Throttled(code, message)
        if status >= 500 or code in _PASSING_CODES:
            return BackOff(code or f"HTTP {status}", message)
        error = refused(code or f"HTTP {status}", message, self._target)
        if code == "ValidationException":
            return RequestRefused(error.message, remedy=error.remedy)
        return error

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        """The error when a call has failed `attempts` times in ways that should pass."""
        if last.reason == "ConnectionLost":
            return unreachable(self._target)
        return TargetError(
            f"the target did not accept a request in {attempts} tries; the last answer was {last}",
            remedy="wait until it has recovered, then run again with --resume",
        )


def _problem(content: bytes) -> tuple[str, str]:
    """The error code and message of an answer; empty where it is not DynamoDB's JSON."""
    try:
        answer = orjson.loads(content)
        code = str(answer.get("__type", "")).rpartition("#")[2]
        return code, str(answer.get("message") or answer.get("Message") or "")
    except (orjson.JSONDecodeError, AttributeError):
        return "", ""
