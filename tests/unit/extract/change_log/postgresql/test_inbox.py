"""Up to where S9 may forget its log, whatever arrives, is given out and is confirmed meanwhile."""

from __future__ import annotations

from extract.change_log.postgresql.inbox import MOST_XIDS, Inbox
from extract.change_log.postgresql.positions import Visible
from extract.change_log.postgresql.touched import Touched

NOBODY = Visible.of("1:1:")


def change(*keys: int, xid: int = 5) -> Touched:
    return Touched(keys={"msg": set(keys)}, transactions=1, xids={xid})


def test_nothing_is_forgotten_before_it_is_said_to_be_kept() -> None:
    inbox = Inbox()
    inbox.starts_at(10)
    inbox.arrived(15)
    assert inbox.forgettable == 10
    inbox.put(change(1), 20, lambda: NOBODY)
    _, position = inbox.take(20)
    inbox.arrived(30)
    assert (position, inbox.forgettable) == (20, 10)
    inbox.let_forget(position)
    inbox.let_forget(15)
    assert inbox.forgettable == 20


def test_what_comes_again_after_a_connection_was_lost_leads_nowhere_back() -> None:
    inbox = Inbox()
    inbox.starts_at(10)
    inbox.put(change(1), 20, lambda: NOBODY)
    inbox.arrived(15)
    inbox.put(change(1), 20, lambda: NOBODY)
    touched, position = inbox.take(20)
    assert (touched.keys, position) == ({"msg": {1}}, 20)


def test_numbers_of_transactions_do_not_pile_up() -> None:
    inbox = Inbox()
    asked = []

    def visible() -> Visible:
        asked.append(1)
        return Visible.of(f"7:{MOST_XIDS * 3}:7")

    for xid in range(1, MOST_XIDS + 2):
        inbox.put(change(1, xid=xid), xid, visible)
    touched, _ = inbox.take(0)
    assert (touched.xids, len(asked)) == ({7}, 1)
