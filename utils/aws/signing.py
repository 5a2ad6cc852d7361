"""Signatures of requests that differ in their bodies only, made once a second by botocore.

Signature Version 4 signs the headers and the SHA-256 of the body ("Create a signed AWS API
request", IAM user guide). For as long as the moment that is signed is the same, everything but the
body's part of that is the same: botocore's own signer makes it, and what is left for each request
is to digest the body, and to end two digests that have begun.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.credentials import ReadOnlyCredentials

_SIGNATURE = "Signature="
_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass
class _Request:
    """As much of botocore's AWSRequest as its signer looks at."""

    url: str
    headers: dict[str, str]
    body: bytes = b""
    method: str = "POST"
    params: None = None
    context: dict[str, Any] = field(default_factory=dict)


class _Signer(SigV4Auth):
    """botocore's signer, which tells what it has signed."""

    def canonical_request(self, request: Any) -> str:
        text: str = super().canonical_request(request)
        request.context["canonical"] = text
        return text

    def signature(self, string_to_sign: str, request: Any) -> str:
        request.context["to sign"] = string_to_sign
        signature: str = super().signature(string_to_sign, request)
        return signature

    def key(self, scope: str) -> bytes:
        """The key that is derived for a day, a region and a service."""
        key = f"AWS4{self.credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


class _Form:
    """The header lines of requests of one moment and operation, for every body."""

    def __init__(self, signer: _Signer, url: str, headers: Mapping[str, str]) -> None:
        request: Any = _Request(url, dict(headers))  # of AWSRequest it needs no more
        signer.add_auth(request)
        key = signer.key(signer.credential_scope(request))
        self._canonical = hashlib.sha256(_without(_NOTHING, request.context["canonical"]))
        to_sign = request.context["to sign"]
        # The HMAC of what is to be signed (RFC 2104, section 2), up to what depends on the body.
        self._inner = hashlib.sha256(_padded(key, 0x36))
        self._inner.update(to_sign[: to_sign.rindex("\n") + 1].encode())
        self._outer = hashlib.sha256(_padded(key, 0x5C))
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        opening, _, ending = lines.partition(_SIGNATURE)
        self._opening = (opening + _SIGNATURE).encode("latin-1")
        self._ending = ending[ending.index("\r\n") :].encode("latin-1")

    def lines(self, body: bytes) -> bytes:
        """The header lines of the request with this body."""
        canonical = self._canonical.copy()
        canonical.update(hashlib.sha256(body).hexdigest().encode())
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(canonical.hexdigest().encode())
        outer.update(inner.digest())
        return b"%b%b%b" % (self._opening, outer.hexdigest().encode(), self._ending)


def _padded(key: bytes, pad: int) -> bytes:
    """A key of 32 bytes as a digest of HMAC-SHA256 begins with it."""
    return bytes(byte ^ pad for byte in key.ljust(hashlib.sha256().block_size, b"\0"))


def _without(ending: str, text: str) -> bytes:
    assert text.endswith(ending)
    return text.removesuffix(ending).encode()


class Signer:
    """Signs requests to one URL with one set of credentials; safe to share between threads."""

    def __init__(
        self,
        keys: ReadOnlyCredentials,
        region: str,
        service: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self._signer = _Signer(keys, service, region)
        self._clock = clock
        self._forms: dict[str, tuple[int, _Form]] = {}

    def lines(self, url: str, headers: Mapping[str, str], operation: str, body: bytes) -> bytes:
        """The header lines of a request: `headers`, which are the same for all requests of an
        `operation`, and those that sign it."""
        second = int(self._clock())
        made, form = self._forms.get(operation, (-1, None))
        if made != second or form is None:
            form = _Form(self._signer, url, headers)
            self._forms[operation] = second, form
        return form.lines(body)
