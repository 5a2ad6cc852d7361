"""A DynamoDB that answers at once, in a process of its own: what is measured is the tool.

Told to, it answers after a delay, as over a network, however many requests wait meanwhile, and
however slowly one of those who wait takes its answer. It is reached with TLS as well.

It takes a BatchWriteItem without looking at the items, knows no throttling, checks no signature,
and keeps what is written to tables that somebody created (all else it swallows).
"""

from __future__ import annotations

import gc
import http.client
import re
import selectors
import socket
import ssl
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from zlib import crc32

import orjson

from tests.bench.sink.certificate import write_certificate
from tests.bench.sink.store import Refused, Store
from tests.support.places import ROOT
from utils.embedded.ports import LOOPBACK, free_port
from utils.embedded.process import ServerProcess

START_SECONDS = 20.0
_RECEIVE = 1 << 18
_RECORDS = _RECEIVE >> 14
_QUIET = 0.1  # seconds without a request, after which it uses its time for itself
_LENGTH, _TARGET = re.compile(rb"Content-Length: *(\d+)"), re.compile(rb"X-Amz-Target: *\w+\.(\w+)")
_ANY_LENGTH = re.compile(_LENGTH.pattern, re.IGNORECASE)  # much slower
_ANY_TARGET = re.compile(_TARGET.pattern, re.IGNORECASE)
_END = b"\r\n\r\n"
_HEAD = (
    b"HTTP/1.1 %d %b\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"x-amz-crc32: %d\r\nContent-Length: %d\r\n\r\n"
)


class Sink:
    """The server, for as long as the context lasts."""

    def __init__(self) -> None:
        self.port, self._encrypted_port = free_port(), free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="sink-")
        self.certificate = Path(self._directory.name) / "sink.crt"

    @property
    def endpoint(self) -> str:
        """What `target.endpoint` of a configuration takes."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def encrypted_endpoint(self) -> str:
        """The same with TLS; whoever asks there has to trust `certificate`."""
        return f"https://{LOOPBACK}:{self._encrypted_port}"

    def __enter__(self) -> Sink:
        with_key = self.certificate.with_suffix(".pem")
        write_certificate(self.certificate, with_key)
        ports = (str(self.port), str(self._encrypted_port))
        self._process = ServerProcess(
            [sys.executable, "-m", "tests.bench.sink.server", *ports, str(with_key)], directory=ROOT
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
        self._directory.cleanup()

    def _answers(self) -> bool:
        try:
            self.ask("Count")
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Forget the items; the tables stay."""
        self.ask("Clear")

    def meter(self, units: float, burst: float = 1.0, *, of_partition: bool = False) -> None:
        """From now on count write units, and take no more than so many a second (0: all), be it in
        all or under each partition key of an index."""
        asked = {"Units": units, "Burst": burst, "OfPartition": of_partition}
        self.ask("Meter", orjson.dumps(asked))

    def metered(self) -> tuple[list[tuple[float, float]], int]:
        """End the metering: what was taken at which second, and how many requests were refused,
        in part or whole."""
        found = orjson.loads(self.ask("Metered"))
        return [(at, units) for at, units in found["taken"]], found["refused"]

    def delay(self, seconds: float) -> None:
        """From now on answer so long after a request has arrived."""
        self.ask("Delay", orjson.dumps({"Seconds": seconds}))

    def alter(self) -> None:
        """Give every item different content."""
        self.ask("Alter")

    def prepare(self) -> None:
        """Put the items in the order in which a Scan gives them, and build the indexes, so that
        the first request does not wait for that."""
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
        self._parts: list[bytes] = []  # of a request that is not whole yet
        self._size = self._needed = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The (operation, body) of every request that is complete with `data`."""
        if self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return
            data = b"".join(self._parts)
            self._parts = []
        place = 0
        while place < len(data):
            end = data.find(_END, place)
            last = len(data) + 1
            if end >= 0:
                length = _LENGTH.search(data, place, end) or _ANY_LENGTH.search(data, place, end)
                last = end + len(_END) + (int(length[1]) if length else 0)
            if len(data) < last:
                rest = data[place:]
                self._parts, self._size, self._needed = [rest], len(rest), last - place
                return
            target = _TARGET.search(data, place, end) or _ANY_TARGET.search(data, place, end)
            yield (target[1] if target else b""), data[end + len(_END) : last]
            place = last


class Connection:
    """Somebody who asks: what has arrived from there, and what is not taken there yet."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.requests = Requests()
        self.unsent: deque[memoryview] = deque()
        self._is_encrypted = isinstance(opened, ssl.SSLSocket)

    def receive(self) -> bytes | None:
        """What has arrived; none at the end, None when there is nothing yet. Raises OSError."""
        try:
            data = self.socket.recv(_RECEIVE)
            if self._is_encrypted and data:
                data = b"".join([data, *self._records()])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        return data

    def _records(self) -> Iterator[bytes]:
        """What has arrived besides: TLS gives out one record at a time, of 16 KB at the most."""
        with suppress(ssl.SSLWantReadError):
            for _ in range(_RECORDS):
                data = self.socket.recv(_RECEIVE)
                if not data:
                    return
                yield data

    def send(self, answer: bytes) -> None:
        """Send what is taken at once; the rest is in `unsent`. Raises OSError."""
        if self.unsent:
            self.unsent.append(memoryview(answer))
            return
        taken = self._taken_of(answer)
        if taken < len(answer):
            self.unsent.append(memoryview(answer)[taken:])

    def send_on(self) -> None:
        """Send what is taken by now. Raises OSError."""
        while self.unsent:
            part = self.unsent[0]
            taken = self._taken_of(part)
            if taken < len(part):
                self.unsent[0] = part[taken:]
                return
            self.unsent.popleft()

    def _taken_of(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0


class _Server:
    """Takes requests on all connections, and answers each when it is due."""

    def __init__(self) -> None:
        self._store = Store()
        self._waiting = selectors.DefaultSelector()
        self._due: deque[tuple[float, Connection, bytes]] = deque()
        self._delay = 0.0

    def listen(self, listener: socket.socket) -> None:
        """Take connections there."""
        listener.setblocking(False)
        self._waiting.register(listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Answer until the process is ended."""
        pause: float | None = None
        while True:
            ready = self._waiting.select(self._until_due(pause))
            pause = _QUIET if ready or self._due else 0 if self._store.idle() else None
            for key, events in ready:
                if key.data is None:
                    self._accept(key.fileobj)
                else:
                    self._attend(key.data, events)
            self._answer_what_is_due()

    def _accept(self, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        with suppress(OSError):  # gone again, or no TLS
            opened, _ = listener.accept()
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._waiting.register(opened, selectors.EVENT_READ, Connection(opened))

    def _until_due(self, pause: float | None) -> float | None:
        if not self._due:
            return pause
        left = max(0.0, self._due[0][0] - time.monotonic())
        return left if pause is None else min(pause, left)

    def _attend(self, connection: Connection, events: int) -> None:
        """Take what has arrived on a connection, and send on what is waiting for it."""
        try:
            if events & selectors.EVENT_WRITE:
                connection.send_on()
                self._watch(connection)
            if events & selectors.EVENT_READ and not self._take(connection):
                self._close(connection)
        except OSError:
            self._close(connection)

    def _take(self, connection: Connection) -> bool:
        """Take what has arrived on a connection; False when its other end has gone."""
        data = connection.receive()
        for operation, body in connection.requests.feed(data or b""):
            if operation == b"Delay":
                self._delay = float(orjson.loads(body)["Seconds"])
            arrived = time.monotonic()
            answer = _response(self._store, operation.decode(), body)
            if self._delay:
                self._due.append((arrived + self._delay, connection, answer))
            else:
                self._send(connection, answer)
        return data != b""

    def _answer_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, connection, answer = self._due.popleft()
            with suppress(OSError):  # its other end has gone
                self._send(connection, answer)

    def _send(self, connection: Connection, answer: bytes) -> None:
        connection.send(answer)
        if connection.unsent:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Wait until more is taken, if there is more."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._waiting.modify(connection.socket, events, connection)

    def _close(self, connection: Connection) -> None:
        self._waiting.unregister(connection.socket)
        connection.socket.close()


def serve(port: int, encrypted_port: int, certificate: str) -> None:
    """Answer until the process is ended; `certificate` is a file with the key of one as well."""
    gc.disable()  # it would look through every item again and again
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = _Server()
    with (
        socket.create_server((LOOPBACK, port), backlog=512) as listener,
        socket.create_server((LOOPBACK, encrypted_port), backlog=512) as plain,
        # A connection begins TLS with the first thing that is read from it.
        context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as encrypted,
    ):
        server.listen(listener)
        server.listen(encrypted)
        server.serve()


def _response(store: Store, operation: str, body: bytes) -> bytes:
    try:
        status, phrase, content = 200, b"OK", store.answer(operation, body)
    except Refused as refusal:
        status, phrase, content = 400, b"Bad Request", refusal.body
    except Exception:  # a defect of the sink's: it is to be seen by whoever measures
        content = Refused("InternalFailure", traceback.format_exc()).body
        status, phrase = 400, b"Bad Request"
    return _HEAD % (status, phrase, crc32(content), len(content)) + content


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
