"""The ids of the target, made from the keys of S9: the same row has the same id in every run.

An id is the version 5 UUID (RFC 9562) of a name such as `buyer:12` in the migration's own
namespace. Layouts other than s9 put a scope of their own before the name, since their key 12 is
another record. With `transformation.generateIds: false` it is readable instead: `BUYER12`. Each id
is made here and nowhere else, so that keys, attributes and references cannot drift apart.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache
from typing import Literal

NAMESPACE = uuid.UUID("5a1e51d9-0c2b-5b0e-9f3a-7d1c4be2a609")
"""The namespace of every migrated id. It must never change: a new one doubles every table."""

# SHA-1 names here and protects nothing: hence also allowed where FIPS rules forbid it.
_OF_NAMESPACE = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
# RFC 9562: the two upper bits of this digit are the variant, binary 10.
_VARIANT = {digit: f"{int(digit, 16) & 0b0011 | 0b1000:x}" for digit in "0123456789abcdef"}

_CACHED_PARTIES = 65_536


@lru_cache(maxsize=_CACHED_PARTIES)
def party_id(
    kind: Literal["buyer", "producer"], legacy_id: int, generate: bool, scope: str = ""
) -> str:
    """Return the id of the party whose `msg_anag.first_id` is `legacy_id`.

    Cached, because every sale asks for two parties and parties come back sale after sale.
    """
    return uuid_of(f"{scope}{kind}:{legacy_id}") if generate else f"{kind.upper()}{legacy_id}"


def sale_id(legacy_id: int, generate: bool, scope: str = "") -> str:
    """Return the id of the sale whose `msg.first_id` is `legacy_id`."""
    return uuid_of(f"{scope}sale:{legacy_id}") if generate else f"SALE{legacy_id}"


def line_id(legacy_id: int, generate: bool, scope: str = "") -> str:
    """Return the id of the line whose `msg_line.id` is `legacy_id`."""
    return uuid_of(f"{scope}line:{legacy_id}") if generate else f"LINE{legacy_id}"


def uuid_of(name: str) -> str:
    """Return `str(uuid.uuid5(NAMESPACE, name))`, several times faster."""
    of_name = _OF_NAMESPACE.copy()
    of_name.update(name.encode())
    digest = of_name.hexdigest()
    return (
        f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}"
        f"-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"
    )
