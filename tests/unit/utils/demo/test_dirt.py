"""The catalogue of dirty rows, how they are spread, and the declared tables."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.demo.sample.clock import AUTUMN_SUNDAYS, SPRING_SUNDAYS
from utils.demo.sample.dirt import SaleDirt, copies
from utils.demo.sample.dirty import MINIMUM, catalogue
from utils.demo.sample.dirty_sales import DIRTY_SALES
from utils.demo.sample.sales import make_plan
from utils.demo.sample.schema import MSG, MSG_ANAG, MSG_LINE, TABLES, Names

ROME = ZoneInfo("Europe/Rome")


def test_every_kind_is_named_once_for_an_entity() -> None:
    keys = Counter((kind.entity, kind.key) for kind in catalogue())
    assert set(keys.values()) == {1}
    assert {kind.entity for kind in catalogue()} == {"buyers", "producers", "sales"}
    assert all(kind.what for kind in catalogue())


def test_the_minimum_is_small() -> None:
    assert MINIMUM <= (20, 8, 60)
    assert all(size <= limit for size, limit in zip(MINIMUM, (20, 8, 60), strict=True))


@given(st.integers(0, 5_000))
def test_one_row_at_least_stays_clean_and_no_kind_has_more_than_its_most(count: int) -> None:
    dirty = copies(DIRTY_SALES, count)
    assert len(dirty) <= max(0, count - 1)
    assert all(number <= 4 for number in Counter(kind.key for kind in dirty).values())


@given(st.integers(0, 700), st.integers(1, 20), st.integers(0, 2**32))
def test_a_plan_has_room_for_everything_and_keeps_the_pairs_plain(
    sales: int, disabled: int, seed: int
) -> None:
    at = make_plan(random.Random(seed), DIRTY_SALES, sales, disabled).at
    assert list(at.values()).count("disabled") == disabled
    assert all(0 <= position < sales + disabled for position in at)
    for position, what in at.items():
        if isinstance(what, SaleDirt) and what.after_clean:
            assert at[position - 1] is None


@pytest.mark.parametrize("names", ["english", "italian"])
def test_no_table_has_a_column_twice(names: Names) -> None:
    for table in TABLES:
        columns = [column.named(names) for column in table.columns]
        assert len(columns) == len(set(columns))


def test_italian_names_are_the_first_that_s9_lists() -> None:
    italian = {
        (table.name, column.name): column.italian for table in TABLES for column in table.columns
    }
    assert italian["msg_anag", "sdi_code"] == "sdi"
    assert italian["msg_anag", "sub_name"] == "indirizzo2"
    assert italian["msg", "first_id"] == "id"
    assert italian["msg", "buyer_id"] == "cliente_id"
    assert italian["msg", "dn_number3"] == "ddt_numero3"
    assert italian["msg_line", "id"] == "first_id"
    assert italian["msg_line", "tax_rate"] == "aliquota_iva"
    assert italian["msg_line", "msg_id"] == "msg_id"


def test_tables_have_the_columns_that_s9_documents() -> None:
    assert [len(table.columns) for table in (MSG_ANAG, MSG, MSG_LINE)] == [45, 51, 17]


def test_clock_changes_are_those_of_the_zone() -> None:
    for sunday in SPRING_SUNDAYS:
        gap = datetime(sunday.year, sunday.month, sunday.day, 2, 30, tzinfo=ROME)
        back = gap.astimezone(ZoneInfo("UTC")).astimezone(ROME)
        assert back.replace(tzinfo=None) != gap.replace(tzinfo=None)
    for sunday in AUTUMN_SUNDAYS:
        twice = datetime(sunday.year, sunday.month, sunday.day, 2, 30, tzinfo=ROME)
        assert twice.utcoffset() == timedelta(hours=2)
        assert twice.replace(fold=1).utcoffset() == timedelta(hours=1)
