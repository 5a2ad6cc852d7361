"""Places in a binlog, and GTIDs put together."""

from __future__ import annotations

import pytest

from extract.change_log.mysql.positions import GtidRanges, GtidState, Place


def test_places_are_in_the_order_of_the_log() -> None:
    texts = ["a.b.000009:900", "a.b.000010:4", "a.b.1000000:4", "a.b.000001:4@2"]
    places = [Place.parsed(text) for text in texts]
    assert [place.text for place in places] == texts
    for at, place in enumerate(places):
        assert [place.is_before(other) for other in places] == [n > at for n in range(4)]


@pytest.mark.parametrize("text", ["", "binlog:4", "binlog.000001", "binlog.000001:x", "x.1:4@y"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Place.parsed(text)


def test_gtids_are_put_together_without_those_that_nobody_has() -> None:
    ranges = GtidRanges()
    for number in (5, 6, 7, 6, 1_000_001, 1_000_002, 8):
        ranges.add(f"a-b:{number}")
    ranges.add("c-d:1")
    assert ranges.texts == ("a-b:5-7:1000001-1000002:8-8", "c-d:1-1")
    with pytest.raises(ValueError, match="invalid literal"):
        ranges.add("a-b")


def test_the_last_gtid_of_each_domain_counts() -> None:
    state = GtidState("7-1-3,0-1-11")
    state.add("0-2-12")
    assert state.text == "0-2-12,7-1-3" == GtidState("7-1-3,0-2-12").text
    assert GtidState().text == ""
