"""What a change of S9's rows means for the records of an entity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from extract.change_log.change_log import Changes
from extract.entities import entities_of
from extract.following.affected import affected
from extract.following.tables import Touched, touched_by
from utils.config import EntityExtraction, ExtractionConfig

SALES, BUYERS = (entities_of("s9")[name] for name in ("sales", "buyers"))
PLAIN = ExtractionConfig()


def test_a_sale_is_touched_by_its_row_its_lines_and_its_parties() -> None:
    changes = Changes(
        keys={"msg": {10}, "msg_line": {7}, "msg_anag": {1, 3}}, parents={"msg_line": {11}}
    )
    assert touched_by(changes, SALES, PLAIN) == Touched(
        keys=frozenset({10, 11}),
        children=frozenset({7}),
        references={"buyer_id": frozenset({1, 3}), "producer_id": frozenset({1, 3})},
    )
    assert touched_by(changes, BUYERS, PLAIN) == Touched(keys=frozenset({1, 3}))


def test_of_other_tables_nothing_is_touched() -> None:
    assert touched_by(Changes(keys={"elsewhere": {1}}), BUYERS, PLAIN).is_empty
    assert touched_by(Changes(keys={"msg": {10}}), BUYERS, PLAIN).is_empty


@pytest.mark.parametrize(
    "extraction",
    [
        replace(PLAIN, sales=EntityExtraction(where="enabled")),
        replace(PLAIN, sales=EntityExtraction(query="SELECT * FROM msg")),
        replace(PLAIN, sales=EntityExtraction(limit=3)),
        replace(PLAIN, buyers=EntityExtraction(query="SELECT * FROM mine")),
        replace(PLAIN, buyers=EntityExtraction(limit=3)),
    ],
    ids=["where", "query", "limit", "a party's query", "a party's limit"],
)
def test_where_more_decides_than_the_row_everything_is_read(extraction: ExtractionConfig) -> None:
    changes = Changes(keys={"msg": {10}})
    assert touched_by(changes, SALES, extraction).whole
    assert touched_by(Changes(), SALES, extraction).is_empty


def test_a_party_that_is_selected_by_its_sales_is_touched_by_any_of_them() -> None:
    referenced = replace(PLAIN, disabled_parties="referenced")
    assert touched_by(Changes(keys={"msg": {10}}), BUYERS, referenced).whole
    assert touched_by(Changes(parents={"msg_line": {10}}), BUYERS, referenced).is_empty


def test_a_reason_to_compare_everything_touches_everything() -> None:
    changes = Changes(keys={"msg": {10}}, whole={"msg was emptied (TRUNCATE)"})
    assert touched_by(changes, BUYERS, PLAIN).whole


def test_changes_that_come_one_after_the_other_are_put_together() -> None:
    first = Changes(
        {"msg": {1}}, {"msg_line": {5}}, set(), 1, "2026-01-02", "2026-01-02", "a", ("x",)
    )
    then = Changes({"msg": {2}}, {}, {"why"}, 2, "2026-01-03", "2026-01-04", "b", ("y",))
    assert first.and_then(then) == Changes(
        {"msg": {1, 2}}, {"msg_line": {5}}, {"why"}, 3, "2026-01-02", "2026-01-04", "b", ("x", "y")
    )
    assert first.and_then(Changes()) == first
    assert first.keys == {"msg": {1}}


def test_whose_a_changed_row_is_stands_in_the_extracted_file(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    path.write_bytes(
        b'{"first_id":10,"buyer_id":1,"producer_id":3,"lines":[{"id":1,"msg_id":10},{"id":21}]}\n'
        b'{"first_id":11,"buyer_id":"21","producer_id":3,"lines":[{"id": 2,"msg_id":11}]}\n'
        b'{"first_id":12,"buyer_id":null,"producer_id":33,"lines":[]}\n'
    )

    def found(children: set[int], **references: set[int]) -> list[int]:
        named = {name: frozenset(keys) for name, keys in references.items()}
        return list(affected(path, named, frozenset(children), "id"))

    assert found({2}) == [11]
    assert found({1, 2}) == [10, 11]
    assert found({21}) == [10]
    assert found(set(), buyer_id={21}) == [11]
    assert found(set(), producer_id={3}) == [10, 11]
    assert found({99}, buyer_id={99}, producer_id=set()) == []
