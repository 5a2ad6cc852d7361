"""Clean sales are recognised quickly, and none that the slower way has something to say of."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_lines, line, sale, sale_record
from tests.support.records.rows import line_row, party_copy, rules, sale_row
from transform.transform_sales import sale_to_items, sale_to_texts
from validate.gate.fast_items import LINE_ORDER, SALE_ORDER, line_pattern, sale_pattern
from validate.gate.fast_sales import facts_if_clean
from validate.gate.record_checks import judge_sale
from validate.gate.record_facts import Facts
from validate.rules.catalogue import Note
from validate.rules.sale_rules import EXACT
from validate.rules.schema_check import decider

Item = dict[str, Any]
slow = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with localcontext(EXACT):
        yield


def written(items: list[Item]) -> list[bytes]:
    """Items as the transform writes them: attributes in its order."""
    orders = [SALE_ORDER, *[LINE_ORDER] * len(items)]
    return as_lines(
        [
            {
                **{name: item[name] for name in order if name in item},
                **{name: value for name, value in item.items() if name not in order},
            }
            for order, item in zip(orders, items, strict=False)
        ]
    )


def judged(lines: list[bytes]) -> tuple[Facts, list[Note]]:
    notes: list[Note] = []
    return judge_sale(lines, notes, True), notes


def test_a_clean_sale_is_recognised_with_the_facts_that_judging_it_gives() -> None:
    for count in (1, 2, 5):
        lines = written(sale_record(7, lines=count))
        assert facts_if_clean(lines) == judged(lines)[0]
        assert judged(lines)[1] == []


def test_a_sale_with_every_column_is_in_the_usual_form() -> None:
    days = ("delivery", "po", "payment", "dn", "registration")
    texts = (
        *("reg_number", "payment_method", "payment_terms", "delivery_method", "notes"),
        *("internal_notes", "printed_note", "package", "delivery_note", "payment_note"),
        *("reference_number", "po_number", "dn_number", "dn_number2", "dn_number3"),
        *("pa_cup_number", "pa_cig_number", "bank", "co_bank_description", "vat_off"),
        "invoice_number",
    )
    copies = ("vat_number", "fiscal_code", "address", "city", "province", "postal_code")
    party = party_copy(**dict.fromkeys(copies, "Forlì 1"), country="IT")
    row = sale_row(
        **{f"{name}_date": "2024-03-05" for name in days},
        **dict.fromkeys(texts, "Società 7"),
        dn_date2="2024-03-05",
        dn_date3="2024-03-05",
        doc_type="invoice",
        year=2024,
        number_t=7,
        co_bank_iban="IT60X0542811101000000123456",
        buyer=party,
        producer=party,
        lines=[
            line_row(product_code="A", product_description="B", unit_of_measure="kg", notes="C")
        ],
    )
    head, *lines = sale_to_items(row, rules())
    # GSI4PK and the like are there as well: whatever the transform can write is in its place.
    assert tuple(head) == SALE_ORDER
    assert tuple(lines[0]) == LINE_ORDER
    assert facts_if_clean([text.encode() for text in sale_to_texts(row, rules())]) is not None


@slow
@given(st.from_regex(line_pattern(), fullmatch=True))
def test_what_has_the_form_of_a_line_conforms_to_the_schema(text: bytes) -> None:
    _conforms("sale_line", text)


@slow
@given(st.from_regex(sale_pattern(), fullmatch=True))
def test_what_has_the_form_of_a_sale_conforms_to_the_schema(text: bytes) -> None:
    _conforms("sale", text)


def _conforms(kind: str, text: bytes) -> None:
    clean = bytes(byte if byte < 0x80 else ord("x") for byte in text)  # UTF-8 is another question
    assert decider(kind)(orjson.loads(clean)["Item"])


def test_groups_are_in_the_order_in_which_they_are_taken() -> None:
    assert tuple(sale_pattern().groupindex) == (
        *("saleId", "status", "saleDate", "buyerId", "producerId", "numbering", "legacyId"),
        *("year", "docType", "buyerCountry", "producerCountry", "subtotal", "taxAmount", "total"),
        *("linesCount", "saleNumber", "currency", "coBankIban"),
    )
    assert tuple(line_pattern().groupindex) == (
        *("saleId", "lineId", "lineNumber", "productDescription", "quantity", "unitPrice"),
        *("discount", "discountAmount", "netAmount", "taxRate", "taxAmount", "totalAmount"),
        "productCode",
    )


values = st.sampled_from(
    [
        *({"S": text} for text in ("", "x", "-", "IT", "ZZ", "XXX", "draft", "cancelled", "paid")),
        *({"S": text} for text in ("proforma", "SALE", "STATUS#draft", "2024-02-29", "2024-02-30")),
        *({"S": text} for text in ("2100-12-31", "2101-01-01", "1989-12-31", "METADATA", "7")),
        *({"S": text} for text in ("Ã¨", 'a"b', "a\\b", "a\nb", "\x7f", "x" * 501, "è" * 400)),
        *({"S": text} for text in ("IT60X0542811101000000123456", "IT60X0542811101000000123457")),
        *({"N": text} for text in ("0", "-0", "1", "1.0", "1e5", "100", "100.5", "0.125")),
        *({"N": text} for text in ("999999999.99", "12345678901234567890", "2023", "-7")),
        *({"BOOL": True}, {"BOOL": False}, {"NULL": True}, {}, None),
    ]
)
steps = st.sampled_from(["0.01", "-0.01", "0.02", "0.005", "-0.005", "0.0001", "1"])


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_what_is_recognised_as_clean_is_clean(data: st.DataObject) -> None:
    frozen = {"BOOL": data.draw(st.booleans())}
    items = sale_record(7, lines=data.draw(st.integers(0, 3)), invoiceGenerated=frozen)
    for _ in range(data.draw(st.integers(0, 3))):
        item = data.draw(st.sampled_from(items))
        name = data.draw(st.sampled_from(list(item)))
        if item[name] and "N" in item[name] and data.draw(st.booleans()):
            item[name] = {"N": format(Decimal(item[name]["N"]) + Decimal(data.draw(steps)), "f")}
        elif data.draw(st.integers(0, 5)):
            item[name] = data.draw(values)
        else:
            del item[name]
    if data.draw(st.integers(0, 5)) == 0:
        items.insert(1, data.draw(st.sampled_from(items)))
    lines = written(items)
    facts = facts_if_clean(lines)
    if facts is not None:
        assert (facts, []) == judged(lines)


def test_amounts_on_the_edge_of_a_cent_are_judged_by_decimals() -> None:
    # 206 x 1652.74 less 12.5 %: both the discount and the net were rounded up.
    own = {
        name: {"N": text}
        for name, text in {
            **{"quantity": "206", "unitPrice": "1652.74", "discount": "12.5"},
            **{"discountAmount": "42558.06", "netAmount": "297906.39", "taxRate": "22"},
            **{"taxAmount": "65539.4", "totalAmount": "363445.79"},
        }.items()
    }
    sums = {"subtotal": "297906.39", "taxAmount": "65539.4", "total": "363445.79"}
    totals: dict[str, Any] = {name: {"N": text} for name, text in sums.items()}
    head = sale(7, lines=1, **totals)
    assert facts_if_clean(written([head, line(7, 1, **own)])) is not None
    own["netAmount"] = {"N": "297906.4"}
    assert facts_if_clean(written([head, line(7, 1, **own)])) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [lines[0].replace(b"FERRAMENTA", b"FERRAMENT\xe0"), *lines[1:]],
        lambda lines: [lines[0].replace(b"FERRAMENTA", "Societ\u00c3\u00a0".encode()), *lines[1:]],
        lambda lines: [b" " + lines[0], *lines[1:]],
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [lines[0], lines[1], lines[1]],
        lambda lines: lines[:-1],
        lambda lines: lines[:1],
        lambda lines: [lines[0], lines[0], lines[1]],
    ],
)
def test_what_is_not_in_the_usual_form_is_left_to_the_slower_way(spoil: Any) -> None:
    lines = written(sale_record(7, lines=2))
    assert facts_if_clean(lines) is not None
    assert facts_if_clean(spoil(lines)) is None
