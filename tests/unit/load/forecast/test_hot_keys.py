"""Which partition keys are hot, however many there are."""

from __future__ import annotations

import random
from collections import Counter

from load.forecast.hot_keys import HOTTEST, HotKey, KeyUnits, RecordUnits


def test_the_hottest_keys_come_first_with_their_shares() -> None:
    keys = KeyUnits()
    keys.add({"paid": 6, "draft": 1})
    keys.add({"paid": 2, "sent": 1})
    assert keys.hottest(10) == (
        HotKey("paid", 8, 0.8),
        HotKey("draft", 1, 0.1),
        HotKey("sent", 1, 0.1),
    )


def test_of_very_many_keys_the_hottest_are_known_within_what_is_unsure() -> None:
    picks = random.Random(7)
    keys, exact = KeyUnits(most=20), Counter[str]()
    for _ in range(500):
        names = [f"hot{picks.randrange(3)}", *(f"k{picks.randrange(5_000)}" for _ in range(4))]
        found = {name: 5 if name.startswith("hot") else 1 for name in names}
        exact.update(found)
        keys.add(found)
    assert len(keys.units) <= 2 * keys.most
    assert 0 < keys.unsure <= exact.total() / keys.most
    hottest = keys.hottest(exact.total())
    assert {each.key for each in hottest} == {"hot0", "hot1", "hot2"}
    assert all(exact[each.key] <= each.units <= exact[each.key] + keys.unsure for each in hottest)


def test_of_records_the_largest_are_kept() -> None:
    records = RecordUnits()
    for first in range(0, 100, 10):
        records.add({f"SALE#{n}": n for n in range(first, first + 10)})
    assert [each.key for each in records.hottest(100)] == ["SALE#99", "SALE#98", "SALE#97"]
    assert len(records.units) == HOTTEST
