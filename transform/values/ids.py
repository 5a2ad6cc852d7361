"""The ids of the target, made from the keys of S9: the same row has the same id in every run.

An id is the version 5 UUID (RFC 9562) of a name such as `buyer:12` in the migration's own
namespace. Layouts other than s9 put a scope of their own before the name, since their key 12 is
another record. With `transformation.generateIds: false` it is readable instead: `BUYER12`. Each id
is made here and nowhere else, so that keys, attributes and references cannot drift apart.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha1
from typing import Literal

NAMESPACE = uuid.UUID("5a1e51d9-0c2b-5b0e-9f3a-7d1c4be2a609")
"""The namespace of every migrated id. It must never change: a new one doubles every table."""

_NAMESPACE_BYTES = NAMESPACE.bytes

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
    return record_id(kind, legacy_id, generate, scope)


def sale_id(legacy_id: int, generate: bool, scope: str = "") -> str:
    """Return the id of the sale whose `msg.first_id` is `legacy_id`."""
    return record_id("sale", legacy_id, generate, scope)


def line_id(legacy_id: int, generate: bool, scope: str = "") -> str:
    """Return the id of the line whose `msg_line.id` is `legacy_id`."""
    return record_id("line", legacy_id, generate, scope)


def record_id(kind: str, legacy_id: int, generate: bool, scope: str = "") -> str:
    """Return the id of what is of this `kind` (an entity's singular, or `line`) and has this key in
    S9."""
    return uuid_of(f"{scope}{kind}:{legacy_id}") if generate else f"{kind.upper()}{legacy_id}"


def id_maker(kind: str, generate: bool, scope: str = "") -> Callable[[bytes], bytes]:
    """Return the function that makes the ids of a `kind` (buyer, producer, sale, line) of legacy
    ids, of their digits as they stand in a file. It gives what the functions above give."""
    if not generate:
        return kind.upper().encode().__add__
    return partial(_uuid_of_key, f"{scope}{kind}:".encode())


def uuid_of(name: str) -> str:
    """Return `str(uuid.uuid5(NAMESPACE, name))`, several times faster."""
    return _uuid(name.encode())


def _uuid_of_key(kind: bytes, key: bytes) -> bytes:
    return _uuid(kind + key).encode()


def _uuid(name: bytes) -> str:
    # SHA-1 names here and protects nothing: hence also allowed where FIPS rules forbid it.
    digits = sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).hexdigest()
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
