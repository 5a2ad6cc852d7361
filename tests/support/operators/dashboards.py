"""`migrate.py dashboard` beside whatever else an operator does, and who looks at it."""

from __future__ import annotations

import http.client
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.operators.operator import NURSERY, SCRIPT, Operator, Running, environment

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]+)")


@dataclass(frozen=True)
class Answer:
    """What was answered to a request."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard at work: its `port`, its `token`, and all that it has printed at its begin."""

    running: Running
    port: int
    token: str
    printed: str

    @property
    def address(self) -> str:
        """What is opened in a browser."""
        return f"{self.origin}/?token={self.token}"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cookie(self) -> str:
        """The cookie that the token becomes."""
        return self.ask(f"/?token={self.token}").headers["set-cookie"].partition(";")[0]

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: str | None = None,
        **headers: str | None,
    ) -> Answer:
        """One request, with headers by their names (`_` for `-`); None leaves one out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            host = headers.pop("Host", f"127.0.0.1:{self.port}")
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": host, **headers}.items():
                if value is not None:
                    connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body.encode())))
            connection.endheaders(body.encode() if body is not None else None)
            answer = connection.getresponse()
            text = "" if "event-stream" in (answer.getheader("content-type") or "") else None
            return Answer(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read().decode() if text is None else text,
            )
        finally:
            connection.close()


@contextmanager
def dashboard_of(operator: Operator, *options: str) -> Iterator[Dashboard]:
    """The dashboard that an operator starts."""
    with operator.start("dashboard", *options) as running:
        yield _begun(running)


@contextmanager
def dashboard_in(directory: Path, *options: str) -> Iterator[Dashboard]:
    """The dashboard of a data directory, without a configuration."""
    command = [sys.executable, str(SCRIPT), "dashboard", "--directory", str(directory), *options]
    seen = {name: os.environ[name] for name in ("BROWSER", "DISPLAY", "PATH") if name in os.environ}
    environ = environment(directory.parent / "nobody", **seen)
    process = NURSERY.start(command, directory.parent, environ)
    with Running(process) as running:
        yield _begun(running)


def _begun(running: Running) -> Dashboard:
    """Wait until it says where it is."""
    assert running.process.stdout is not None
    lines: list[str] = []
    while not (lines and "Ctrl-C ends" in lines[-1]):
        line = running.process.stdout.readline()
        if not line:
            raise AssertionError(f"it ended too early:\n{running.end()}")
        lines.append(line)
    printed = "".join(lines)
    found = _ADDRESS.search(printed)
    assert found, printed
    return Dashboard(running, int(found[1]), found[2], printed)
