"""How often each default and each repair was applied, and what S9's words became."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.records.rows import (
    buyer_row,
    line_row,
    party_copy,
    producer_row,
    rules,
    sale_row,
)
from transform.census.rows import count_record, count_refused, end_counting
from transform.census.tally import OTHERS, Tally
from transform.items.attributes import Row
from transform.rejections import RejectedRecord
from transform.row_to_texts import as_transformed, texts_of
from transform.rules import Placeholder, TransformRules


def tally_of(entity: str, row: Row, chosen: TransformRules | None = None) -> Tally:
    """What is counted of a row that can be converted."""
    chosen = chosen or rules()
    tally, to_texts = Tally(), texts_of(entity, chosen)
    to_texts(row, chosen)
    count_record(entity, chosen, *as_transformed(to_texts, row), raw=row, tally=tally)
    end_counting(entity, chosen, tally)
    return tally


FULL_SALE: dict[str, Any] = {
    **{"currency": "EUR", "invoice_generated": False, "year": 2024, "doc_type": "invoice"},
    **{"subtotal": "10", "tax_amount": "2.2", "total": "12.2", "iva_percentage": "22"},
    **{"buyer_name": "Bianchi", "producer_name": "Viteria", "created_by": "rossi"},
    **{"created_at": "2024-03-05T10:11:12", "updated_at": "2024-03-05T10:11:12"},
    "updated_by": "rossi",
}
FULL_LINE: dict[str, Any] = {
    **{"quantity": "1", "discount": "0", "tax_rate": "22", "discount_amount": "0"},
    **{"net_amount": "10", "tax_amount": "2.2", "total_amount": "12.2"},
    **{"product_description": "Vite", "created_at": "2024-03-05T10:11:12"},
    "updated_at": "2024-03-05T10:11:12",
}


def full_sale(line: Any = None, **changes: Any) -> Row:
    """A sale that lacks nothing, with a line that lacks nothing."""
    return sale_row(
        **{**FULL_SALE, "lines": [line_row(**{**FULL_LINE, **(line or {})})], **changes}
    )


def test_where_s9_has_everything_nothing_is_counted() -> None:
    tally = tally_of("sales", full_sale())
    assert (tally.defaults, tally.repairs) == ({}, {})


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("currency", "currency = EUR"),
        ("invoice_generated", "invoiceGenerated = false"),
        ("year", "year = that of saleDate"),
        ("subtotal", "subtotal = the sum of the lines"),
        ("total", "total = the sum of the lines"),
        ("iva_percentage", "ivaPercentage = 22"),
        ("buyer_name", "buyerName = the buyer's own"),
        ("created_by", "createdBy = the migration's user"),
        ("created_at", "createdAt = updatedAt"),
        ("updated_at", "updatedAt = createdAt"),
    ],
)
@pytest.mark.parametrize("nothing", [None, " "])
def test_a_default_of_a_sale_is_counted(column: str, name: str, nothing: Any) -> None:
    tally = tally_of("sales", full_sale(**{column: nothing}))
    assert tally.defaults == {name: 1}


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["quantity"], "lines.quantity = 1"),
        (["discount"], "lines.discount = 0"),
        (["tax_rate"], "lines.taxRate = the sale's"),
        (["total_amount"], "lines.totalAmount = computed"),
        (["product_description"], "lines.productDescription = -"),
        (["updated_at"], "lines.updatedAt = createdAt"),
    ],
)
def test_a_default_of_a_line_is_counted(columns: list[str], name: str) -> None:
    tally = tally_of("sales", full_sale(dict.fromkeys(columns)))
    assert tally.defaults == {name: 1}


def test_the_documents_of_sales_without_one() -> None:
    plain, chosen = full_sale(doc_type=None), rules(default_document="invoice")
    assert tally_of("sales", plain).defaults == {}
    assert tally_of("sales", plain, chosen).defaults == {"docType = invoice": 1}
    proforma = full_sale(doc_type=None, status="proforma")
    assert tally_of("sales", proforma).defaults == {"docType = proforma, by the status": 1}
    assert tally_of("sales", full_sale(doc_type="FATTURA")).repairs == {
        "docType: another spelling": 1
    }


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"currency": "eur"}, "currency: another spelling"),
        ({"notes": " a "}, "notes: white space at the ends removed"),
        ({"notes": "a\u00a0"}, "notes: white space at the ends removed"),
        ({"notes": "a\0b"}, "notes: NUL characters removed"),
        ({"po_date": "0000-00-00"}, "poDate: zero date left out"),
        ({"total": "1.22E+1"}, "total: number in another form"),
        ({"updated_at": "2024-03-31T02:30:00"}, "updatedAt: in the hour that summer time skips"),
        (
            {"updated_at": "2024-10-27T02:30:00"},
            "updatedAt: in the hour that comes twice: the first was taken",
        ),
        ({"line": {"notes": " a "}}, "lines.notes: white space at the ends removed"),
        ({"line": {"line_number": 0}}, "lines.lineNumber: numbered anew"),
        ({"line": {"quantity": " 1.5"}}, "lines.quantity: number in another form"),
    ],
)
def test_a_repair_is_counted(changes: dict[str, Any], name: str) -> None:
    tally = tally_of("sales", full_sale(**changes))
    assert (tally.repairs, tally.defaults) == ({name: 1}, {})


def test_an_instant_needs_no_rule_of_summer_time() -> None:
    tally = tally_of("sales", full_sale(created_at="2024-10-27T00:30:00Z"))
    assert tally.repairs == {}
    assert (tally.hours, tally.latest) == ({}, "2024-10-27T00:30:00.000Z")


def test_parties_have_defaults_and_other_spellings_too() -> None:
    row = buyer_row(country="ITA", sector="Edilizia", vat_number=" 01234567890", code="C1")
    tally = tally_of("buyers", row)
    assert tally.repairs == {
        "country: another spelling": 1,
        "sector: another spelling": 1,
        "vatNumber: white space at the ends removed": 1,
    }
    assert tally.defaults['city = ""'] == tally.defaults["preferredLanguage = it"] == 1
    assert tally.defaults["createdAt = the migration's time"] == 1
    assert "code = S9's key" not in tally.defaults
    assert tally_of("producers", producer_row()).defaults["code = S9's key"] == 1
    assert tally_of("producers", producer_row()).defaults["country = IT"] == 1


def test_placeholders_and_doubts_of_a_layout_are_counted() -> None:
    chosen = rules(placeholders={"buyer": Placeholder(99, "Banco", "IT")})
    row = full_sale(buyer_id=None, buyer=None)
    assert tally_of("sales", row, chosen).repairs == {"placeholder-party": 1}


def test_statuses_and_users_are_counted_with_what_they_become() -> None:
    tally = Tally()
    for status in ("bozza", "Bozza ", "pagato"):
        tally.add(tally_of("sales", full_sale(status=status, updated_by="Verdi Anna")))
    assert tally.statuses == {
        ("bozza", "draft"): 1,
        ("Bozza", "draft"): 1,
        ("pagato", "paid"): 1,
    }
    written = orjson.dumps(tally.as_json()).decode()
    assert "Verdi" not in written and "rossi@" not in written, "they are people"
    assert sorted(tally.users.values()) == [3, 3]
    assert tally_of("buyers", buyer_row(enabled=False)).statuses == {("false", "inactive"): 1}


def test_a_status_that_nobody_knows_is_counted_with_no_target() -> None:
    row, tally = full_sale(status="perso"), Tally()
    with pytest.raises(RejectedRecord) as refused:
        texts_of("sales", rules())(row, rules())
    count_refused(refused.value, row, tally)
    assert tally.as_json()["statuses"] == [{"s9": "perso", "to": None, "count": 1}]


def test_a_tally_survives_a_checkpoint_and_is_bounded() -> None:
    tally = tally_of("sales", full_sale(notes=" a ", year=None))
    assert Tally.of_json(orjson.loads(orjson.dumps(tally.as_json()))) == tally
    many = Tally()
    for number in range(2_000):
        many.add(Tally(users=type(tally.users)({(f"user {number}", "x"): 1})))
    assert len(many.users) == 501
    assert many.users[OTHERS, "x"] == 1_500


def test_times_are_counted_by_month_and_hour_of_s9s_own_clock() -> None:
    tally = tally_of("sales", full_sale())
    assert (tally.hours, tally.latest) == ({"0310": 1}, "2024-03-05T09:11:12.000Z")
    assert tally_of("sales", full_sale(), rules(preserve_timestamps=False)).hours == {}
    assert party_copy()
