"""HTTP over a plain socket, with nothing that could be left out: for the sink's own limits."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

_RECEIVE = 1 << 20
_LENGTH = re.compile(rb"Content-Length: (\d+)")
_REQUEST = b"POST / HTTP/1.1\r\nX-Amz-Target: Raw.%b\r\nContent-Length: %d\r\n\r\n"


class Wire:
    """One connection to `endpoint` (http://host:port, or https with `certificate` to trust); the
    answers come in the order of the requests."""

    def __init__(self, endpoint: str | None, certificate: Path | None = None) -> None:
        parts = urlsplit(endpoint or "")
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=certificate)
            self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._received = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, operation: str, body: bytes) -> bytes:
        """Send one request; returns the answer's body. Raises ConnectionError for a refusal."""
        self.send(operation, body)
        return self.receive()

    def send(self, operation: str, body: bytes) -> None:
        """Send one request."""
        self._socket.sendall(_REQUEST % (operation.encode(), len(body)) + body)

    def receive(self) -> bytes:
        """The body of the next answer. Raises ConnectionError for a refusal."""
        received = self._received
        while (end := received.find(b"\r\n\r\n") + 4) < 4:
            received += self._part()
        length = _LENGTH.search(received, 0, end)
        if not received.startswith(b"HTTP/1.1 200") or length is None:
            raise ConnectionError(received[:300].decode("utf-8", "replace"))
        parts = [received[end:]]
        missing = int(length[1]) - len(parts[0])
        while missing > 0:
            parts.append(self._part())
            missing -= len(parts[-1])
        whole = b"".join(parts)
        self._received = whole[int(length[1]) :]
        return whole[: int(length[1])]

    def _part(self) -> bytes:
        part = self._socket.recv(_RECEIVE)
        if not part:
            raise ConnectionError("the sink hung up")
        return part
