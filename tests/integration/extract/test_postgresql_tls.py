"""`source.ssl` against a real PostgreSQL with a private certificate authority.

The embedded PostgreSQL has no TLS, so these tests take Debian's (package `postgresql`) and are
skipped where it is not installed.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from extract.checks.source_checks import check_source
from extract.postgresql.source import PostgresSource
from tests.support.certificates import NOW, Authority
from utils.checking.check import SOURCE, Check, State
from utils.checking.looking import look
from utils.config import Config, Secret, SourceConfig
from utils.embedded.ports import free_port
from utils.error_handler import SourceUnavailable
from utils.files.workspace import Workspace

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(
    not INSTALLED or shutil.which("runuser") is None or os.geteuid() != 0,
    reason="needs Debian's postgresql and root to run it: apt-get install postgresql",
)
PASSWORD = "tls-test-only"


@dataclass
class TlsPostgres:
    """Debian's PostgreSQL with TLS, run as the account `postgres`."""

    binaries: Path
    data: Path
    port: int

    def run(self, *command: str) -> None:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *command],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.data.parent,
        )

    def control(self, *action: str) -> None:
        self.run(str(self.binaries / "pg_ctl"), "-D", str(self.data), "-w", *action)

    def own(self) -> None:
        shutil.chown(self.data / "server.crt", "postgres", "postgres")
        shutil.chown(self.data / "server.key", "postgres", "postgres")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsPostgres]:
    base = Path("/tmp") / f"s9-tls-{os.getpid()}"
    base.mkdir(mode=0o755)
    shutil.chown(base, "postgres", "postgres")
    found = TlsPostgres(INSTALLED[-1].parent, base / "data", free_port())
    password = base / "password"
    password.write_text(PASSWORD)
    shutil.chown(password, "postgres", "postgres")
    try:
        found.run(
            str(found.binaries / "initdb"),
            "-D", str(found.data), "-U", "s9", "-A", "scram-sha-256", "--pwfile", str(password),
        )  # fmt: skip
        authority.issue(found.data, "localhost", ends=NOW + dt.timedelta(days=10))
        found.own()
        options = (
            f"-p {found.port} -c ssl=on -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={base}"
        )
        found.control("-l", str(base / "log"), "-o", options, "start")
        yield found
    finally:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", str(found.binaries / "pg_ctl"),
             "-D", str(found.data), "-m", "immediate", "stop"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=base,
        )  # fmt: skip
        shutil.rmtree(base)


def source(server: TlsPostgres, authority: Authority | None, **changes: object) -> SourceConfig:
    settings: dict[str, object] = {
        "host": "localhost",
        "port": server.port,
        "database": "postgres",
        "username": "s9",
        "password": Secret(PASSWORD),
        "ssl": True,
        "ssl_root_cert": str(authority.file) if authority else None,
        **changes,
    }
    return SourceConfig(**settings)  # type: ignore[arg-type]


def connects(config: SourceConfig) -> bool:
    with PostgresSource(config) as opened:
        return opened.snapshot.name != ""


def test_the_right_name_of_a_trusted_authority_is_accepted(
    server: TlsPostgres, authority: Authority
) -> None:
    assert connects(source(server, authority))


def test_an_unknown_authority_is_refused(server: TlsPostgres) -> None:
    with pytest.raises(SourceUnavailable, match="certificate verify failed"):
        connects(source(server, None))


def test_a_server_of_another_name_is_refused(server: TlsPostgres, authority: Authority) -> None:
    with pytest.raises(SourceUnavailable, match="does not match host name"):
        connects(source(server, authority, host="127.0.0.1"))


def test_a_name_may_differ_when_only_the_authority_is_verified(
    server: TlsPostgres, authority: Authority
) -> None:
    assert connects(source(server, authority, host="127.0.0.1", ssl="verify-ca"))


def test_an_expired_certificate_is_refused(server: TlsPostgres, authority: Authority) -> None:
    authority.issue(server.data, "localhost", ends=NOW - dt.timedelta(days=1))
    server.own()
    server.control("reload")
    try:
        with pytest.raises(SourceUnavailable, match="certificate"):
            connects(source(server, authority))
    finally:
        authority.issue(server.data, "localhost", ends=NOW + dt.timedelta(days=10))
        server.own()
        server.control("reload")


def looked_at(config: SourceConfig, directory: Path) -> dict[str, Check]:
    """What `check` says of S9, by name."""
    files = Workspace(directory)
    found = look(SOURCE, partial(check_source, Config(source=config), files), 10)
    return {each.name: each for each in found}


def test_check_says_whether_it_is_known_who_is_at_the_other_end(
    server: TlsPostgres, authority: Authority, tmp_path: Path
) -> None:
    stranger = looked_at(source(server, None), tmp_path)["connection"]
    assert (stranger.state, "is not trusted" in stranger.found) == (State.FAILED, True)
    assert "source.sslRootCert" in stranger.remedy  # which is what is done next
    verified = looked_at(source(server, authority), tmp_path)["TLS"]
    assert verified.state is State.OK
    assert verified.found.startswith("TLSv1.")
    unknown = looked_at(source(server, None, ssl="require"), tmp_path)["TLS"]
    assert (unknown.state, "not verified" in unknown.found) == (State.WARNING, True)
