"""A way to DynamoDB on which things go wrong, each at its rate, and are counted.

Only BatchWriteItem is disturbed (or the operations that a test names): everything else passes.
The counts say what the proxy did, so that they can be compared with what the tool reports.

It can be as far away as DynamoDB is: then every answer comes `distance` seconds later.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs
from zlib import crc32

import orjson

from utils.embedded.aws import EmbeddedAws

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
HANG_SECONDS = 4.0
FAR = 0.015  # seconds to an answer of DynamoDB, or a little more
# Of every proxy and target that is set up from now on.
distance = float(os.environ.get("TARGET_DISTANCE") or 0.0)
_SERVICE = "com.amazonaws.dynamodb.v20120810#"


@dataclass(frozen=True)
class Request:
    """What the tool asks: the operation, the body, and whose key signed it."""

    operation: str
    body: bytes
    key_id: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What it is told."""

    status: int
    content: bytes
    digest: int | None = None  # a wrong CRC-32; None: the right one
    cut: int | None = None  # how many bytes of the content come before the connection breaks


Forward = Callable[[bytes], Answer]
Fault = Callable[[Request, Forward], Answer | None]  # None: hang up without a word


def error(code: str, message: str, status: int = 400, **further: object) -> Answer:
    """An error as DynamoDB words it."""
    body = {"__type": _SERVICE + code, "message": message, **further}
    return Answer(status, orjson.dumps(body))


def unprocessed(request: Request, forward: Forward) -> Answer:
    """Take the second half of the batch only; the rest is not processed (never all of it)."""
    body = orjson.loads(request.body)
    ((table, asked),) = body["RequestItems"].items()
    body["RequestItems"][table] = asked[len(asked) // 2 :]
    answer = orjson.loads(forward(orjson.dumps(body)).content)
    left = {"UnprocessedItems": {table: asked[: len(asked) // 2]}} if len(asked) > 1 else {}
    return Answer(200, orjson.dumps({**answer, **left}))


def throttled(request: Request, forward: Forward) -> Answer:
    """An index short of capacity, as the exception tells since 2025."""
    return error(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for one or more global secondary indexes "
        "of the table was exceeded.",
        ThrottlingReasons=[
            {
                "reason": "IndexWriteKeyRangeThroughputExceeded",
                "resource": f"{ARN}{table_of(request)}/index/GSI1",
            }
        ],
    )


def throttling(request: Request, forward: Forward) -> Answer:
    """A new on-demand table that is asked for more than twice its peak."""
    return error(
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index.",
        throttlingReasons=[
            {
                "reason": "TableWriteMaxOnDemandThroughputExceeded",
                "resource": f"{ARN}{table_of(request)}",
            }
        ],
    )


def request_limit(request: Request, forward: Forward) -> Answer:
    """An account that is asked for more than its quota; it names a ResourceArn only."""
    return error(
        "RequestLimitExceeded",
        "Throughput exceeds the current throughput limit for your account.",
        ResourceArn=f"{ARN}{table_of(request)}",
    )


def server_error(request: Request, forward: Forward) -> Answer:
    """DynamoDB itself has failed."""
    return error("InternalServerError", "The request processing has failed", 500)


def unavailable(request: Request, forward: Forward) -> Answer:
    """Something in front of DynamoDB has failed: its answer is no JSON."""
    return Answer(503, b"<html>Service Unavailable</html>")


def hang(request: Request, forward: Forward) -> Answer | None:
    """Neither taken nor answered."""
    time.sleep(HANG_SECONDS)
    return None


def take_and_hang(request: Request, forward: Forward) -> Answer | None:
    """Taken, and never answered."""
    forward(request.body)
    return hang(request, forward)


def cut_before(request: Request, forward: Forward) -> Answer | None:
    """Not taken: the connection breaks."""
    return None


def take_and_cut(request: Request, forward: Forward) -> Answer | None:
    """Taken, but the answer is lost."""
    forward(request.body)
    return None


def cut_within(request: Request, forward: Forward) -> Answer:
    """Taken, but the answer breaks off in the middle."""
    answer = forward(request.body)
    return Answer(answer.status, answer.content, cut=len(answer.content) // 2)


def corrupt(request: Request, forward: Forward) -> Answer:
    """Taken, but a byte of the answer has changed on the way: the CRC-32 is of another text."""
    answer = forward(request.body)
    return Answer(answer.status, answer.content, digest=crc32(answer.content) ^ 1)


# Under which reason the tool must count what the proxy does.
REASONS: dict[Fault, str] = {
    unprocessed: "UnprocessedItems",
    throttled: "ProvisionedThroughputExceededException",
    throttling: "ThrottlingException",
    request_limit: "RequestLimitExceeded",
    server_error: "InternalServerError",
    unavailable: "HTTP 503",
    hang: "Timeout",
    take_and_hang: "Timeout",
    cut_before: "ConnectionLost",
    take_and_cut: "ConnectionLost",
    cut_within: "CorruptAnswer",
    corrupt: "CorruptAnswer",
}


def query_of(body: bytes) -> dict[str, list[str]]:
    """A request to STS or IAM: its parameters, Action among them."""
    return parse_qs(body.decode())


def table_of(request: Request) -> str:
    """The table that a BatchWriteItem or a Scan is about."""
    found = re.match(rb'\{"(?:RequestItems":\{|TableName":)"([^"]+)"', request.body)
    assert found, request.body[:100]
    return found[1].decode()


def refusing(item: Mapping[str, Mapping[str, str]]) -> Callable[[Request], Answer | None]:
    """For Plan.always: refuses every request that would put this item, as DynamoDB refuses a
    whole batch for one of its items."""
    key = f'{{"PK":{{"S":"{item["PK"]["S"]}"}},"SK":{{"S":"{item["SK"]["S"]}"}}'
    sought = f'"Item":{key}'.encode()

    def decide(request: Request) -> Answer | None:
        if request.operation in ("BatchWriteItem", "PutItem") and sought in request.body:
            return error("ValidationException", "One or more parameter values were invalid")
        return None

    return decide


@dataclass
class Plan:
    """What goes wrong. `rates` are the chances of each fault for a request, `always` decides by
    looking at it (first), `most` ends every fault of `rates` after so many."""

    rates: Mapping[Fault, float] = field(default_factory=dict)
    always: Callable[[Request], Answer | None] = lambda _request: None
    most: int | None = None
    operations: frozenset[str] = frozenset({"BatchWriteItem"})
    seed: int = 1


class ThreadingServer(ThreadingHTTPServer):
    """A server whose queue has room for all connections that are opened at once: one that does not
    fit waits for a second or three before it is tried again."""

    request_queue_size = 256
    daemon_threads = True


Self = TypeVar("Self", bound="Served")


class Served:
    """Something that answers on a port of its own, by a handler, until its context ends."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class FaultyProxy(Served):
    """The proxy, on a port of its own, in front of an embedded AWS."""

    def __init__(self, aws: EmbeddedAws, plan: Plan | None = None) -> None:
        self.plan = plan or Plan()
        self.counts: Counter[Fault] = Counter()
        self.requests: Counter[str] = Counter()
        self.distance = distance
        self._aws = aws
        self._chance = random.Random(self.plan.seed)
        self._lock = threading.Lock()
        self._onward = threading.local()
        super().__init__(_handler(self))

    @property
    def reasons(self) -> Counter[str]:
        """The counts, as the tool should report them."""
        added: Counter[str] = Counter()
        for fault, count in self.counts.items():
            added[REASONS[fault]] += count
        return added

    def answer(self, request: Request) -> Answer | None:
        """What becomes of a request; None: nobody answers."""
        with self._lock:
            self.requests[request.operation] += 1
        if (told := self.plan.always(request)) is not None:
            return told
        fault = self._choose(request)

        def forward(body: bytes) -> Answer:
            return self._forward(request, body)

        return fault(request, forward) if fault else forward(request.body)

    def _choose(self, request: Request) -> Fault | None:
        if request.operation not in self.plan.operations:
            return None
        with self._lock:
            if self.plan.most is not None and self.counts.total() >= self.plan.most:
                return None
            rates = self.plan.rates
            spared = max(0.0, 1.0 - sum(rates.values()))
            (fault,) = self._chance.choices([*rates, None], [*rates.values(), spared])
            if fault is None:
                return None
            if fault is unprocessed and request.body.count(b'"PutRequest"') < 2:
                return None  # half of one item is none: nothing would be left
            self.counts[fault] += 1
            return fault

    def _forward(self, request: Request, body: bytes) -> Answer:
        if not hasattr(self._onward, "connection"):
            self._onward.connection = HTTPConnection(self._aws.host, self._aws.port, timeout=30)
        onward: HTTPConnection = self._onward.connection
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("content-length", "host", "connection")
        }
        onward.request("POST", "/", body, headers)
        response = onward.getresponse()
        return Answer(response.status, response.read())


def endpoint_of(aws: EmbeddedAws) -> str:
    """Where an embedded AWS is reached: at a distance, if there is one."""
    return _far_away(aws).url if distance else aws.endpoint_url


@cache
def _far_away(aws: EmbeddedAws) -> FaultyProxy:
    """A proxy that does nothing but answer late; it is there as long as the process."""
    return FaultyProxy(aws)


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers["X-Amz-Target"]  # the older services have it in the body
            operation = target.rpartition(".")[2] if target else query_of(body)["Action"][0]
            signer = re.search(r"Credential=([^/]+)/", self.headers["Authorization"] or "")
            key_id = signer[1] if signer else ""
            request = Request(operation, body, key_id, dict(self.headers.items()))
            answer = proxy.answer(request)
            time.sleep(proxy.distance)
            if answer is None:
                self.close_connection = True
                return
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            digest = crc32(answer.content) if answer.digest is None else answer.digest
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer.content)))
            self.send_header("x-amz-crc32", str(digest))
            self.end_headers()
            self.wfile.write(answer.content[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            return

    return Handler


class Gate:
    """Holds what writes a batch (`asked` says that one has come) until it is `let` through."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()

    def holds(self, request: Request) -> None:
        """For a Plan that looks at every request."""
        if request.operation != "BatchWriteItem":
            return
        self.asked.set()
        self.let.wait(60)
