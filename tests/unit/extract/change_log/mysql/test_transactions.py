"""Whole transactions from the events of a binlog, where no server is needed for it."""

from __future__ import annotations

from typing import Any

import pytest
from pymysqlreplication.event import (
    GtidEvent,
    HeartbeatLogEvent,
    NotImplementedEvent,
    QueryEvent,
    XAPrepareEvent,
    XidEvent,
)
from pymysqlreplication.row_event import PartialUpdateRowsEvent

from extract.change_log.change_log import Changes, Followed
from extract.change_log.mysql.transactions import CannotBeRead, Transactions

FOLLOWED = (Followed("msg", "first_id"), Followed("msg_line", "id", "msg_id"))
SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def event(kind: type[Any], **values: Any) -> Any:
    """An event as the library would have read it."""
    made: Any = object.__new__(kind)
    made.__dict__.update({"timestamp": 1_700_000_000, **values})
    return made


def begin(number: int = 1) -> Any:
    return event(GtidEvent, sid=bytes.fromhex(SERVER.replace("-", "")), gno=number)


def query(text: str, schema: str = "s9") -> Any:
    return event(QueryEvent, query=text, schema=schema.encode())


def updated(table: str, before: dict[str, int], after: dict[str, int]) -> Any:
    row = {"before_values": before, "after_values": after}
    return event(
        PartialUpdateRowsEvent,
        table=table,
        schema="s9",
        **{"_RowsEvent__rows": [row]},
    )


def read(*events: Any) -> list[Changes]:
    """What is given out."""
    transactions = Transactions("s9", FOLLOWED)
    return [found for each in events if (found := transactions.read(each)) is not None]


def test_a_transaction_of_mysql_has_a_begin() -> None:
    change = updated("msg", {"first_id": 1}, {"first_id": 2})
    assert read(begin(), query("BEGIN"), change, query("INSERT INTO x VALUES (1)")) == []
    [found] = read(begin(), query("BEGIN"), change, event(XidEvent))
    assert (found.keys, found.transactions) == ({"msg": {1, 2}}, 1)
    assert found.oldest == found.newest == "2023-11-14T22:13:20.000Z"


def test_a_statement_of_its_own_has_no_end() -> None:
    first, second = read(begin(), query("TRUNCATE msg"), begin(2), query("DROP TABLE x"))
    assert first.whole == {"a statement was about the table msg itself (TRUNCATE)"}
    assert second.is_empty


def test_a_distributed_transaction_of_mysql_is_prepared_and_committed() -> None:
    change = updated("msg_line", {"id": 1, "msg_id": 1}, {"id": 1, "msg_id": 2})
    prepared, committed, undone = read(
        *(begin(), query("XA START X'61',X'',1"), change, query("XA END X'61',X'',1")),
        *(event(XAPrepareEvent), begin(2), query("XA COMMIT X'61',X'',1")),
        *(begin(3), query("XA ROLLBACK X'62',X'',1")),
    )
    assert prepared.parents == {"msg_line": {1, 2}}
    assert committed.whole == {"a distributed transaction (XA) was committed"}
    assert undone.is_empty


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("ALTER TABLE msg ADD x INT", True),
        ("ALTER TABLE `S9`.`MSG` ADD x INT", True),
        ("ALTER TABLE msg_lines ADD x INT", False),
        ("ALTER TABLE my_msg ADD x INT", False),
        ("/* GRANT */ ALTER TABLE msg ADD x INT", True),
        ("# COMMIT\nDROP TABLE msg", True),
        ("GRANT SELECT ON msg TO x", False),
        ("DROP SCHEMA IF EXISTS `s9`", True),
        ("DROP DATABASE s9_copy", False),
        ("INSERT INTO x VALUES ('msg')", True),
        ("CREATE USER x IDENTIFIED BY 'secret'", False),
    ],
)
def test_what_statements_are_about(text: str, is_told: bool) -> None:
    [found] = read(begin(), query(text))
    assert bool(found.whole) is is_told
    [elsewhere] = read(begin(), query(text, "other"))
    assert bool(elsewhere.whole) is (is_told and "s9" in text.lower())


def test_the_log_may_be_read_on_from_between_transactions_only() -> None:
    transactions, heartbeat = Transactions("s9", FOLLOWED), event(HeartbeatLogEvent)
    assert transactions.is_at_a_place(heartbeat)
    transactions.read(begin())
    transactions.read(query("BEGIN"))
    assert not transactions.is_at_a_place(heartbeat)
    transactions.read(query("ROLLBACK TO `a`"))
    assert not transactions.is_at_a_place(heartbeat)
    transactions.read(query("COMMIT"))
    assert transactions.is_at_a_place(heartbeat)


@pytest.mark.parametrize("number", [26, 40, 42, 165, 166, 171])
def test_what_cannot_be_read_is_no_silence(number: int) -> None:
    with pytest.raises(CannotBeRead):
        read(event(NotImplementedEvent, event_type=number))
    assert read(event(NotImplementedEvent, event_type=37)) == []  # a view of a group
