"""The messages of pgoutput, PostgreSQL's own logical format (protocol 1; "Logical Replication
Message Formats" in PostgreSQL's manual), as far as keys are asked for.

Values come as text, None is NULL, or a value that the message does not repeat since it has not
changed: that is of large values only, which no key is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
_BEGIN = struct.Struct("!QqI")
_COMMIT = struct.Struct("!BQQq")
_TYPE = struct.Struct("!Ii")
_NUMBER = struct.Struct("!I")
_COUNT = struct.Struct("!H")

Values = Sequence["bytes | None"]


@dataclass(frozen=True)
class Begin:
    """A transaction begins: when it was committed, and the low 32 bits of its number."""

    committed_at: datetime
    xid: int


@dataclass(frozen=True)
class Commit:
    """A transaction is whole. `end` is where its log ends: a position that can be confirmed."""

    end: int


@dataclass(frozen=True)
class Relation:
    """What a table looks like from here on. `columns` are (name, whether it is of the replica
    identity)."""

    number: int
    schema: str
    name: str
    columns: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Row:
    """A row was inserted (there is no old one), updated, or deleted (there is no new one).

    `is_old_known` tells whether `old` is all that there was. Else it has the columns of the replica
    identity, or is None, where these have not changed.
    """

    relation: int
    old: Values | None
    is_old_known: bool
    new: Values | None


@dataclass(frozen=True)
class Truncated:
    relations: tuple[int, ...]


@dataclass(frozen=True)
class Other:
    """A message that says nothing of rows: origin, type, a mark of whoever."""


Message = Begin | Commit | Relation | Row | Truncated | Other


class UnknownMessage(Exception):
    """Something that protocol 1 does not have."""


def decode(payload: bytes) -> Message:
    """One message. Raises UnknownMessage."""
    try:
        return _decode(payload)
    except (struct.error, IndexError, ValueError) as error:
        raise UnknownMessage(payload[:1].decode("latin-1")) from error


def _decode(payload: bytes) -> Message:
    read = _READERS.get(payload[:1])
    if read is None:
        raise ValueError("unknown")
    return read(payload)


def _begin(payload: bytes) -> Begin:
    _, microseconds, xid = _BEGIN.unpack_from(payload, 1)
    return Begin(_EPOCH + timedelta(microseconds=microseconds), xid)


def _commit(payload: bytes) -> Commit:
    return Commit(_COMMIT.unpack_from(payload, 1)[2])


def _inserted(payload: bytes) -> Row:
    return Row(_number(payload, 1), None, True, _values(payload, 6)[0])


def _deleted(payload: bytes) -> Row:
    return Row(_number(payload, 1), _values(payload, 6)[0], payload[5:6] == b"O", None)


def _truncated(payload: bytes) -> Truncated:
    return Truncated(struct.unpack_from(f"!{_number(payload, 1)}I", payload, 6))


def _silent(_payload: bytes) -> Other:
    return Other()


def _number(payload: bytes, at: int) -> int:
    found: int = _NUMBER.unpack_from(payload, at)[0]
    return found


def _updated(payload: bytes) -> Row:
    number, kind = _number(payload, 1), payload[5:6]
    if kind == b"N":
        return Row(number, None, False, _values(payload, 6)[0])
    old, at = _values(payload, 6)
    return Row(number, old, kind == b"O", _values(payload, at + 1)[0])


def _relation(payload: bytes) -> Relation:
    schema, at = _text(payload, 5)
    name, at = _text(payload, at)
    (count,) = _COUNT.unpack_from(payload, at + 1)  # behind the kind of the replica identity
    at += 3
    columns = []
    for _ in range(count):
        is_identity = bool(payload[at] & 1)
        column, at = _text(payload, at + 1)
        columns.append((column, is_identity))
        _TYPE.unpack_from(payload, at)  # has to be there
        at += _TYPE.size
    return Relation(_number(payload, 1), schema, name, tuple(columns))


def _text(payload: bytes, at: int) -> tuple[str, int]:
    end = payload.index(b"\0", at)
    return payload[at:end].decode("utf-8", "replace"), end + 1


def _values(payload: bytes, at: int) -> tuple[list[bytes | None], int]:
    """The values of a row that begins there, and where it ends."""
    (count,) = _COUNT.unpack_from(payload, at)
    at += 2
    found: list[bytes | None] = []
    for _ in range(count):
        kind = payload[at]
        at += 1
        if kind in b"nu":
            found.append(None)
        elif kind == ord("t"):
            end = at + 4 + _number(payload, at)
            found.append(payload[at + 4 : end])
            at = end
        else:
            raise ValueError(kind)
    return found, at


_READERS: Mapping[bytes, Callable[[bytes], Message]] = {
    b"B": _begin,
    b"C": _commit,
    b"R": _relation,
    b"I": _inserted,
    b"U": _updated,
    b"D": _deleted,
    b"T": _truncated,
    b"O": _silent,  # where the transaction came from
    b"Y": _silent,  # a type
    b"M": _silent,  # a mark of whoever
}
