"""C20: a huge sale is judged line by line, and the same is found (memory: torture_memory.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.records.broken import BROKEN, SOUND, named
from tests.support.records.items import as_lines, as_written, sale_record
from validate.fast import sales, sound_text
from validate.gate.record_checks import Policy, check_chunk
from validate.rules import record_items, text_rules
from validate.rules.record_items import LazyItems, items_of

Judge = Callable[[list[bytes]], Any]


@pytest.fixture
def huge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record counts as huge."""
    for module in (record_items, text_rules, sound_text):
        monkeypatch.setattr(module, "HUGE", 0)
    monkeypatch.setattr(sales, "HUGE", 1)


def judged(entity: str, lines: list[bytes]) -> tuple[Any, Any]:
    outcome = check_chunk(lines, entity, Policy())
    return outcome.facts, outcome.findings


SALES = [(rule, items) for rule, (entity, items) in (*BROKEN, *SOUND) if entity == "sales"]


@pytest.mark.parametrize(("rule", "items"), SALES, ids=named)
def test_what_is_found_of_a_huge_sale_is_what_is_found_of_any(
    rule: str, items: list[Any], request: pytest.FixtureRequest
) -> None:
    lines = as_written(items)
    ordinary = judged("sales", lines)
    request.getfixturevalue("huge")
    assert judged("sales", lines) == ordinary


def test_no_item_of_a_huge_sale_is_kept(huge: None) -> None:
    items = items_of(as_lines(sale_record(7, lines=3)))
    assert isinstance(items, LazyItems)
    assert items[0] is not items[0]
    assert items[1:][2]["lineNumber"] == {"N": "3"}
    assert [item["SK"]["S"][:4] for item in items[1:]] == ["LINE"] * 3
    assert len(items[1:]) == 3


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"Item":[1]}', b"7"])
def test_what_is_no_item_is_found_in_a_huge_sale_too(huge: None, line: bytes) -> None:
    lines = as_lines(sale_record(7, lines=2))
    _, findings = judged("sales", [*lines, line + b"\n"])
    assert "not-an-item" in {finding.rule for _, finding in findings}
