"""Where AWS would be, on this machine: servers that note what reaches them, proxies, certificates.

Names of the world are led to local servers where a connection is opened; everything after that is
real (TLS, proxies, HTTP), and the same for whoever asks.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
import pytest
from urllib3.util import connection as urllib3_connection

from utils.dynamodb.client import forget_targets
from utils.wording import masking


@dataclass(frozen=True)
class Arrived:
    """A request as it reached somebody."""

    line: str
    headers: dict[str, str]
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        owner = self.server.owner  # type: ignore[attr-defined]
        owner.arrived.append(Arrived(self.requestline, dict(self.headers.items()), body))
        status, content = owner.answer
        self.send_response_only(status)
        for name, value in owner.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self) -> None:
        owner = self.server.owner  # type: ignore[attr-defined]
        owner.arrived.append(Arrived(self.requestline, dict(self.headers.items()), b""))
        if owner.onward is None:
            self.send_error(407)
            return
        with socket.create_connection(("127.0.0.1", owner.onward.port)) as onward:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                pump(self.connection, onward)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry everything both ways until one side closes."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(1 << 16)
            if not data:
                return
            (other if ready is one else one).sendall(data)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        return  # a client that does not like our certificate


class Service:
    """A server, with TLS if it has a context. As a proxy it connects to `onward` whoever is asked
    for; without that it lets nobody through."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        onward: Service | None = None,
        answer: tuple[int, bytes] = (200, b"{}"),
    ) -> None:
        self.arrived: list[Arrived] = []
        self.onward = onward
        self.answer = answer
        self.headers: dict[str, str] = {}
        self._server = _QuietServer(("127.0.0.1", 0), _Handler)
        self._server.owner = self  # type: ignore[attr-defined]
        if context:
            # The handshake is a matter of the connection's own thread.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class World:
    """Whom a connection to a host and port of the world reaches; `opened` is where connections
    went. Addresses of this machine are reached as they are."""

    plain: Service
    encrypted: Service
    proxy_behind_tls: Service
    opened: list[tuple[str, int]] = field(default_factory=list)

    def port(self, host: str, port: int) -> int:
        if host.endswith(".tls.example"):
            return self.proxy_behind_tls.port
        if port == 443:
            return self.encrypted.port
        return port if host.startswith("127.") else self.plain.port


@contextmanager
def led_to(world: World) -> Iterator[None]:
    """While this lasts, urllib3 (the wire's and botocore's) reaches the world on this machine."""
    real = urllib3_connection.create_connection

    def create(address: tuple[str, int], *arguments: Any, **more: Any) -> socket.socket:
        world.opened.append(address)
        return real(("127.0.0.1", world.port(*address)), *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urllib3_connection, "create_connection", create)
        yield


@contextmanager
def read_once() -> Iterator[None]:
    """botocore's own files are read once, for all sessions: they are the same for everybody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@contextmanager
def nothing_kept() -> Iterator[None]:
    """What this process knows of targets, and which secrets it conceals, is for this long only."""
    known = masking.state().known
    forget_targets()
    try:
        yield
    finally:
        forget_targets()
        masking.state().known = known
