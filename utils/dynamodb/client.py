"""A thin wire to DynamoDB for the two hot calls, BatchWriteItem and Scan.

Request bodies go out as the bytes they are. Credentials, endpoint, TLS and signature are
botocore's (utils/aws/access.py); what is left out is its serialising, parsing and retrying. The
low-level API: HTTP POST of JSON with the operation in X-Amz-Target ("DynamoDB low-level API",
DynamoDB developer guide). What is worth another try is what botocore's standard mode tries again
(botocore.retries.standard), and a few more that pass.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import orjson
from botocore.credentials import ReadOnlyCredentials
from isal.isal_zlib import crc32  # of a page of a megabyte: a third of what zlib takes

from utils.aws.access import Access, access_to, forget_access
from utils.aws.credentials import Expired, Unrenewed, forget_keys, keys_to
from utils.aws.errors import EXPIRED_CODES, refused
from utils.aws.http_wire import HttpWire, Reply, Server
from utils.aws.session import CONNECT_TIMEOUT, READ_TIMEOUT, forget_sessions
from utils.aws.signing import Signer
from utils.aws.unreached import Unreached
from utils.config import TargetConfig
from utils.dynamodb.answer_shapes import NoAnswer, check, error_of
from utils.dynamodb.reached import (
    Reached,
    forget_tables,
    has_proven,
    is_proven,
    note,
    require_same,
    to_prove,
)
from utils.error_handler import BackOff, TargetError, Throttled
from utils.wording.figures import counted
from utils.wording.invocation import again

_VERSION = "DynamoDB_20120810"
DEFAULT_WIDTH = 16
THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    }
)
PASSING_CODES = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ReplicatedWriteConflictException",
    }
)
# What somebody may want to ask AWS about.
_TOLD_OF = frozenset({"BatchWriteItem", "PutItem", "DeleteItem", "TransactWriteItems"})
_TOO_MANY, _TOO_LATE, _TOO_LARGE, _UNKNOWN_TO_THE_PROXY = 429, 408, 413, 407
_LONGEST_WISH = 20.0  # seconds of rest that a service may wish for
_TRANSACTION_CODES = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class RequestRefused(TargetError):
    """DynamoDB refused a request for what is in it (ValidationException)."""


class RequestTooLarge(TargetError):
    """What stands before DynamoDB does not let a request of that size through (HTTP 413)."""


class ResourceMissing(TargetError):
    """There is no such table, or backup, or whatever a request was about."""


class ResourceBusy(TargetError):
    """Somebody else is at work on a table: it is there already, or being changed."""


class Unanswered(TargetError):
    """A request was given up without an answer: it may still be on its way."""


class ConditionFailed(Exception):
    """A conditional write was not done. `item` is what was there, None when the answer has none:
    nothing was there, or the service does not say."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        super().__init__("the condition of a write does not hold")
        self.item = item


class _RequestIds(threading.local):
    """DynamoDB's ids of the writes that this thread has asked for last, by their answers."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}


_request_ids = _RequestIds()


def request_id_of(answer: bytes | Exception) -> str:
    """DynamoDB's id of the request to which this very object is the answer, if it is one of those
    that this thread has written with last; else ""."""
    return _request_ids.of.get(id(answer), "")


Request = tuple[str, bytes]


class DynamoDB:
    """Signed raw calls to one endpoint, safe to share between threads."""

    def __init__(self, target: TargetConfig, *, at_once: int = DEFAULT_WIDTH) -> None:
        """`at_once` is how many requests of `call_all` are under way at the most. Raises
        TargetError for settings that cannot be used, and without credentials."""
        self.at_once = at_once
        self._target = target
        self._access = access_to(target)
        self._url = self._access.url
        self._keys = keys_to(target)
        self._signer: Signer | None = None
        self._proving = threading.Lock()
        self._server = _server(self._access)
        self._unsigned = (
            f"User-Agent: {self._access.user_agent}\r\nAccept-Encoding: identity\r\n"
        ).encode("latin-1")
        self._http = HttpWire(self._server)
        self.date = b""  # of the last answer, as the service has it (HTTP's Date)

    def call(self, operation: str, body: bytes) -> bytes:
        """POST one request and return the answer's body.

        With credentials that are new to this process, the tables that it is bound to are looked
        at first (utils/dynamodb/reached.py). Raises BackOff (Throttled for throttling, Expired for
        credentials) for what passes, RequestRefused for a ValidationException, ConditionFailed for
        a condition that does not hold, and TargetError for everything that a retry cannot solve
        (AnotherTable when credentials reach another account's tables).
        """
        keys = self._keys.current()
        if not is_proven(self._target, keys):
            self._prove(keys)
        _request_ids.of.clear()
        content = self._post(keys, operation, body)
        if operation == "DescribeTable":
            self._note(keys, body, content)
        return content

    def _note(self, keys: ReadOnlyCredentials, body: bytes, content: bytes) -> None:
        """A table has been seen: other credentials must reach the same one."""
        request = orjson.loads(body)
        table = check("DescribeTable", request, content)["Table"]
        note(self._target, request["TableName"], Reached.of(self.endpoint, table), keys)

    def _prove(self, keys: ReadOnlyCredentials) -> None:
        """Look, before anything else is asked for with these credentials, whether they reach the
        tables that the process is bound to. Raises AnotherTable when they do not."""
        with self._proving:
            if is_proven(self._target, keys):
                return
            for table, was in to_prove(self._target, keys).items():
                now = self._reached(keys, table)
                require_same(table, was, now, endpoint=self.endpoint, remedy=_with_former_keys())
            has_proven(self._target, keys)

    def _reached(self, keys: ReadOnlyCredentials, table: str) -> Reached | None:
        request = {"TableName": table}
        try:
            body = self._post(keys, "DescribeTable", orjson.dumps(request))
        except ResourceMissing:
            return None
        return Reached.of(self.endpoint, check("DescribeTable", request, body)["Table"])

    def call_all(self, requests: Sequence[Request]) -> list[bytes | Exception]:
        """POST requests (operation and body), `at_once` at a time; the body of each answer, or
        what `call` would have raised for it. Costs a third of as many calls from threads."""
        answers: list[bytes | Exception] = []
        _request_ids.of.clear()
        for first in range(0, len(requests), self.at_once):
            some = requests[first : first + self.at_once]
            try:
                keys = self._keys.current()
                if not is_proven(self._target, keys):
                    self._prove(keys)
            except (BackOff, TargetError) as problem:
                answers += [problem] * len(some)
                continue
            replies = self._http.post_all([(self._sign(keys, *each), each[1]) for each in some])
            answers += map(partial(self._answer, keys), some, replies)
        return answers

    def _answer(
        self, keys: ReadOnlyCredentials, request: Request, reply: Reply | BackOff
    ) -> bytes | Exception:
        if isinstance(reply, BackOff):
            return reply
        try:
            return self._content(keys, request[0], reply, len(request[1]))
        except (BackOff, TargetError, ConditionFailed) as problem:
            return problem

    def _post(self, keys: ReadOnlyCredentials, operation: str, body: bytes) -> bytes:
        reply = self._http.post(self._sign(keys, operation, body), body)
        return self._content(keys, operation, reply, len(body))

    def _content(self, keys: ReadOnlyCredentials, operation: str, reply: Reply, size: int) -> bytes:
        """What an answer to a request of `size` bytes holds. Raises as `call`."""
        self.date = reply.headers.get(b"date", b"")
        if reply.status != 200:
            problem = self._error(operation, reply, size)
            if isinstance(problem, Expired):
                self._keys.look_again(keys)
            raise problem
        _check(reply.headers, reply.content)
        if operation in _TOLD_OF and (request_id := reply.headers.get(b"x-amzn-requestid")):
            _request_ids.of[id(reply.content)] = request_id.decode("ascii", "replace")
        return reply.content

    def _sign(self, keys: ReadOnlyCredentials, operation: str, body: bytes) -> bytes:
        """The header lines. Of what others may change on the way nothing is signed."""
        signer = self._signer
        if signer is None or signer.keys != keys:
            signer = Signer(keys, self._access.region, self._access.service)
            self._signer = signer
        headers = {
            "Host": self._server.host,
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{_VERSION}.{operation}",
        }
        return signer.lines(self._url, headers, operation, body) + self._unsigned

    def _error(self, operation: str, reply: Reply, size: int) -> Exception:
        """What an answer with another status than 200 means; `size` is the request's, in bytes."""
        status = reply.status
        if status == _TOO_LARGE:
            return RequestTooLarge(
                f"a proxy or gateway before DynamoDB lets no request of {size:,} bytes through "
                "(HTTP 413)",
                remedy=f"allow requests of 16 MB there, then run: {again()}",
            )
        try:
            answer = error_of(operation, reply.content)
        except NoAnswer as problem:
            said = f"HTTP {status}, and {problem.what}"
            return self._of_another(status) or NoAnswer(operation, said)
        code = answer["__type"].rpartition("#")[2].partition(":")[0]
        message = str(answer.get("message") or answer.get("Message") or "")
        if status in range(400, 500) and code in _TRANSACTION_CODES:
            return self._of_transaction(operation, code, message, answer)
        passing = self._passing(operation, status, code, message)
        if code in THROTTLING_CODES:
            short = _shortages(answer, code)
            passing = Throttled(code, _in_words(short) or message, short)
        if passing is None:
            return self._final(code, message, reply.headers)
        passing.at_least = _wished(reply.headers)
        return passing

    def _of_another(self, status: int) -> BackOff | None:
        """What an error that is not worded as DynamoDB's means: somebody on the way has spoken."""
        way = f"an answer{self._server.asked.way}, which is not from DynamoDB"
        if status == _TOO_MANY:
            return Throttled(f"HTTP {status}", way)
        if status == _UNKNOWN_TO_THE_PROXY and self._access.proxy:
            nearest = self._server.asked.nearest
            return Unreached(f"HTTP {status}", f"{nearest} wants other credentials (HTTP {status})")
        return BackOff(f"HTTP {status}", way) if status >= 500 or status == _TOO_LATE else None

    def _passing(self, operation: str, status: int, code: str, message: str) -> BackOff | None:
        """The error when it is one that passes."""
        if code in EXPIRED_CODES:
            return Expired(code, message)
        if status == _TOO_MANY:
            return Throttled(code, message)
        if status >= 500 or status == _TOO_LATE or code in PASSING_CODES:
            return BackOff(code, message)
        if status < 400:
            return NoAnswer(operation, f"it is an error with the status {status}")
        return None

    def _final(self, code: str, message: str, headers: Mapping[bytes, bytes]) -> TargetError:
        error = refused(code, message, self._target, headers, self._where)
        kind = _KINDS_OF_REFUSAL.get(code)
        return kind(error.message, remedy=error.remedy) if kind else error

    def _of_transaction(
        self, operation: str, code: str, message: str, answer: Mapping[str, Any]
    ) -> Exception:
        """Why a transaction was not done: its reasons are listed, one for each of its writes. (A
        conditional write is one of its own kind.)"""
        if code == "ConditionalCheckFailedException":
            return ConditionFailed(answer.get("Item"))
        if code == "TransactionCanceledException" and "CancellationReasons" not in answer:
            return NoAnswer(operation, "CancellationReasons is missing")
        reasons = {
            reason["Code"]: str(reason.get("Message") or "")
            for reason in answer.get("CancellationReasons", ())
        }
        if "ConditionalCheckFailed" in reasons:
            return ConditionFailed(None)
        if "ValidationError" in reasons:
            said = reasons["ValidationError"]
            error = refused("ValidationException", said, self._target, where=self._where)
            return RequestRefused(error.message, remedy=error.remedy)
        if slow := reasons.keys() & {"ThrottlingError", "ProvisionedThroughputExceeded"}:
            return Throttled(sorted(slow)[0], message)
        return BackOff(code, message)  # somebody else was writing one of the items just then

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        """The error when a call has failed `attempts` times in ways that should pass."""
        if isinstance(last, Unrenewed):
            return TargetError(last.message, remedy=last.remedy)
        if isinstance(last, Expired):
            return refused(last.reason, last.detail, self._target, where=self._where)
        if isinstance(last, NoAnswer):
            return TargetError(
                f"what answers at {self.endpoint} is not DynamoDB: its answer {last.detail}. "
                f"{self._in_play}",
                remedy="find out what is there: target.endpoint, AWS_ENDPOINT_URL and the "
                f"proxies of the environment say where requests go; then run: {again()}",
            )
        if isinstance(last, Unreached):
            return Unanswered(
                f"{self._where} cannot be reached: {last.detail}. {self._in_play}",
                remedy=f"{self._hint}, then run: {again()}",
            )
        return Unanswered(
            f"{self._where} did not accept a request in {counted(attempts, 'try', 'tries')}; "
            f"the last answer was {last}. {self._in_play}",
            remedy=f"wait until it has recovered, then run: {again()}",
        )

    @property
    def endpoint(self) -> str:
        """The URL that requests go to."""
        return self._access.endpoint

    @property
    def _where(self) -> str:
        """What requests go to, as an operator calls it."""
        known = self._target.endpoint_url
        return known or f"DynamoDB in {self._target.region} ({self.endpoint})"

    @property
    def _hint(self) -> str:
        if self._access.proxy:
            return "check that the proxy runs and lets this through, or name the host in NO_PROXY"
        if self._target.endpoint_url:
            return "start the server there, or correct target.endpoint"
        return "check the network, target.region and AWS's settings"

    @property
    def _in_play(self) -> str:
        return f"In play: {'; '.join(self._access.settings)}"


def _with_former_keys() -> str:
    return (
        "the credentials are not those of before: use the account with which the run began "
        f"(target.profile, AWS_PROFILE, the environment), then run: {again()}"
    )


_KINDS_OF_REFUSAL: dict[str, type[TargetError]] = {
    "ValidationException": RequestRefused,
    "ResourceNotFoundException": ResourceMissing,
    "TableNotFoundException": ResourceMissing,
    "ImportNotFoundException": ResourceMissing,
    "ResourceInUseException": ResourceBusy,
}


@cache
def wire_to(target: TargetConfig) -> DynamoDB:
    """The wire of this process for the calls that are not hot: tables and what is kept of them."""
    return DynamoDB(target)


def forget_targets() -> None:
    """Forget how targets are reached, with which credentials, and what was reached there: a
    process in which another run begins must find out anew."""
    for each in (wire_to.cache_clear, forget_access, forget_keys, forget_sessions, forget_tables):
        each()


def _server(access: Access) -> Server:
    return Server(
        access.url,
        certificates=access.certificates,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        proxy=access.proxy,
        socket_options=access.socket_options,
    )


def _wished(headers: Mapping[bytes, bytes]) -> float:
    """For how many seconds the service wishes not to be asked again (botocore.retries.standard)."""
    wish = headers.get(b"x-amz-retry-after", b"")
    return min(int(wish) / 1000, _LONGEST_WISH) if wish.isdigit() else 0.0


def _check(headers: Mapping[bytes, bytes], content: bytes) -> None:
    """Raise BackOff unless an answer is what was sent."""
    digest = headers.get(b"x-amz-crc32")
    if digest is not None and digest != b"%d" % crc32(content):
        raise BackOff("CorruptAnswer", "the answer's CRC-32 does not match")


def _shortages(answer: Mapping[str, Any], code: str) -> tuple[tuple[str, str], ...]:
    """What is short and why, as ("Sales/index/GSI1", "IndexWriteKeyRangeThroughputExceeded").

    The list's name is written in two ways (API reference, ThrottlingReason, and the exceptions
    that have it); ResourceArn comes beside the message.
    """
    listed = answer.get("ThrottlingReasons") or answer.get("throttlingReasons")
    parts = [
        (_resource(entry.get("resource")), str(entry.get("reason")))
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict)
    ]
    if not parts and answer.get("ResourceArn"):
        parts = [(_resource(answer["ResourceArn"]), code)]
    return tuple(dict.fromkeys(parts))


def _in_words(shortages: tuple[tuple[str, str], ...]) -> str:
    return "; ".join(f"{reason} on {what}" for what, reason in shortages)


def _resource(arn: object) -> str:
    """The table or index that a resource name is of, without region and account."""
    return str(arn).rpartition(":table/")[2]
