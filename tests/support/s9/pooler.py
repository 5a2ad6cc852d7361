"""pgbouncer (Debian's) in front of the tests' PostgreSQL: every transaction may get another
session, and the tool's sessions are the application's afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.ports import LOOPBACK, free_port
from utils.embedded.postgresql import EmbeddedPostgres

_ACCOUNT = "nobody"
_SECONDS = 20.0


@contextmanager
def pooler(
    server: EmbeddedPostgres | EmbeddedMariaDB, *, mode: str = "transaction", size: int = 3
) -> Iterator[int]:
    """The port of a pooler that has at most `size` sessions for an account and a database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs pgbouncer: apt-get install pgbouncer")
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="s9-pooler-"))
    accounts = directory / "accounts"
    accounts.write_text(f'"{server.reader}" "{server.reader_password}"\n')
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        f"""[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = {LOOPBACK}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {accounts}
pool_mode = {mode}
default_pool_size = {size}
query_wait_timeout = 5
logfile = {directory}/log
"""
    )
    command = [program, "-q", str(settings)]
    if os.geteuid() == 0:  # it does not run as root
        for path in (directory, accounts, settings):
            shutil.chown(path, _ACCOUNT)
        command[1:1] = ["-u", _ACCOUNT]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            return
        time.sleep(0.02)
    raise AssertionError("pgbouncer does not answer")
