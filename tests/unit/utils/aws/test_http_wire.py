"""Answers as they may come over a connection, and what becomes of the connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.aws.http_wire import HttpWire, Reply, Server
from utils.embedded.ports import free_port
from utils.error_handler import BackOff

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = (
    OK
    + b"Transfer-Encoding: chunked\r\nx-amz-crc32: 5\r\n\r\n4\r\nabcd\r\n2;e=1\r\nef\r\n0\r\n\r\n"
)


class Listener:
    """Plays a script: for each connection, the answers to its requests, each in the pieces in
    which it is sent; None hangs up. The next connection gets the next entry."""

    def __init__(self, script: Sequence[Sequence[Sequence[bytes] | None]]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        for answers in self._script:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as stream:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for pieces in answers:
                    self.requests.append(self._read(stream.readline, stream.read))
                    for piece in pieces or ():
                        connection.sendall(piece)
                        threading.Event().wait(0.001 if len(pieces or ()) > 1 else 0)

    @staticmethod
    def _read(line: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
        head = b"".join(iter(line, b"\r\n"))
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return head + b"\r\n" + read(length)


Start = Callable[..., tuple[HttpWire, Listener]]


@pytest.fixture
def serve() -> Iterator[Start]:
    with ExitStack() as opened:

        def start(*script: Sequence[Sequence[bytes] | None]) -> tuple[HttpWire, Listener]:
            listener = Listener(script)
            opened.callback(listener.close)
            return HttpWire(server_at(listener.url)), listener

        yield start


def server_at(url: str, **more: object) -> Server:
    times = {"connect_timeout": 30, "read_timeout": 30}
    return Server(url, certificates=True, **{**times, **more})  # type: ignore[arg-type]


def answer(content: bytes, *headers: bytes) -> bytes:
    lines = [*headers, b"Content-Length: %d" % len(content)]
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + content


def test_a_request_goes_out_as_it_is_and_the_answer_comes_back(serve: Start) -> None:
    wire, listener = serve([[answer(b'{"a":1}', b"x-Amz-CRC32:  7 ")]])
    reply = wire.post(b"Host: here\r\nX-Amz-Target: T\r\n", b"body \xff")
    assert reply.status == 200
    assert reply.content == b'{"a":1}'
    assert reply.headers[b"x-amz-crc32"] == b"7"
    assert listener.requests == [
        b"POST / HTTP/1.1\r\nHost: here\r\nX-Amz-Target: T\r\nContent-Length: 6\r\n\r\nbody \xff"
    ]


def test_a_connection_is_kept_for_the_next_request(serve: Start) -> None:
    wire, listener = serve([[answer(b"1")], [answer(b"2")], [answer(b"3")]])
    assert [wire.post(b"", b"x").content for _ in range(3)] == [b"1", b"2", b"3"]
    assert listener.connections == 1


@pytest.mark.parametrize("ending", [b"Connection: close", b"connection: Close"])
def test_a_connection_that_the_server_ends_is_not_used_again(serve: Start, ending: bytes) -> None:
    wire, listener = serve([[answer(b"1", ending)]], [[answer(b"2")]])
    assert [wire.post(b"", b"x").content for _ in range(2)] == [b"1", b"2"]
    assert listener.connections == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(serve: Start) -> None:
    wire, listener = serve([[answer(b"1")]], [[answer(b"2")]])
    assert wire.post(b"", b"x").content == b"1"
    while not closed(wire):
        threading.Event().wait(0.005)
    assert wire.post(b"", b"x").content == b"2"
    assert listener.connections == 2


def closed(wire: HttpWire) -> bool:
    """Whether the server's end has come over the connection that is kept."""
    (kept,) = wire._idle
    kept.settimeout(0.01)
    try:
        return kept.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    ("sent", "content", "kept"),
    [
        (answer(b""), b"", True),
        (answer(b"x" * 300_000), b"x" * 300_000, True),
        (CHUNKED, b"abcdef", False),
        (OK + b"\r\nup to the end", b"up to the end", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"after"), b"after", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    ],
)
def test_an_answer_is_read_however_it_is_framed(
    serve: Start, sent: bytes, content: bytes, kept: bool
) -> None:
    following = [answer(b"next")]
    wire, listener = serve([[sent], following]) if kept else serve([[sent]], [following])
    reply = wire.post(b"", b"x")
    assert (reply.status, reply.content) == (200, content)
    assert wire.post(b"", b"x").content == b"next"
    assert listener.connections == (1 if kept else 2)


@given(cuts=st.lists(st.integers(0, 110), max_size=5), chunked=st.booleans())
def test_an_answer_is_read_whatever_pieces_it_comes_in(cuts: list[int], chunked: bool) -> None:
    whole = CHUNKED if chunked else answer(b"abcdef", b"x-amz-crc32: 5")
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    listener = Listener([[pieces]])
    try:
        reply = HttpWire(server_at(listener.url)).post(b"", b"x")
    finally:
        listener.close()
    assert (reply.content, reply.headers[b"x-amz-crc32"]) == (b"abcdef", b"5")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (None, "ConnectionLost"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "ConnectionLost"),
        ([answer(b"abcdef")[:-1]], "CorruptAnswer"),
        ([CHUNKED[:-9]], "CorruptAnswer"),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], "CorruptAnswer"),
        ([b"HTTP/1.1 OK\r\n\r\n"], "CorruptAnswer"),
        ([b"x" * 100_000], "CorruptAnswer"),
    ],
)
def test_half_an_answer_is_none(serve: Start, sent: list[bytes] | None, reason: str) -> None:
    wire, _ = serve([sent], [[answer(b"next")]])
    with pytest.raises(BackOff) as raised:
        wire.post(b"", b"x")
    assert raised.value.reason == reason
    assert wire.post(b"", b"x").content == b"next"


def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        url = f"http://127.0.0.1:{quiet.getsockname()[1]}"
        with pytest.raises(BackOff) as raised:
            HttpWire(server_at(url, read_timeout=0.05)).post(b"", b"x")
    assert raised.value.reason == "Timeout"


def test_nobody_there_is_a_lost_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(BackOff) as raised:
        HttpWire(server_at(url)).post(b"", b"x")
    assert raised.value.reason == "ConnectionLost"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://localhost:4566", "localhost:4566"),
        ("http://localhost:80", "localhost"),
        ("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"),
        ("https://10.0.0.1:443", "10.0.0.1"),
        ("http://[::1]:4566", "[::1]:4566"),
    ],
)
def test_the_host_header_names_no_usual_port(url: str, host: str) -> None:
    assert server_at(url).host == host


def test_requests_that_go_out_together_have_their_own_answers(serve: Start) -> None:
    """The server takes one connection after the other: all requests are there before it answers."""
    script = [[[answer(b"%d" % n)]] for n in range(5)]
    wire, listener = serve(*script)
    replies = wire.post_all([(b"Host: h\r\n", b"%d" % n) for n in range(5)])
    assert [reply.content for reply in replies if isinstance(reply, Reply)] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]
    assert listener.connections == 5
    assert [request[-1:] for request in listener.requests] == [b"0", b"1", b"2", b"3", b"4"]


def test_connections_of_requests_that_went_out_together_are_kept() -> None:
    connections = 0

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            nonlocal connections
            connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer(body))

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wire = HttpWire(server_at(f"http://127.0.0.1:{server.server_address[1]}"))
        for _ in range(3):
            replies = wire.post_all([(b"", b"%d" % n) for n in range(4)])
            found = [reply.content for reply in replies if isinstance(reply, Reply)]
            assert found == [b"0", b"1", b"2", b"3"]
        del wire
        server.shutdown()
    assert connections == 4


def test_what_has_no_answer_among_others_is_told_alone(serve: Start) -> None:
    wire, _ = serve([[answer(b"1")]], [None], [[answer(b"3")]])
    first, second, third = wire.post_all([(b"", b"x")] * 3)
    assert isinstance(first, Reply)
    assert isinstance(second, BackOff)
    assert isinstance(third, Reply)


def test_silence_is_waited_for_once_not_for_each_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # nobody accepts, nobody answers
        wire = HttpWire(server_at(f"http://127.0.0.1:{server.getsockname()[1]}", read_timeout=0.2))
        began = time.monotonic()
        replies = wire.post_all([(b"", b"x")] * 20)
        waited = time.monotonic() - began
    assert all(isinstance(reply, BackOff) for reply in replies)
    assert waited < 20 * 0.2 / 2
    assert not wire._idle


def test_who_cannot_be_reached_is_tried_once() -> None:
    wire = HttpWire(server_at(f"http://127.0.0.1:{free_port()}"))
    replies = wire.post_all([(b"", b"x")] * 3)
    assert all(isinstance(reply, BackOff) for reply in replies)
    assert replies[0] is replies[1] is replies[2]
