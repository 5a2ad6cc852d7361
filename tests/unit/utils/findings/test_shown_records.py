"""What may be shown: numbers and codes as they are, and nothing that may be personal."""

from __future__ import annotations

import pytest

from utils.findings.shown_records import shown_item, shown_row, shown_value
from utils.findings.source_names import SourceNames, TableNames

UUID = "7bf8dead-beef-53d7-9f5e-2f02043b2b48"


@pytest.mark.parametrize(
    ("value", "attribute", "shown"),
    [
        ("25.50", "total", "25.50"),
        (12, "saleNumber", "12"),
        ("paid", "status", "paid"),
        (UUID, "saleId", UUID),
        (f"BUYER#{UUID}", "GSI2PK", f"BUYER#{UUID}"),
        ("SALE12", "saleId", "SALE12"),
        (True, "invoiceGenerated", "true"),
    ],
)
def test_as_it_is(value: object, attribute: str, shown: str) -> None:
    assert shown_value(value, "sale", attribute) == shown


@pytest.mark.parametrize(
    ("value", "schema", "attribute"),
    [
        ("Rossi Ferramenta", "sale", "buyerName"),
        ("RSSMRA80A01F205X", "buyer", "fiscalCode"),
        (3401234567, "buyer", "phone"),
        (1234567897, "buyer", "vatNumber"),
        (3401234567, "buyer", ""),
        ("Rossi", "buyer", ""),
        ("ROSSI12", "sale", "buyerName"),
        ("Anna Rossi", "sale", "saleId"),
        ("anna@example.com", "sale", "updatedBy"),
    ],
)
def test_masked(value: object, schema: str, attribute: str) -> None:
    shown = shown_value(value, schema, attribute)
    assert str(value) not in shown
    assert "…~" in shown


def test_what_has_no_place_is_counted_and_parties_are_not_repeated() -> None:
    item = {"saleId": {"S": UUID}, "legacy": {"M": {"secret": {"S": "Rossi"}}}}
    assert shown_item(item, "sale") == {"saleId": UUID, "legacy": "(1 value)"}
    names = SourceNames(
        "sales", {"": TableNames("msg", {"total": "totale"}, {}, {"total": "total"})}
    )
    row = {"first_id": 1, "total": "1.00", "buyer": {"name": "Rossi"}, "lines": [{}], "notes": None}
    assert shown_row(row, names) == {"first_id": "1", "totale": "1.00"}
