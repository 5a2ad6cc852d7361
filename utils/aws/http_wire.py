"""HTTP/1.1 as far as the hot calls need it: POST, answered, over connections that are kept.

A connection is opened by urllib3 as botocore has it opened (utils/aws/access.py says how). What
then goes over it is written and read here, because a general HTTP library costs ten times the CPU
time of the socket. Answers with a Content-Length, which is how DynamoDB answers, are read here; any
other framing (RFC 9112, section 6.3) is left to http.client.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.util import Url, parse_url, wait_for_read

from utils.aws.unreached import NETWORK_ERRORS, Asked, Unreached
from utils.error_handler import BackOff

_RECEIVE = 1 << 16
_RECEIVE_MOST = 1 << 20
_HEAD_AT_MOST = 1 << 16
# DynamoDB's largest is a BatchGetItem of 16 MB.
_ANSWER_AT_MOST = 64 << 20
_AT_LEAST = 0.001  # seconds: what has arrived is read
_TLS_ALERT = b"\x15\x03"
_HEAD_END = b"\r\n\r\n"
# Without it the body would wait for the acknowledgement of the headers: 40 ms a request.
_NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


@dataclass(frozen=True)
class Reply:
    """An answer, complete: the status, the headers by their names in lower case, the body."""

    status: int
    headers: Mapping[bytes, bytes]
    content: bytes


class Server:
    """Where requests go and how it is reached: `certificates` is the file of authorities to trust,
    True for the usual ones; `proxy` is the URL of one that is before it. Times in seconds; a whole
    answer may take twice as long as its first byte."""

    def __init__(
        self,
        url: str,
        *,
        certificates: str | bool,
        connect_timeout: float,
        read_timeout: float,
        proxy: str | None = None,
        socket_options: Sequence[tuple[int, int, int]] = _NO_DELAY,
    ) -> None:
        self._url = parse_url(url)
        self._connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.answer_timeout = 2 * read_timeout
        self._socket_options = list(socket_options)
        self._proxy = parse_url(proxy) if proxy else None
        headers = ProxyConfiguration().proxy_headers_for(proxy) if proxy else {}
        self._proxy_headers: dict[str, str] = headers
        self._context = _trusting(certificates) if self._encrypted or self._proxy else None
        self.asked = Asked(self._url, self._proxy, connect_timeout, read_timeout)

    @property
    def _encrypted(self) -> bool:
        return self._url.scheme == "https"

    @property
    def host(self) -> str:
        """The Host header's value, which is part of what is signed: without a default port."""
        usual = {"http": 80, "https": 443}[self._url.scheme or "http"]
        return str(self._url.host if self._url.port in (None, usual) else self._url.netloc)

    def opening(self) -> bytes:
        """The lines with which each request begins. A proxy in front of a server without TLS has
        to be told where a request goes, and who asks (RFC 9112, section 3.2.2)."""
        path = self._url.request_uri
        if self._encrypted or self._proxy is None:
            return f"POST {path} HTTP/1.1\r\n".encode("latin-1")
        lines = [f"POST {self._url.scheme}://{self._url.netloc}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self._proxy_headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def connect(self) -> socket.socket:
        """A new connection to the server. Raises Unreached."""
        nearest = self._proxy or self._url
        encrypted = self._encrypted or nearest.scheme == "https"
        connection = self._over_tls() if encrypted else HTTPConnection(**self._way(nearest))
        try:
            connection.connect()
        except NETWORK_ERRORS as error:
            connection.close()
            raise self.asked.why_not_connected(error) from error
        except BaseException:
            connection.close()
            raise
        opened = cast(socket.socket, connection.sock)
        opened.settimeout(self.read_timeout)
        return opened

    def _over_tls(self) -> HTTPSConnection:
        tunnel = self._proxy if self._encrypted else None
        connection = HTTPSConnection(
            **self._way(self._proxy or self._url),
            cert_reqs="CERT_REQUIRED",
            ssl_context=self._context,
            proxy=tunnel,
            proxy_config=ProxyConfig(self._context, False, None, None) if tunnel else None,
        )
        if tunnel:
            connection.set_tunnel(
                self._url.host or "",
                self._url.port or 443,
                headers=self._proxy_headers,
                scheme=tunnel.scheme or "http",
            )
        return connection

    def _way(self, to: Url) -> dict[str, Any]:
        usual = 443 if to.scheme == "https" else 80
        return {
            "host": (to.host or "").strip("[]"),
            "port": to.port or usual,
            "timeout": self._connect_timeout,
            "socket_options": self._socket_options,
        }


def _trusting(certificates: str | bool) -> ssl.SSLContext:
    context: ssl.SSLContext = create_urllib3_context()
    context.verify_mode = ssl.CERT_REQUIRED
    # The name is looked at by urllib3, as botocore has it: OpenSSL judges some of them differently.
    context.check_hostname = False
    context.load_verify_locations(get_cert_path(certificates))  # type: ignore[arg-type] # the stub is narrow
    return context


class HttpWire:
    """Requests to one server, one at a time on each connection; safe to share between threads.

    There are as many connections as there are requests at once; each is kept for the next.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._opening = server.opening()
        self._idle: deque[socket.socket] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def post(self, headers: bytes, body: bytes) -> Reply:
        """Send one request; `headers` are whole lines. Raises BackOff when there is no answer, or
        only a part of one: the server may have dealt with the request all the same."""
        return self._receive(*self._send(headers, body))

    def post_all(self, requests: Sequence[tuple[bytes, bytes]]) -> list[Reply | BackOff]:
        """Send requests (headers and body of each) all at once, over as many connections; what
        `post` returns or raises for each. Together they take as long as the slowest of them."""
        sent: list[tuple[socket.socket, bool] | BackOff] = []
        unreached: Unreached | None = None
        for headers, body in requests:
            try:
                sent.append(unreached or self._send(headers, body))
            except BackOff as problem:
                sent.append(problem)
                # The others would have to wait as long, to find the same.
                if isinstance(problem, Unreached) and not problem.sent:
                    unreached = problem
        until = time.monotonic() + self._server.read_timeout
        return [each if isinstance(each, BackOff) else self._reply(*each, until) for each in sent]

    def _reply(self, connection: socket.socket, whole: bool, until: float) -> Reply | BackOff:
        """The answer that begins at `until` at the latest, or why there is none."""
        left = until - time.monotonic()
        if left < self._server.read_timeout / 2:
            connection.settimeout(max(left, _AT_LEAST))
            whole = False  # with so little time it is not to be kept
        try:
            return self._receive(connection, whole)
        except BackOff as problem:
            return problem

    def _receive(self, connection: socket.socket, whole: bool) -> Reply:
        """Read an answer; the connection is kept for the next request if the `whole` of this one
        was sent."""
        with self._network_errors():
            try:
                reply, keep = _receive(_Incoming(connection, self._server))
            except BaseException:
                connection.close()
                raise
        if keep and whole:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _send(self, headers: bytes, body: bytes) -> tuple[socket.socket, bool]:
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (self._opening, headers, len(body), body)
        with self._network_errors():
            return self._send_over_any(request)

    def _send_over_any(self, request: bytes) -> tuple[socket.socket, bool]:
        """Send over a kept connection where there is one that the server has not closed; the second
        value is whether the whole request could be sent."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if not wait_for_read(connection, 0.0):  # nothing is due: it would be the end
                try:
                    connection.sendall(request)
                except TimeoutError:
                    connection.close()
                    raise
                except OSError:
                    pass  # closed just now: the server cannot have got the whole request
                else:
                    return connection, True
            connection.close()
        connection = self._server.connect()
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            # It may have been answered before it was read to its end: too large, not allowed.
            if not wait_for_read(connection, 0.0):
                connection.close()
                raise
            return connection, False
        except BaseException:
            connection.close()
            raise
        return connection, True

    @contextmanager
    def _network_errors(self) -> Iterator[None]:
        """Turn what sockets and TLS raise into BackOff."""
        try:
            yield
        except NETWORK_ERRORS as error:
            raise self._server.asked.why_not_answered(error) from error


def _close_all(connections: deque[socket.socket]) -> None:
    while connections:
        connections.pop().close()


class _Incoming:
    """What comes over a connection: all of one answer within its time, and of a bearable size."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self._connection = connection
        self._server = server
        self._until = 0.0
        self._size = 0

    @property
    def asked(self) -> Asked:
        return self._server.asked

    def receive(self, most: int = _RECEIVE) -> bytes:
        """The next bytes, none at the end. Raises OSError, and BackOff for what has no end."""
        self._go_on()
        part = self._connection.recv(most)
        self._size += len(part)
        return part

    def _go_on(self) -> None:
        if not self._until:  # the first bytes of an answer, and mostly all of it
            self._until = time.monotonic() + self._server.answer_timeout
            return
        if time.monotonic() > self._until:
            raise self.asked.why_too_slow(self._server.answer_timeout)
        if self._size > _ANSWER_AT_MOST:
            raise BackOff("CorruptAnswer", "the answer has no end")


def _receive(incoming: _Incoming) -> tuple[Reply, bool]:
    """Read one answer; the second value is whether the connection can be used again."""
    received = incoming.receive()
    if received.startswith(_TLS_ALERT):
        raise incoming.asked.why_encrypted()
    while (end := received.find(_HEAD_END)) < 0:
        more = incoming.receive()
        if not more:
            raise ConnectionError("closed before an answer")
        received += more
        if len(received) > _HEAD_AT_MOST:
            raise BackOff("CorruptAnswer", "the answer is not HTTP")
    status, headers = _head(received[:end])
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or b"transfer-encoding" in headers or status < 200:
        return _receive_otherwise(incoming, received)
    content = received[end + len(_HEAD_END) :]
    missing = int(length) - len(content)
    if missing:
        content = _rest(incoming, content, missing)
    keep = received.startswith(b"HTTP/1.1") and headers.get(b"connection") in (None, b"keep-alive")
    return Reply(status, headers, content), keep


def _head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    """The status and the headers of an answer."""
    first, *lines = head.lower().split(b"\r\n")
    version, _, status = first.partition(b" ")
    if not version.startswith(b"http/1.") or not status[:3].isdigit():
        raise BackOff("CorruptAnswer", "the answer is not HTTP")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name] = value.strip()
    return int(status[:3]), headers


def _rest(incoming: _Incoming, content: bytes, missing: int) -> bytes:
    parts = [content]
    while missing > 0:
        part = incoming.receive(min(missing, _RECEIVE_MOST))
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    if missing:
        raise BackOff("CorruptAnswer", "the answer was cut short")
    return b"".join(parts)


class _Replayed(io.RawIOBase):
    """What has been received, and then what is still to come."""

    def __init__(self, received: bytes, incoming: _Incoming) -> None:
        self._received = received
        self._incoming = incoming

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._received:
            self._received = self._incoming.receive(len(buffer))
        part = self._received[: len(buffer)]
        self._received = self._received[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self)


def _receive_otherwise(incoming: _Incoming, received: bytes) -> tuple[Reply, bool]:
    """Read an answer that does not say its length: chunked, or up to the connection's end."""
    response = HTTPResponse(_Replayed(received, incoming), method="POST")  # type: ignore[arg-type] # it needs no more of a socket than makefile
    try:
        response.begin()
        content = response.read()
    except HTTPException as error:
        raise BackOff("CorruptAnswer", type(error).__name__) from error
    headers = {
        name.lower().encode("latin-1"): value.encode("latin-1")
        for name, value in response.getheaders()
    }
    return Reply(response.status, headers, content), False
