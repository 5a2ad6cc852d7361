"""A page is the same items, whether it is cut or parsed; what is none is never taken for one."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from load.backup.key_index import Digests
from load.backup.page import Page, PageReader
from load.backup.records_in_change import Meanwhile
from tests.support.records.item_texts import ITEMS, SPACING, TEXTS, Item
from utils.dynamodb.answer_shapes import NoAnswer
from utils.dynamodb.item_content import normal_item

MEANWHILE = Meanwhile("2026-01-30T08:00:00", "2026-02-02T08:00:00", "2026-01-31T00:00:00.000Z")
READER = PageReader(Digests(("PK", "SK"), b"0123456789abcdef"), MEANWHILE)
TIMES = st.sampled_from(
    ["", "2026-01-30T07:59:59.999Z", "2026-01-30T08:00:00.000Z", MEANWHILE.own, "2026-02-02T09"]
)
KEYED = st.builds(
    lambda pk, sk, time, rest, more: {
        **rest,
        "PK": pk,
        "SK": {"S": sk},
        "updatedAt": {"S": time},
        **more,
    },
    st.builds(lambda text: {"S": text}, TEXTS) | st.just({"N": "7"}),
    TEXTS,
    TIMES,
    ITEMS,
    st.sampled_from([{}, {"legacyId": {"S": "1"}}, {"createdAt": {"S": "2026-02-01T10:00"}}]),
)
AROUND = {"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 1.5}}
REQUEST = {"ReturnConsumedCapacity": "TOTAL"}


def page_of(*items: Item) -> dict[str, Any]:
    return {"Count": len(items), "Items": items, "ScannedCount": len(items), **AROUND}


def flat(number: int) -> Item:
    return {
        "SK": {"S": "METADATA"},
        "legacyId": {"S": f"{number}"},
        "PK": {"S": f"SALE#{number}"},
        "city": {"S": "Forlì, {Sant'Angelo} }x"},
        "total": {"N": f"-{number}.25"},
        "paid": {"BOOL": True},
        "updatedAt": {"S": "2026-01-30T07:00:00.000Z"},
    }


def same(page: Page, other: Page) -> bool:
    """Whether two pages have the same items, in whatever order their attributes are."""
    lines = [
        [normal_item(orjson.loads(entry.line)["Item"]) for entry in each.entries]
        for each in (page, other)
    ]
    assert all(entry.line.endswith(b"}}\n") for each in (page, other) for entry in each.entries)
    rest = [[entry._replace(line=b"") for entry in each.entries] for each in (page, other)]
    around = [(each.units, each.last_key, each.ends_at) for each in (page, other)]
    return lines[0] == lines[1] and rest[0] == rest[1] and around[0] == around[1]


@settings(max_examples=40)
@given(st.lists(KEYED, max_size=3), st.randoms(), SPACING, st.booleans())
@example([{**flat(1), "a": {"S": "x"}, "a b": {"S": "y"}}], Random(0), (",", ":"), False)
@example([{**flat(1), "l": {"L": [{"M": {"a": {"S": "1"}}}] * 2}}] * 2, Random(0), (",", ":"), True)
def test_a_page_that_is_cut_is_the_page_that_is_parsed(
    items: list[Item], random: Random, spacing: tuple[str, str], escaped: bool
) -> None:
    shuffled = [dict(random.sample(list(item.items()), len(item))) for item in items]
    body = json.dumps(page_of(*shuffled), separators=spacing, ensure_ascii=escaped).encode()
    assert same(READER.read(REQUEST, body), READER._parsed(REQUEST, body))


FLAT_PAGE = orjson.dumps(page_of(*map(flat, range(3))))


@settings(max_examples=100)
@given(
    st.integers(0, len(FLAT_PAGE) - 1),
    st.sampled_from([0, 1, 7]),
    st.sampled_from([b"", b'"', b"}", b"{", b",", b" ", b"\\", b"[", b"\xff", b"\n", b"0", b"x"]),
)
@example(FLAT_PAGE.index(b'"Items"') + 9, 0, b'"a":{"S":"x"},')
@example(FLAT_PAGE.index(b"-1.25"), 5, b"01")
@example(FLAT_PAGE.index(b"}},{"), 2, b'},"}}')
def test_a_page_with_a_fault_is_no_page_that_would_not_be_one_when_parsed(
    place: int, less: int, more: bytes
) -> None:
    body = FLAT_PAGE[:place] + more + FLAT_PAGE[place + less :]
    try:
        parsed = READER._parsed(REQUEST, body)
    except NoAnswer:
        with pytest.raises(NoAnswer):
            READER.read(REQUEST, body)
    else:
        assert same(READER.read(REQUEST, body), parsed)


def test_what_is_usual_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = READER._parsed(REQUEST, FLAT_PAGE)
    monkeypatch.setattr(PageReader, "_parsed", None)
    monkeypatch.setattr(PageReader, "entry", None)
    page = READER.read(REQUEST, FLAT_PAGE)
    assert same(page, parsed)
    assert len(page.entries) == 3
