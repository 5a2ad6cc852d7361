"""A private certificate authority, and what servers have from it."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
            builder = builder.add_extension(_alternatives(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path = self._directory / f"{certificate.serial_number}.pem"
        path.write_bytes(_private(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def issue(self, server: Path, *names: str, ends: dt.datetime) -> None:
        """Write server.crt and server.key for host names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(_named(names[0]), key.public_key(), NOW - 20 * DAY, ends)
            .add_extension(_alternatives(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (server / "server.crt").write_bytes(pem)
        (server / "server.key").write_bytes(_private(key))
        (server / "server.key").chmod(0o600)


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, form, serialization.NoEncryption())
