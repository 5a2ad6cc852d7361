"""Extracted records and rules to try transforms on."""

from __future__ import annotations

from typing import Any

from transform.items.attributes import Item, Row
from transform.rules import TransformRules
from transform.transform_sales import sale_to_items

MIGRATION_TIME = "2026-01-30T14:30:15.000Z"


def rules(**changes: Any) -> TransformRules:
    """The default rules, with `changes`."""
    settings: dict[str, Any] = {
        "generate_ids": True,
        "preserve_timestamps": True,
        "default_currency": "EUR",
        "default_language": "it",
        "migration_user": "migration@system",
        "migration_timestamp": MIGRATION_TIME,
        "user_mapping": {"rossi": "mario.rossi@example.com"},
        "status_mapping": {},
        "timezone": "Europe/Rome",
    }
    return TransformRules(**{**settings, **changes})


def buyer_row(**changes: Any) -> Row:
    """A buyer of `msg_anag` with only what every party has."""
    return {"first_id": 12, "kind": 2, "enabled": True, "name": "Ferramenta Bianchi", **changes}


def producer_row(**changes: Any) -> Row:
    """A producer of `msg_anag` with only what every party has."""
    return {"first_id": 7, "kind": 1, "enabled": True, "name": "Viteria Ligure", **changes}


def party_copy(**changes: Any) -> Row:
    """The columns of a party that are joined to its sales."""
    return {
        "name": "Ferramenta Bianchi",
        "vat_number": None,
        "fiscal_code": None,
        "address": None,
        "city": None,
        "province": None,
        "postal_code": None,
        "country": None,
        "kind": 2,
        "enabled": True,
        **changes,
    }


def line_row(key: int = 34, **changes: Any) -> Row:
    """A line of `msg_line`: one piece for ten."""
    return {"id": key, "msg_id": 5, "line_number": 1, "unit_price": "10.000000", **changes}


def sale_row(**changes: Any) -> Row:
    """A sale of `msg` with only what every sale has, and no line."""
    return {
        "first_id": 5,
        "enabled": True,
        "sale_number": 41,
        "sale_date": "2024-03-05",
        "buyer_id": 12,
        "producer_id": 7,
        "status": "confermato",
        "buyer": party_copy(),
        "producer": party_copy(name="Viteria Ligure", kind=1),
        "lines": [],
        **changes,
    }


def header_of(row: Row, **changes: Any) -> Item:
    """The METADATA item of a sale, under the default rules with `changes`."""
    return sale_to_items(row, rules(**changes))[0]


def lines_of(*rows: Row, **sale: Any) -> list[Item]:
    """The LINE items of a sale that has these lines."""
    return sale_to_items(sale_row(lines=list(rows), **sale), rules())[1:]


def line_of(**changes: Any) -> Item:
    """The item of a sale's only line."""
    return lines_of(line_row(**changes))[0]
