"""Records share transactions as far as these take them; none is torn apart."""

from __future__ import annotations

from collections.abc import Iterable

from load.writing.conditions import ABSENT
from load.writing.transactions import MOST_WRITES, TransactionWrite, portions, together


def record(writes: int, size: int = 10) -> list[TransactionWrite]:
    """A record of so many writes, each of so many bytes."""
    item = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}}
    return [TransactionWrite("Put", item, ABSENT, b"x" * size) for _ in range(writes)]


def groups(records: Iterable[list[TransactionWrite]]) -> list[list[int]]:
    return list(together(dict(enumerate(records))))


def test_as_many_records_as_a_transaction_takes_go_together() -> None:
    assert groups([record(4)] * 26) == [list(range(25)), [25]]
    assert groups([record(60), record(40), record(1)]) == [[0, 1], [2]]
    assert groups([]) == []


def test_what_is_too_large_for_one_request_goes_in_several() -> None:
    assert groups([record(1, 900_000)] * 5) == [[0, 1], [2, 3], [4]]
    assert groups([record(1, 3_000_000), record(1)]) == [[0], [1]]


def test_a_record_that_needs_more_than_a_transaction_shares_none() -> None:
    for large in (record(MOST_WRITES + 1), record(6, 400_000)):
        assert groups([record(2), large, record(2)]) == [[0, 2]]
        assert len(list(portions(large))) > 1
