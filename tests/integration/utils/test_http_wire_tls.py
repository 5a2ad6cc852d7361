"""The wire over TLS with a private certificate authority, and through proxies."""

from __future__ import annotations

import base64
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import ProxyConfiguration
from botocore.utils import get_environ_proxies

from tests.support.aws.ways import pump
from tests.support.certificates import NOW, Authority
from utils.aws.http_wire import HttpWire, Server
from utils.error_handler import BackOff

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, and plays the proxy that is asked to CONNECT."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.server.asked.append((self.requestline, dict(self.headers)))  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.asked.append((self.requestline, dict(self.headers)))  # type: ignore[attr-defined]
        if self.server.denies:  # type: ignore[attr-defined]
            self.send_error(407)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                pump(self.connection, onward)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        return


class Service:
    """An Echo on a port of its own, with TLS where there is a directory with a certificate."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self._server.daemon_threads = True
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._server.asked = self.asked  # type: ignore[attr-defined]
        self._server.denies = False  # type: ignore[attr-defined]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = self._server.server_address[1]

    def deny(self) -> None:
        self._server.denies = True  # type: ignore[attr-defined]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def encrypted(authority: Authority, tmp_path: Path) -> Iterator[Service]:
    authority.issue(tmp_path, "localhost", ends=NOW + dt.timedelta(days=10))
    service = Service(tmp_path)
    yield service
    service.close()


@pytest.fixture
def proxy() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def wire(url: str, trusted: Authority | None = None) -> HttpWire:
    certificates = str(trusted.file) if trusted else True
    proxy = ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url)
    server = Server(url, certificates=certificates, connect_timeout=5, read_timeout=5, proxy=proxy)
    return HttpWire(server)


def test_a_trusted_server_answers_over_tls(encrypted: Service, authority: Authority) -> None:
    opened = wire(f"https://localhost:{encrypted.port}", authority)
    for body in (b"a", b"b" * 100_000, b"c"):
        assert opened.post(b"Host: h\r\n", body).content == body


def test_an_unknown_authority_is_refused(encrypted: Service) -> None:
    with pytest.raises(BackOff, match="certificate of"):
        wire(f"https://localhost:{encrypted.port}").post(b"", b"secret")
    assert encrypted.asked == []


def test_a_server_of_another_name_is_refused(encrypted: Service, authority: Authority) -> None:
    with pytest.raises(BackOff, match="certificate of"):
        wire(f"https://127.0.0.1:{encrypted.port}", authority).post(b"", b"secret")
    assert encrypted.asked == []


def test_tls_goes_through_the_proxy_of_the_environment_in_a_tunnel(
    encrypted: Service, proxy: Service, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:pass%40word@127.0.0.1:{proxy.port}")
    opened = wire(f"https://localhost:{encrypted.port}", authority)
    assert [opened.post(b"Host: h\r\n", body).content for body in (b"a", b"b")] == [b"a", b"b"]
    ((line, headers),) = proxy.asked
    assert line.startswith(f"CONNECT localhost:{encrypted.port} HTTP/1.")
    known = base64.b64encode(b"ann:pass@word").decode()
    assert headers["Proxy-Authorization"] == f"Basic {known}"
    assert [line for line, _ in encrypted.asked] == ["POST / HTTP/1.1"] * 2
    assert "Proxy-Authorization" not in encrypted.asked[0][1]


def test_a_proxy_that_refuses_is_a_lost_connection(
    encrypted: Service, proxy: Service, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.deny()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(BackOff, match=r"ConnectionLost: the proxy .* 407"):
        wire(f"https://localhost:{encrypted.port}", authority).post(b"", b"a")


def test_without_tls_the_proxy_is_told_where_a_request_goes(
    proxy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    assert wire("http://tables.example:4566").post(b"Host: h\r\n", b"a").content == b"a"
    assert [line for line, _ in proxy.asked] == ["POST http://tables.example:4566/ HTTP/1.1"]


def test_a_host_that_needs_no_proxy_is_asked_itself(
    encrypted: Service, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    opened = wire(f"https://localhost:{encrypted.port}", authority)
    assert opened.post(b"Host: h\r\n", b"a").content == b"a"
