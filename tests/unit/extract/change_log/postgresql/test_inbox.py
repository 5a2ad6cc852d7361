"""Up to where S9 may forget its log, whatever arrives, is given out and is confirmed meanwhile."""

from __future__ import annotations

from extract.change_log.postgresql.inbox import MOST_XIDS, Inbox
from extract.change_log.postgresql.positions import Visible
from extract.change_log.postgresql.touched import Touched

NOBODY = Visible.of("1:1:")


def change(*keys: int, xid: int = 5) -> Touched:
    return Touched(keys={"msg": set(keys)}, transactions=1, xids={xid})


def forgotten(inbox: Inbox, *, is_inside: bool = False, is_pending: bool = False) -> int:
    return inbox.forgettable(is_inside, is_pending)


def test_nothing_is_forgotten_before_it_is_confirmed() -> None:
    inbox = Inbox()
    inbox.starts_at(10)
    inbox.put(change(1), 20, lambda: NOBODY)
    assert forgotten(inbox) == 10
    _, position, first = inbox.take(20)
    inbox.arrived(30)
    assert (position, forgotten(inbox)) == (20, 10)
    inbox.put(change(2), 40, lambda: NOBODY)
    _, _, second = inbox.take(40)
    inbox.confirm(first, 20)
    assert forgotten(inbox) == 20
    inbox.confirm(second, 40)
    inbox.arrived(50)
    assert forgotten(inbox) == 50


def test_what_is_not_of_interest_is_forgotten_when_nothing_else_is_on_its_way() -> None:
    inbox = Inbox()
    inbox.starts_at(10)
    inbox.arrived(20)
    assert forgotten(inbox, is_inside=True) == forgotten(inbox, is_pending=True) == 10
    inbox.compare_all("a table was emptied")
    assert forgotten(inbox) == 10
    _, _, times = inbox.take(20)
    assert forgotten(inbox) == 10
    inbox.confirm(times, 20)
    assert forgotten(inbox) == 20


def test_after_a_connection_was_lost_nothing_goes_back() -> None:
    inbox = Inbox()
    inbox.starts_at(10)
    inbox.put(change(1), 20, lambda: NOBODY)
    inbox.starts_at(10)
    inbox.arrived(15)
    inbox.put(change(1), 20, lambda: NOBODY)
    touched, position, _ = inbox.take(20)
    assert (touched.keys, position) == ({"msg": {1}}, 20)


def test_numbers_of_transactions_do_not_pile_up() -> None:
    inbox = Inbox()
    asked = []

    def visible() -> Visible:
        asked.append(1)
        return Visible.of(f"7:{MOST_XIDS * 3}:7")

    for xid in range(1, MOST_XIDS + 2):
        inbox.put(change(1, xid=xid), xid, visible)
    touched, _, _ = inbox.take(0)
    assert (touched.xids, len(asked)) == ({7}, 1)
