"""Where AWS would be, on this machine: servers that note what reaches them, proxies, certificates.

Names of the world are led to local servers where a connection is opened; everything after that is
real (TLS, proxies, HTTP), and the same for whoever asks.
"""

from __future__ import annotations

import datetime as dt
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3.util import connection as urllib3_connection

from utils.dynamodb.client import forget_targets
from utils.wording import masking

NOW = dt.datetime.now(dt.timezone.utc)
DAY = dt.timedelta(days=1)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A private certificate authority; `file` is what trusts it."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"Test {name}")
        certificate = (
            self._builder(self._name, self._key.public_key(), NOW - 30 * DAY, NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.crt"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: Any, begins: dt.datetime, ends: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )

    def context(
        self,
        *names: str,
        begins: dt.datetime = NOW - 20 * DAY,
        ends: dt.datetime = NOW + 10 * DAY,
        common_name: str = "",
    ) -> ssl.SSLContext:
        """What a server with a certificate for these names or addresses speaks TLS with."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(common_name or "a server"), key.public_key(), begins, ends)
        if names:
            alternatives: list[x509.GeneralName] = [
                x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
                for name in names
            ]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        path = self._directory / f"{certificate.serial_number}.pem"
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = key.private_bytes(pem, form, serialization.NoEncryption())
        path.write_bytes(private + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


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
