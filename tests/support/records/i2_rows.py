"""Rows of layout i2_speedex, and the items that they become."""

from __future__ import annotations

from typing import Any

from tests.support.records.rows import rules
from transform.items.attributes import Item, Row
from transform.layout import layout_of
from transform.row_to_texts import transform_of

SCOPE = layout_of("i2_speedex").id_scope


def items_of(entity: str, row: Row, **changes: Any) -> list[Item]:
    chosen = rules(layout="i2_speedex", id_scope=SCOPE, **changes)
    return transform_of(entity, chosen)(row, chosen)


def buyer(**changes: Any) -> Item:
    row = {"first_id": 12, "enabled": "online", "code": "C1", "name": "Bianchi", "country": "ITA"}
    return items_of("buyers", {**row, **changes})[0]


def producer(**changes: Any) -> Item:
    row = {"first_id": 7, "enabled": "new", "code": "P1", "name": "Viteria", "country": "ITA"}
    return items_of("producers", {**row, **changes})[0]


def sale_row(*lines: Row, **changes: Any) -> Row:
    return {
        "first_id": 5,
        "sale_number": 41,
        "year": 2024,
        "status": "sent",
        "sale_date": 20240305,
        "buyer_id": 12,
        "producer_id": 7,
        "buyer": {"name": "Bianchi", "country": "DEU", "vat_number": None, "ue": "DE136695976"},
        "producer": {"name": "Viteria", "country": "ITA"},
        "lines": list(lines),
        **changes,
    }
