"""Clean sales are recognised quickly, and none that the slower way has something to say of."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_written, line, sale, sale_record
from validate.fast.forms import line_form, sale_form
from validate.fast.sales import facts_if_clean
from validate.gate.record_checks import judge_sale
from validate.rules.catalogue import Note
from validate.rules.record_facts import Facts
from validate.rules.sale_rules import EXACT
from validate.rules.schema_check import decider

Item = dict[str, Any]
slow = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with localcontext(EXACT):
        yield


def judged(lines: list[bytes]) -> tuple[Facts, list[Note]]:
    notes: list[Note] = []
    return judge_sale(lines, notes, True), notes


def test_a_clean_sale_is_recognised_with_the_facts_that_judging_it_gives() -> None:
    for count in (1, 2, 5):
        lines = as_written(sale_record(7, lines=count))
        assert facts_if_clean(lines) == judged(lines)[0]
        assert judged(lines)[1] == []


@slow
@given(st.from_regex(line_form().pattern, fullmatch=True))
def test_what_has_the_form_of_a_line_conforms_to_the_schema(text: bytes) -> None:
    _conforms("sale_line", text)


@slow
@given(st.from_regex(sale_form().pattern, fullmatch=True))
def test_what_has_the_form_of_a_sale_conforms_to_the_schema(text: bytes) -> None:
    _conforms("sale", text)


def _conforms(kind: str, text: bytes) -> None:
    clean = bytes(byte if byte < 0x80 else ord("x") for byte in text)  # UTF-8 is another question
    assert decider(kind)(orjson.loads(clean)["Item"])


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
    lines = as_written(items)
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
    assert facts_if_clean(as_written([head, line(7, 1, **own)])) is not None
    own["netAmount"] = {"N": "297906.4"}
    assert facts_if_clean(as_written([head, line(7, 1, **own)])) is None


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
    lines = as_written(sale_record(7, lines=2))
    assert facts_if_clean(lines) is not None
    assert facts_if_clean(spoil(lines)) is None
