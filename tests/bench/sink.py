"""A DynamoDB that answers at once, in a process of its own: what is measured is the tool.

Told to, it answers after a delay, as over a network, however many requests wait meanwhile.

It takes a BatchWriteItem without looking at the items, knows no throttling, checks no signature,
and keeps what is written to tables that somebody created (all else it swallows).
"""

from __future__ import annotations

import gc
import http.client
import re
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from zlib import crc32

import orjson

from tests.bench.measure import ROOT
from tests.bench.sink_store import Refused, Store
from utils.embedded.ports import LOOPBACK, free_port
from utils.embedded.process import ServerProcess

START_SECONDS = 20.0
_RECEIVE = 1 << 18
_QUIET = 0.1  # seconds without a request, after which it uses its time for itself
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 %d %b\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"x-amz-crc32: %d\r\nContent-Length: %d\r\n\r\n"
)


class Sink:
    """The server, for as long as the context lasts."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        """What `target.endpoint` of a configuration takes."""
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Sink:
        self._process = ServerProcess(
            [sys.executable, "-m", "tests.bench.sink", str(self.port)], directory=ROOT
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or not self._process.running:
                self._process.stop()
                raise TimeoutError("the sink did not start")
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stop()

    def _answers(self) -> bool:
        try:
            self.ask("Count")
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Forget the items; the tables stay."""
        self.ask("Clear")

    def meter(self, units: float, burst: float = 1.0) -> None:
        """From now on count write units, and take no more than so many a second (0: all)."""
        self.ask("Meter", orjson.dumps({"Units": units, "Burst": burst}))

    def metered(self) -> tuple[list[tuple[float, float]], int]:
        """End the metering: what was taken at which second, and how many requests were refused,
        in part or whole."""
        found = orjson.loads(self.ask("Metered"))
        return [(at, units) for at, units in found["taken"]], found["refused"]

    def delay(self, seconds: float) -> None:
        """From now on answer so long after a request has arrived."""
        self.ask("Delay", orjson.dumps({"Seconds": seconds}))

    def prepare(self) -> None:
        """Build the indexes now, so that the first Query does not wait for them."""
        self.ask("Prepare")

    def count(self) -> dict[str, int]:
        """How many items each table holds."""
        counts: dict[str, int] = orjson.loads(self.ask("Count"))
        return counts

    def ask(self, operation: str, body: bytes = b"{}") -> bytes:
        """One request of the sink's own, which DynamoDB does not have; returns the answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=600)
        try:
            connection.request("POST", "/", body, {"X-Amz-Target": f"Sink.{operation}"})
            return connection.getresponse().read()
        finally:
            connection.close()


class Requests:
    """Cuts what arrives on one connection into requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The (operation, body) of every request that is complete with `data`."""
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(buffer[:end])
            length, target = _LENGTH.search(head), _TARGET.search(head)
            last = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < last:
                return
            body = bytes(buffer[end + 4 : last])
            del buffer[:last]
            yield (target[1] if target else b""), body


class _Server:
    """Takes requests on all connections, and answers each when it is due."""

    def __init__(self, listener: socket.socket) -> None:
        self._store = Store()
        self._listener = listener
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(listener, selectors.EVENT_READ, None)
        self._due: deque[tuple[float, socket.socket, bytes]] = deque()
        self._delay = 0.0

    def serve(self) -> None:
        """Answer until the process is ended."""
        pause: float | None = None
        while True:
            ready = self._waiting.select(self._until_due(pause))
            pause = _QUIET if ready or self._due else 0 if self._store.idle() else None
            for key, _ in ready:
                if key.data is None:
                    connection, _ = self._listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._waiting.register(connection, selectors.EVENT_READ, Requests())
                elif not self._take(key.fileobj, key.data):
                    self._waiting.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr] # sockets only
            self._answer_what_is_due()

    def _until_due(self, pause: float | None) -> float | None:
        if not self._due:
            return pause
        left = max(0.0, self._due[0][0] - time.monotonic())
        return left if pause is None else min(pause, left)

    def _take(self, connection: object, requests: Requests) -> bool:
        """Take what has arrived on a connection; False when its other end has gone."""
        assert isinstance(connection, socket.socket)
        try:
            data = connection.recv(_RECEIVE)
            for operation, body in requests.feed(data):
                if operation == b"Delay":
                    self._delay = float(orjson.loads(body)["Seconds"])
                arrived = time.monotonic()
                answer = _response(self._store, operation.decode(), body)
                if self._delay:
                    self._due.append((arrived + self._delay, connection, answer))
                else:
                    connection.sendall(answer)
        except OSError:
            return False
        return bool(data)

    def _answer_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, connection, answer = self._due.popleft()
            with suppress(OSError):  # its other end has gone
                connection.sendall(answer)


def serve(port: int) -> None:
    """Answer until the process is ended."""
    gc.disable()  # it would look through every item again and again
    with socket.create_server((LOOPBACK, port), backlog=512) as listener:
        _Server(listener).serve()


def _response(store: Store, operation: str, body: bytes) -> bytes:
    try:
        status, phrase, content = 200, b"OK", store.answer(operation, body)
    except Refused as refusal:
        status, phrase, content = 400, b"Bad Request", refusal.body
    return _HEAD % (status, phrase, crc32(content), len(content)) + content


if __name__ == "__main__":
    serve(int(sys.argv[1]))
