"""A14: what was issued in layout i2_speedex is frozen in the Sale Module, with its number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.records.i2_rows import items_of, sale_row

ISSUED = frozenset({"sent", "paid"})


def sale(issued: frozenset[str] = ISSUED, **changes: Any) -> Any:
    return items_of("sales", sale_row(**changes), issued_statuses=issued)[0]


def frozen(**changes: Any) -> Any:
    item = sale(**changes)
    return item["invoiceGenerated"]["BOOL"], item.get("invoiceNumber", {}).get("S")


@pytest.mark.parametrize("status", ["sent", "paid", " Sent ", "PAID"])
def test_an_issued_sale_is_frozen_with_the_number_as_it_is_shown(status: str) -> None:
    assert frozen(status=status, sale_number=12, year=2026) == (True, "2026/T012")
    assert frozen(status=status, sale_number=12, year=2017) == (True, "12/2017")
    item = sale(status=status)
    assert item["invoiceNumber"] == item["regNumber"]
    assert "invoiceGeneratedAt" not in item  # S9 does not know when


@pytest.mark.parametrize("status", ["new", "to verify", "proforma", "ready", "deleted"])
def test_any_other_sale_stays_open(status: str) -> None:
    assert frozen(status=status) == (False, None)


def test_which_words_freeze_is_a_setting() -> None:
    item = sale(frozenset({"ready"}), status="ready")
    assert item["invoiceGenerated"] == {"BOOL": True}
    item = sale(frozenset(), status="sent")
    assert item["invoiceGenerated"] == {"BOOL": False}
