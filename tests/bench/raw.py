"""HTTP over a plain socket, with nothing that could be left out: for the sink's own limits."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from urllib.parse import urlsplit

_RECEIVE = 1 << 20
_LENGTH = re.compile(rb"Content-Length: (\d+)")
_REQUEST = b"POST / HTTP/1.1\r\nX-Amz-Target: Raw.%b\r\nContent-Length: %d\r\n\r\n"


class Wire:
    """One connection to `endpoint` (http://host:port), one request at a time."""

    def __init__(self, endpoint: str | None) -> None:
        parts = urlsplit(endpoint or "")
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

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
        self._socket.sendall(_REQUEST % (operation.encode(), len(body)) + body)
        received = self._socket.recv(_RECEIVE)
        end = received.index(b"\r\n\r\n") + 4
        length = _LENGTH.search(received, 0, end)
        if not received.startswith(b"HTTP/1.1 200") or length is None:
            raise ConnectionError(received[:300].decode("utf-8", "replace"))
        parts = [received[end:]]
        missing = int(length[1]) - len(parts[0])
        while missing:
            part = self._socket.recv(min(missing, _RECEIVE))
            if not part:
                raise ConnectionError("the sink hung up")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
