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
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from extract.postgresql.source import PostgresSource
from utils.config import Secret, SourceConfig
from utils.embedded.ports import free_port
from utils.error_handler import SourceUnavailable

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(
    not INSTALLED or shutil.which("runuser") is None or os.geteuid() != 0,
    reason="needs Debian's postgresql and root to run it: apt-get install postgresql",
)
PASSWORD = "tls-test-only"
NOW = dt.datetime.now(dt.timezone.utc)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A private certificate authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(_name("Test authority"))
            .issuer_name(_name("Test authority"))
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(days=30))
            .not_valid_after(NOW + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / "authority.crt"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, server: Path, *names: str, ends: dt.datetime) -> None:
        """Write server.crt and server.key for host names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [
            x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(names[0]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(days=20))
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (server / "server.crt").write_bytes(certificate.public_bytes(pem))
        (server / "server.key").write_bytes(
            key.private_bytes(
                pem,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (server / "server.key").chmod(0o600)


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
