"""Whether a request is signed as AWS wants it: a verifier written from AWS's own specification
("Create a signed AWS API request", AWS IAM user guide), and from nothing else."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^,]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/"
    r"(?P<service>[^/,]+)/aws4_request, SignedHeaders=(?P<signed>[a-z0-9;-]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
TOLERATED = dt.timedelta(minutes=5)


class NotSigned(Exception):
    """AWS would refuse the request; the text says why."""


def verify(
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: str,
    method: str = "POST",
    now: dt.datetime | None = None,
) -> dict[str, str]:
    """What a request is signed with and for: key, day, region, service, signed.

    `target` is the request line's target; `headers` have names as they were sent. Raises NotSigned.
    """
    lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    found = _AUTHORIZATION.fullmatch(lowered.get("authorization", ""))
    if found is None:
        raise NotSigned("no Authorization of Signature Version 4")
    moment = lowered["x-amz-date"]
    _require_moment(moment, found["day"], now or dt.datetime.now(dt.timezone.utc))
    signed = found["signed"].split(";")
    if signed != sorted(signed) or "host" not in signed:
        raise NotSigned("SignedHeaders are not sorted, or the host is not among them")
    if missing := [n for n in lowered if n.startswith("x-amz-") and n not in signed]:
        raise NotSigned(f"{missing} must be signed")
    canonical = "\n".join(
        (
            method,
            _path(target),
            _query(target),
            "".join(f"{name}:{lowered[name]}\n" for name in signed),
            found["signed"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{found['day']}/{found['region']}/{found['service']}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if expected != found["signature"]:
        raise NotSigned(f"the signature is of another request than {canonical!r}")
    return found.groupdict()


def _require_moment(moment: str, day: str, now: dt.datetime) -> None:
    then = dt.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.timezone.utc)
    if abs(now - then) > TOLERATED or not moment.startswith(day):
        raise NotSigned(f"of another time: {moment}")


def _path(target: str) -> str:
    """The path, normalized (RFC 3986, section 6), each segment encoded once more than it was sent
    (every service but S3)."""
    path = re.sub("/+", "/", urlsplit(target).path or "/")
    normal = posixpath.normpath(path)
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/-_.~")


def _query(target: str) -> str:
    pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    encoded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))
