"""`source.ssl` against a real MariaDB with a private certificate authority."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extract.mysql.source import MySqlSource
from tests.support.certificates import Authority
from utils.config import Secret, SourceConfig
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.error_handler import SourceUnavailable

pytestmark = pytest.mark.skipif(
    installed() is None, reason="needs mariadbd: apt-get install mariadb-server"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[EmbeddedMariaDB]:
    place = tmp_path_factory.mktemp("server")
    authority.issue(place, "localhost", ends=dt.datetime.now(dt.timezone.utc) + dt.timedelta(9))
    options = (f"--ssl-cert={place / 'server.crt'}", f"--ssl-key={place / 'server.key'}")
    with EmbeddedMariaDB(place, options=options) as started:
        yield started


def cipher(server: EmbeddedMariaDB, scratch: Path, **changes: Any) -> str:
    """What the connection is encrypted with, "" for nothing."""
    config = {
        "type": "mysql",
        "host": "localhost",
        "port": server.port,
        "database": server.database,
        "username": server.reader,
        "password": Secret(server.reader_password),
        **changes,
    }
    with MySqlSource(SourceConfig(**config), None, scratch) as source:
        [(_, found)] = source._main.all("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    return str(found)


@pytest.mark.parametrize("mode", [True, "verify-full", "verify-ca", "require"])
def test_the_right_name_of_a_trusted_authority_is_accepted(
    server: EmbeddedMariaDB, authority: Authority, tmp_path: Path, mode: bool | str
) -> None:
    assert cipher(server, tmp_path, ssl=mode, ssl_root_cert=str(authority.file))


@pytest.mark.parametrize("mode", [True, "verify-full", "verify-ca"])
def test_an_unknown_authority_is_refused(
    server: EmbeddedMariaDB, tmp_path: Path, mode: bool | str
) -> None:
    with pytest.raises(SourceUnavailable, match=r"cannot be trusted: .*verify failed"):
        cipher(server, tmp_path, ssl=mode)


def test_a_root_certificate_makes_require_verify_the_authority(
    server: EmbeddedMariaDB, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with pytest.raises(SourceUnavailable, match="verify failed"):
        cipher(server, tmp_path, ssl="require", ssl_root_cert=str(other.file))


def test_a_server_of_another_name_is_refused(
    server: EmbeddedMariaDB, authority: Authority, tmp_path: Path
) -> None:
    wrong = {"host": "127.0.0.1", "ssl_root_cert": str(authority.file)}
    with pytest.raises(SourceUnavailable, match=r"cannot be trusted: .*IP address mismatch"):
        cipher(server, tmp_path, ssl=True, **wrong)
    assert cipher(server, tmp_path, ssl="verify-ca", **wrong)


@pytest.mark.parametrize("mode", ["require", "prefer", "allow"])
def test_without_verification_the_connection_is_encrypted_all_the_same(
    server: EmbeddedMariaDB, tmp_path: Path, mode: str
) -> None:
    assert cipher(server, tmp_path, ssl=mode)


@pytest.mark.parametrize("mode", [False, "disable"])
def test_it_is_not_encrypted_when_that_is_said(
    server: EmbeddedMariaDB, tmp_path: Path, mode: bool | str
) -> None:
    assert not cipher(server, tmp_path, ssl=mode)


@pytest.mark.parametrize("mode", ["prefer", "allow"])
def test_what_is_only_preferred_is_done_without(
    mariadb: EmbeddedMariaDB, tmp_path: Path, mode: str
) -> None:
    assert not cipher(mariadb, tmp_path, ssl=mode)


@pytest.mark.parametrize("mode", [True, "verify-ca", "require"])
def test_a_server_without_tls_is_refused_before_the_password_is_sent(
    mariadb: EmbeddedMariaDB, tmp_path: Path, mode: bool | str
) -> None:
    with pytest.raises(SourceUnavailable, match="SSL is required"):
        cipher(mariadb, tmp_path, ssl=mode, password=Secret("wrong"))
