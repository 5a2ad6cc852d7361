"""Messages of pgoutput that no server sends on order: damaged, unknown, of other protocols."""

from __future__ import annotations

import struct
from datetime import datetime, timezone

import pytest

from extract.change_log.change_log import Followed
from extract.change_log.postgresql.pgoutput import Begin, Commit, Other, Row, UnknownMessage, decode
from extract.change_log.postgresql.touched import Touched, Transactions

BEGIN = struct.pack("!cQqI", b"B", 5, 1_000_000, 4_294_967_290)
COMMIT = struct.pack("!cBQQq", b"C", 0, 5, 9, 0)


def relation(*columns: tuple[str, int]) -> bytes:
    head = b"R" + struct.pack("!I", 7) + b"public\0msg\0" + b"d" + struct.pack("!H", len(columns))
    return head + b"".join(
        bytes([flags]) + name.encode() + b"\0" + struct.pack("!Ii", 20, -1)
        for name, flags in columns
    )


def values(*texts: bytes | None) -> bytes:
    parts = [b"n" if t is None else b"t" + struct.pack("!I", len(t)) + t for t in texts]
    return struct.pack("!H", len(texts)) + b"".join(parts)


def test_transactions_have_a_time_a_number_and_an_end() -> None:
    begun = decode(BEGIN)
    assert begun == Begin(datetime(2000, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 4_294_967_290)
    assert decode(COMMIT) == Commit(9)


def test_rows() -> None:
    of_7 = struct.pack("!I", 7)
    old, new = values(b"1", None), values(b"2", b"")
    assert decode(b"I" + of_7 + b"N" + new) == Row(7, None, True, [b"2", b""])
    assert decode(b"U" + of_7 + b"N" + new) == Row(7, None, False, [b"2", b""])
    assert decode(b"U" + of_7 + b"K" + old + b"N" + new) == Row(7, [b"1", None], False, [b"2", b""])
    assert decode(b"U" + of_7 + b"O" + old + b"N" + new) == Row(7, [b"1", None], True, [b"2", b""])
    assert decode(b"D" + of_7 + b"K" + old) == Row(7, [b"1", None], False, None)
    assert decode(b"D" + of_7 + b"O" + old) == Row(7, [b"1", None], True, None)


@pytest.mark.parametrize("kind", [b"O", b"Y", b"M"])
def test_what_is_not_of_rows_says_nothing(kind: bytes) -> None:
    assert decode(kind + b"anything") == Other()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"?",
        b"S\0\0\0\1",  # a part of a transaction, of protocol 2
        BEGIN[:-1],
        b"I" + struct.pack("!I", 7) + b"N" + values(b"12")[:3],
        b"I" + struct.pack("!I", 7) + b"N" + b"\0\1?",
        relation(("first_id", 1))[:-2],
        b"T\0\0\0\2\0\0\0\0\1",
    ],
)
def test_what_is_damaged_or_unknown(payload: bytes) -> None:
    with pytest.raises(UnknownMessage):
        decode(payload)


def read(*payloads: bytes, followed: Followed) -> Touched:
    transactions = Transactions("public", [followed], ())
    found = None
    for payload in (BEGIN, *payloads, COMMIT):
        found = transactions.read(decode(payload))
    assert found is not None and transactions.end == 9 and not transactions.is_inside
    return found


def test_a_table_without_its_key_is_compared_as_a_whole() -> None:
    row = b"I" + struct.pack("!I", 7) + b"N" + values(b"1")
    found = read(relation(("id", 1)), row, followed=Followed("msg", "first_id"))
    assert found.whole == {"msg has no column first_id any more"}


def test_an_identity_without_the_key_is_compared_as_a_whole() -> None:
    """Somebody has altered it since it was looked at."""
    row = b"D" + struct.pack("!I", 7) + b"K" + values(None, b"1")
    table = relation(("first_id", 0), ("code", 1))
    [reason] = read(table, row, followed=Followed("msg", "first_id")).whole
    assert "its replica identity has no first_id" in reason


def test_a_parent_that_is_no_number_or_none() -> None:
    table = relation(("first_id", 1), ("parent", 0))
    followed = Followed("msg", "first_id", "parent")
    for parent, whole in ((b"x", True), (b"1e5", True), (b"", True), (None, False)):
        row = b"I" + struct.pack("!I", 7) + b"N" + values(b"1", parent)
        found = read(table, row, followed=followed)
        assert (bool(found.whole), found.parents) == (whole, {})


def test_a_table_of_another_schema_is_not_followed() -> None:
    table = relation(("first_id", 1)).replace(b"public", b"others")
    row = b"I" + struct.pack("!I", 7) + b"N" + values(b"1")
    assert read(table, row, followed=Followed("msg", "first_id")).is_empty
