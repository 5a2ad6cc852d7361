"""A record that is just as it was loaded is undone without being parsed, and in no other way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from load.rollback.undo_record import Doubt, Record, decide, undo_as_loaded
from tests.support.records.transformed import party, sale
from utils.dynamodb.item_text import flat_attributes, holds_just
from utils.files.line_marks import ADDED, DELETED, KEPT, NEW, REPLACED, SAME

Item = dict[str, dict[str, Any]]
RECORDS: dict[str, list[Item]] = {
    "sale": [{**item, "notes": {"S": "plain"}} for item in sale(3, lines=4)],
    "buyer": [party("buyer", 1)],
}


def record(items: list[Item], mark: int = NEW) -> Record:
    lines = [orjson.dumps({"Item": item}) + b"\n" for item in items]
    return Record.of([(1000 * n, line, mark) for n, line in enumerate(lines)])


@pytest.mark.parametrize("mark", [NEW, ADDED, REPLACED, DELETED])
@pytest.mark.parametrize("kind", RECORDS)
def test_what_is_as_it_was_loaded_is_undone_as_if_it_were_parsed(kind: str, mark: int) -> None:
    items = RECORDS[kind]
    loaded = record(items, mark)
    answer = orjson.dumps({"Count": len(items), "Items": items[::-1]})
    known = loaded.as_loaded({}, {})
    assert known is not None
    assert holds_just(answer, known)
    parsed = decide(loaded, {item["SK"]["S"]: item for item in items}, {}, Doubt())
    verdict = undo_as_loaded(loaded)
    assert verdict is not None
    assert verdict.fates == parsed.fates
    assert not verdict.kept
    assert [(each.kind, each.item["SK"], each.body) for each in verdict.writes] == [
        (each.kind, each.item["SK"], each.body) for each in parsed.writes
    ]
    assert all(each.kind == "Delete" for each in verdict.writes)
    assert verdict.writes[0].item["SK"] == {"S": "METADATA"}


def test_what_needs_a_closer_look_is_not_taken_for_it() -> None:
    items = RECORDS["sale"]
    before = {"METADATA": items[0]}
    assert record(items).as_loaded(before, {}) is None
    assert record(items).as_loaded({}, before) is None
    for mark in (SAME, KEPT):
        assert record(items, mark).as_loaded({}, {}) is None
    for value in ({"L": [{"S": "x"}]}, {"S": 'a "b"'}, {"S": "},"}):
        assert record([{**items[0], "notes": value}]).as_loaded({}, {}) is None


def test_an_item_with_too_many_attributes_for_a_condition_is_left_to_the_parser() -> None:
    large = {**RECORDS["sale"][0], **{f"a{n}": {"S": "x"} for n in range(200)}}
    assert flat_attributes(orjson.dumps({"Item": large}) + b"\n") is not None
    assert undo_as_loaded(record([large])) is None
