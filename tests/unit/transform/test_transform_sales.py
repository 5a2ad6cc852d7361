"""Sales: every attribute of the METADATA item, its index keys, and what refuses a record."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.rows import (
    MIGRATION_TIME,
    buyer_row,
    header_of,
    line_row,
    party_copy,
    producer_row,
    rules,
    sale_row,
)
from transform.items.attributes import Row
from transform.rejections import RejectedRecord
from transform.transform_buyers import buyer_to_items
from transform.transform_producers import producer_to_items
from transform.transform_sales import sale_to_items, sale_to_texts
from transform.values.ids import party_id, sale_id

SALE_5 = sale_id(5, True)
BUYER_12 = party_id("buyer", 12, True)
PRODUCER_7 = party_id("producer", 7, True)
GSI4 = ("GSI4PK", "GSI4SK")


def refusals(row: Row) -> list[tuple[str, str]]:
    with pytest.raises(RejectedRecord) as rejected:
        sale_to_items(row, rules())
    return [(rejection.field, rejection.rule) for rejection in rejected.value.rejections]


def text_cases(**columns: str) -> list[tuple[str, Any, str, Any]]:
    """A filled and a blank value for text columns that are carried as they are."""
    return [
        case
        for column, attribute in columns.items()
        for case in (
            (column, "  È così, dall'8/3 \n n. 7 ", attribute, {"S": "È così, dall'8/3 \n n. 7"}),
            (column, " \u00a0 ", attribute, None),
            (column, None, attribute, None),
        )
    ]


def day_cases(**columns: str) -> list[tuple[str, Any, str, Any]]:
    """A filled and a blank value for columns that hold a day."""
    return [
        case
        for column, attribute in columns.items()
        for case in (
            (column, "2024-02-29", attribute, {"S": "2024-02-29"}),
            (column, "2024-02-29T00:00:00", attribute, {"S": "2024-02-29"}),
            (column, None, attribute, None),
        )
    ]


CASES = [
    *text_cases(
        reg_number="regNumber",
        payment_method="paymentMethod",
        payment_terms="paymentTerms",
        delivery_method="deliveryMethod",
        notes="notes",
        internal_notes="internalNotes",
        printed_note="printedNote",
        package="package",
        delivery_note="deliveryNote",
        payment_note="paymentNote",
        reference_number="referenceNumber",
        po_number="poNumber",
        dn_number="dnNumber",
        dn_number2="dnNumber2",
        dn_number3="dnNumber3",
        pa_cup_number="paCupNumber",
        pa_cig_number="paCigNumber",
        bank="bank",
        co_bank_description="coBankDescription",
        co_bank_iban="coBankIban",
        vat_off="vatOff",
        invoice_number="invoiceNumber",
    ),
    *day_cases(
        delivery_date="deliveryDate",
        po_date="poDate",
        payment_date="paymentDate",
        dn_date="dnDate",
        dn_date2="dnDate2",
        dn_date3="dnDate3",
        registration_date="registrationDate",
    ),
    ("sale_number", 41, "saleNumber", {"N": "41"}),
    ("sale_date", "2024-03-05", "saleDate", {"S": "2024-03-05"}),
    ("doc_type", " Invoice", "docType", {"S": "invoice"}),
    ("doc_type", "fattura", "docType", {"S": "invoice"}),
    ("doc_type", "PROFORMA", "docType", {"S": "proforma"}),
    ("doc_type", "", "docType", None),
    ("buyer_id", 12, "buyerId", {"S": BUYER_12}),
    ("buyer_name", " FERRAMENTA BIANCHI ", "buyerName", {"S": "FERRAMENTA BIANCHI"}),
    ("buyer_name", "  ", "buyerName", {"S": "Ferramenta Bianchi"}),
    ("producer_id", 7, "producerId", {"S": PRODUCER_7}),
    ("producer_name", "Viteria", "producerName", {"S": "Viteria"}),
    ("producer_name", None, "producerName", {"S": "Viteria Ligure"}),
    ("subtotal", "100.00", "subtotal", {"N": "100"}),
    ("subtotal", "-100.10", "subtotal", {"N": "-100.1"}),
    ("tax_amount", "22.05", "taxAmount", {"N": "22.05"}),
    ("total", "0.00", "total", {"N": "0"}),
    ("total", "-122.05", "total", {"N": "-122.05"}),
    ("iva_percentage", "10.00", "ivaPercentage", {"N": "10"}),
    ("iva_percentage", "0.00", "ivaPercentage", {"N": "0"}),
    ("iva_percentage", None, "ivaPercentage", {"N": "22"}),
    ("currency", "chf", "currency", {"S": "CHF"}),
    ("currency", "   ", "currency", {"S": "EUR"}),
    ("status", " FATTURATO ", "status", {"S": "invoiced"}),
    ("invoice_generated", True, "invoiceGenerated", {"BOOL": True}),
    ("invoice_generated", 0, "invoiceGenerated", {"BOOL": False}),
    ("invoice_generated", None, "invoiceGenerated", {"BOOL": False}),
    ("number_t", 3, "numberT", {"N": "3"}),
    ("number_t", None, "numberT", None),
    ("year", 2023, "year", {"N": "2023"}),
    ("year", None, "year", {"N": "2024"}),
    ("lines", [], "linesCount", {"N": "0"}),
    ("lines", [line_row(1), line_row(2, line_number=2)], "linesCount", {"N": "2"}),
    ("created_at", "2024-03-05T10:11:12", "createdAt", {"S": "2024-03-05T09:11:12.000Z"}),
    ("updated_at", "2024-07-05T10:11:12", "updatedAt", {"S": "2024-07-05T08:11:12.000Z"}),
    ("updated_at", None, "updatedAt", {"S": MIGRATION_TIME}),
    ("created_by", "rossi", "createdBy", {"S": "mario.rossi@example.com"}),
    ("updated_by", "bianchi", "updatedBy", {"S": "migration@system"}),
    ("first_id", 2**60, "legacyId", {"S": str(2**60)}),
]


@pytest.mark.parametrize(("column", "value", "attribute", "stored"), CASES)
def test_every_column_of_a_sale_has_its_attribute(
    column: str, value: Any, attribute: str, stored: Any
) -> None:
    assert header_of(sale_row(**{column: value})).get(attribute) == stored


def test_the_least_sale_is_complete() -> None:
    assert header_of(sale_row()) == {
        "PK": {"S": f"SALE#{SALE_5}"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "STATUS#confirmed"},
        "GSI1SK": {"S": "2024-03-05"},
        "GSI2PK": {"S": f"BUYER#{BUYER_12}"},
        "GSI2SK": {"S": "2024-03-05"},
        "GSI3PK": {"S": f"PRODUCER#{PRODUCER_7}"},
        "GSI3SK": {"S": "2024-03-05"},
        "GSI4PK": {"S": "SALE"},
        "GSI4SK": {"S": "2024-03-05"},
        "saleId": {"S": SALE_5},
        "legacyId": {"S": "5"},
        "saleNumber": {"N": "41"},
        "saleDate": {"S": "2024-03-05"},
        "year": {"N": "2024"},
        "status": {"S": "confirmed"},
        "buyerId": {"S": BUYER_12},
        "buyerName": {"S": "Ferramenta Bianchi"},
        "buyerCountry": {"S": "IT"},
        "producerId": {"S": PRODUCER_7},
        "producerName": {"S": "Viteria Ligure"},
        "producerCountry": {"S": "IT"},
        "subtotal": {"N": "0"},
        "taxAmount": {"N": "0"},
        "total": {"N": "0"},
        "ivaPercentage": {"N": "22"},
        "currency": {"S": "EUR"},
        "invoiceGenerated": {"BOOL": False},
        "linesCount": {"N": "0"},
        "createdAt": {"S": MIGRATION_TIME},
        "updatedAt": {"S": MIGRATION_TIME},
        "createdBy": {"S": "migration@system"},
        "updatedBy": {"S": "migration@system"},
    }


COPIES = {
    "vat_number": ("VatNumber", " 01234567890 ", "01234567890"),
    "fiscal_code": ("FiscalCode", "RSSMRA80A01F205X", "RSSMRA80A01F205X"),
    "address": ("Address", "Via Roma, 1", "Via Roma, 1"),
    "city": ("City", "Zürich", "Zürich"),
    "province": ("Province", "ZH", "ZH"),
    "postal_code": ("PostalCode", "8001", "8001"),
    "country": ("Country", "CHE", "CH"),
}


@pytest.mark.parametrize("kind", ["buyer", "producer"])
def test_a_sale_copies_its_parties(kind: str) -> None:
    full = party_copy(**{column: value for column, (_, value, _) in COPIES.items()})
    item = header_of(sale_row(**{kind: full}))
    assert {suffix: item[kind + suffix]["S"] for suffix, _, _ in COPIES.values()} == {
        suffix: stored for suffix, _, stored in COPIES.values()
    }


@pytest.mark.parametrize("kind", ["buyer", "producer"])
def test_what_a_party_has_not_the_sale_has_not_except_the_country(kind: str) -> None:
    item = header_of(sale_row(**{kind: party_copy(**dict.fromkeys(COPIES, "  "))}))
    found = {suffix for suffix, _, _ in COPIES.values() if kind + suffix in item}
    assert found == {"Country"}
    assert item[f"{kind}Country"] == {"S": "IT"}


def test_a_sale_refers_to_its_parties_by_their_own_keys() -> None:
    item = header_of(sale_row())
    (buyer,) = buyer_to_items(buyer_row(first_id=12), rules())
    (producer,) = producer_to_items(producer_row(first_id=7), rules())
    assert item["GSI2PK"] == buyer["PK"]
    assert item["buyerId"] == buyer["buyerId"]
    assert item["GSI3PK"] == producer["PK"]
    assert item["producerId"] == producer["producerId"]


@pytest.mark.parametrize(
    ("status", "doc_type", "stored_status", "stored_type", "numbered"),
    [
        ("bozza", None, "draft", None, True),
        ("fatturato", "invoice", "invoiced", "invoice", True),
        ("proforma", None, "draft", "proforma", False),
        ("Proforma ", "invoice", "draft", "proforma", False),
        ("confermato", "proforma", "confirmed", "proforma", False),
        ("pagato", "proforma", "paid", "proforma", False),
        ("annullata", None, "cancelled", None, False),
        ("deleted", "invoice", "cancelled", "invoice", False),
    ],
)
def test_only_numbered_sales_are_in_the_index_of_sale_numbers(
    status: str, doc_type: str | None, stored_status: str, stored_type: str | None, numbered: bool
) -> None:
    item = header_of(sale_row(status=status, doc_type=doc_type))
    assert item["status"] == {"S": stored_status}
    assert item["GSI1PK"] == {"S": f"STATUS#{stored_status}"}
    assert item.get("docType") == (None if stored_type is None else {"S": stored_type})
    assert [name in item for name in GSI4] == [numbered] * 2


def test_configured_status_words_are_understood() -> None:
    item = header_of(sale_row(status="Spedito"), status_mapping={"spedito": "invoiced"})
    assert item["status"] == {"S": "invoiced"}


def test_without_generated_ids_keys_and_references_are_readable() -> None:
    item, line = sale_to_items(sale_row(lines=[line_row(34)]), rules(generate_ids=False))
    assert item["PK"] == {"S": "SALE#SALE5"}
    assert item["GSI2PK"] == {"S": "BUYER#BUYER12"}
    assert item["producerId"] == {"S": "PRODUCER7"}
    assert line["SK"] == {"S": "LINE#LINE34"}


def test_amounts_that_s9_lacks_are_the_rounded_sums_of_the_lines() -> None:
    lines = [
        line_row(1, line_number=1, unit_price="10.005", tax_rate="22"),
        line_row(2, line_number=2, net_amount="5.5555", tax_amount="1.2345", total_amount="6.79"),
        line_row(3, line_number=3, quantity="-1", unit_price="2"),
    ]
    items = sale_to_items(sale_row(lines=lines), rules())
    assert [line["netAmount"]["N"] for line in items[1:]] == ["10.01", "5.5555", "-2"]
    assert items[0]["subtotal"] == {"N": "13.57"}
    assert items[0]["taxAmount"] == {"N": "2.99"}
    assert items[0]["total"] == {"N": "16.56"}


def test_amounts_of_s9_are_carried_although_the_lines_say_otherwise() -> None:
    row = sale_row(subtotal="99.99", tax_amount="0", total=None, lines=[line_row(1)])
    item = header_of(row)
    assert [item[name]["N"] for name in ("subtotal", "taxAmount", "total")] == [
        "99.99",
        "0",
        "12.2",
    ]


def test_metadata_comes_first_and_lines_follow_in_order() -> None:
    lines = [line_row(key, line_number=n) for n, key in enumerate((90, 20, 55), start=1)]
    items = sale_to_items(sale_row(lines=lines), rules())
    assert [item["legacyId"]["S"] for item in items] == ["5", "90", "20", "55"]
    assert items[0]["SK"] == {"S": "METADATA"}


def test_attributes_stand_in_one_order_whatever_the_row_holds() -> None:
    full = list(header_of(sale_row(**{column: value for column, value, _, s in CASES if s})))
    for least in (sale_row(), sale_row(doc_type="invoice"), sale_row(notes="x", year=2020)):
        item = header_of(least)
        assert [name for name in item if name in full] == [name for name in full if name in item]
    assert list(header_of(sale_row()))[:10] == [
        *("PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"),
        *("GSI3PK", "GSI3SK", "GSI4PK", "GSI4SK"),
    ]


def test_the_same_row_gives_the_same_items() -> None:
    row = sale_row(lines=[line_row(1), line_row(2)], created_at="2024-10-27T02:30:00")
    assert sale_to_items(row, rules()) == sale_to_items(row, rules())


free_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(free_text, free_text, free_text)
def test_an_item_is_written_as_orjson_writes_it(name: str, note: str, product: str) -> None:
    row = sale_row(
        notes=note,
        buyer_name=f"x{name}",
        printed_note='\\ " / \t \x7f \u2028 € 😀',
        buyer=party_copy(city=name),
        lines=[line_row(product_description=product, product_code=note, notes=name)],
    )
    for text in sale_to_texts(row, rules()):
        assert text.encode() == orjson.dumps(orjson.loads(text))
    assert sale_to_items(row, rules()) == [
        orjson.loads(text)["Item"] for text in sale_to_texts(row, rules())
    ]


def test_a_party_that_is_wrong_is_wrong_in_every_sale_of_it() -> None:
    for _ in range(2):
        with pytest.raises(RejectedRecord) as caught:
            sale_to_items(sale_row(buyer=party_copy(city="Forl\ud800")), rules())
        assert [(each.field, each.rule) for each in caught.value.rejections] == [
            ("buyer.city", "invalid-text")
        ]


def test_a_party_that_has_changed_is_copied_as_it_is_in_each_sale() -> None:
    cities = ["Forlì", "Lecco", None, "Forlì"]
    copies = [header_of(sale_row(buyer=party_copy(city=city))) for city in cities]
    assert [copy.get("buyerCity", {}).get("S") for copy in copies] == cities


@pytest.mark.parametrize(
    "name",
    [
        *("ttl", "deletedAt", "pdfFontBase", "attachInvoice", "invoiceGeneratedAt"),
        *("totalSales", "totalRevenue", "lastSaleDate"),
    ],
)
def test_attributes_that_s9_knows_nothing_of_are_never_written(name: str) -> None:
    row = sale_row(**{name: "x", "ttl": 1, "deleted_at": "2024-01-01"}, lines=[line_row(1)])
    assert not [item for item in sale_to_items(row, rules()) if name in item]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("first_id", None, "required"),
        ("sale_number", None, "required"),
        ("sale_number", "5/2026", "invalid-integer"),
        ("sale_number", 2**53 + 1, "integer-too-large"),
        ("sale_date", None, "required"),
        ("sale_date", "2024-03-05T10:00:00", "invalid-date"),
        ("sale_date", "infinity", "invalid-date"),
        ("buyer_id", None, "missing-party"),
        ("producer_id", None, "missing-party"),
        ("status", None, "unknown-status"),
        ("status", "in attesa", "unknown-status"),
        ("doc_type", "ddt", "unknown-document-type"),
        ("doc_type", ["invoice"], "invalid-value"),
        ("total", "NaN", "invalid-number"),
        ("subtotal", 10.5, "invalid-number"),
        ("iva_percentage", "ventidue", "invalid-number"),
        ("iva_percentage", [], "invalid-number"),
        ("currency", "LIRE", "invalid-currency"),
        ("invoice_generated", "forse", "invalid-boolean"),
        ("year", "duemila", "invalid-integer"),
        ("dn_date2", "2024-02-30", "invalid-date"),
        ("notes", "\udc00", "invalid-text"),
        ("buyer_name", 1.5, "invalid-text"),
        ("created_at", "infinity", "invalid-timestamp"),
        ("lines", None, "required"),
        ("lines", ["x"], "required"),
    ],
)
def test_what_cannot_be_converted_refuses_the_sale(column: str, value: Any, rule: str) -> None:
    assert refusals(sale_row(**{column: value})) == [(column, rule)]


def test_a_sale_of_an_unknown_party_is_refused_and_names_it() -> None:
    with pytest.raises(RejectedRecord) as rejected:
        sale_to_items(sale_row(buyer=None, buyer_id=123), rules())
    (rejection,) = rejected.value.rejections
    assert (rejection.field, rejection.rule) == ("buyer_id", "unknown-party")
    assert rejection.reason == "buyer 123 does not exist in S9: no buyer has this key"


def test_a_sale_without_a_buyer_lacks_only_that() -> None:
    assert refusals(sale_row(buyer=None, buyer_id=None)) == [("buyer_id", "missing-party")]


def test_a_sale_whose_party_has_no_name_anywhere_is_refused() -> None:
    assert refusals(sale_row(producer=party_copy(name=" "))) == [("producer_name", "required")]


def test_a_mistake_in_a_copied_column_names_the_party() -> None:
    row = sale_row(buyer=party_copy(country="ZZ"), producer=party_copy(city="\ud800"))
    assert refusals(row) == [
        ("buyer.country", "unknown-country"),
        ("producer.city", "invalid-text"),
    ]


def test_all_mistakes_of_a_sale_and_its_lines_are_reported() -> None:
    lines = [line_row(1), line_row(2, quantity="x", unit_price=None, created_at="infinity")]
    row = sale_row(status="boh", sale_date=None, total="x", dn_date="x", lines=lines)
    assert refusals(row) == [
        ("status", "unknown-status"),
        ("sale_date", "required"),
        ("lines[2].quantity", "invalid-number"),
        ("lines[2].unit_price", "required"),
        ("lines[2].created_at", "invalid-timestamp"),
        ("total", "invalid-number"),
        ("dn_date", "invalid-date"),
    ]
