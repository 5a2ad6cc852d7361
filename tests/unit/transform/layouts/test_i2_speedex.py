"""Layout i2_speedex: what each of its columns becomes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records.i2_rows import SCOPE, buyer, items_of, producer, sale_row
from tests.support.s9.i2_data import BANKS, EXEMPTION, LAUGHS, PEEK
from transform.items.attributes import Item, Row
from transform.layouts.i2_values import day, hundredfold, shown_number
from transform.rejections import RejectedRecord, Unconvertible
from transform.values.ids import line_id, party_id, sale_id


def line_row(**changes: Any) -> Row:
    row = {"id": 34, "msg_id": 5, "line_number": 1, "quantity": 20, "unit_price": "10.000000"}
    return {**row, "discount": None, "tax_rate": None, **changes}


def sale(*lines: Row, **changes: Any) -> Item:
    return items_of("sales", sale_row(*lines, **changes))[0]


def line(rule: str = "quarantine", sale: Row | None = None, **changes: Any) -> Item:
    row = sale_row(line_row(**changes), **(sale or {}))
    return items_of("sales", row, fractions_above_one=rule)[1]


def refused(function: Any, *given: Any, **changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(RejectedRecord) as rejected:
        function(*given, **changes)
    return [(each.field, each.rule, each.reason) for each in rejected.value.rejections]


def legacy(item: Item) -> dict[str, Any]:
    """The carried columns of an item with their values, without the doubts."""
    carried = dict(item.get("legacy", {"M": {}})["M"])
    carried.pop("doubts", None)
    return {column: next(iter(value.values())) for column, value in carried.items()}


def doubts(item: Item) -> dict[str, str]:
    """The rule of each doubt, by column."""
    found = item.get("legacy", {"M": {}})["M"].get("doubts", {"M": {}})["M"]
    return {column: sentence["S"].partition(":")[0] for column, sentence in found.items()}


# Dates


@given(st.dates(min_value=dt.date(1000, 1, 1)))
def test_a_day_is_read_from_its_number(date: dt.date) -> None:
    number = int(date.strftime("%Y%m%d"))
    assert day(number) == day(str(number)) == date.isoformat()


def is_in_a_calendar(number: int) -> bool:
    try:
        dt.date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return False
    return number > 9_999_999


near_days = st.builds(
    lambda y, m, d: y * 10_000 + m * 100 + d, st.integers(0, 9999), *[st.integers(0, 35)] * 2
)


@given(st.integers(-(2**31), 2**31 - 1) | near_days)
def test_a_number_is_a_day_that_a_calendar_has_or_none_or_refused(number: int) -> None:
    try:
        found = day(number)
    except Unconvertible as refusal:
        assert (refusal.rule, str(number) in refusal.reason) == ("invalid-date", True)
        assert not is_in_a_calendar(number)
    else:
        assert (found is None) == (number == 0)
        assert found is None or int(found.replace("-", "")) == number


@pytest.mark.parametrize("none", [None, 0, "0", "", " "])
def test_no_date_is_absent(none: Any) -> None:
    item = sale(payment_date=none, po_date=none, dn_date=none, dn_date2=none, dn_date3=none)
    assert not item.keys() & {"paymentDate", "poDate", "dnDate", "dnDate2", "dnDate3"}


def test_dates_have_their_places() -> None:
    days = {"payment_date": 20240401, "po_date": 20240229, "dn_date": 20240301}
    item = sale(**days, dn_date2=20240302, dn_date3=20240303, registration_date="2024-03-06")
    assert item["saleDate"] == item["GSI4SK"] == {"S": "2024-03-05"}
    assert item["paymentDate"] == {"S": "2024-04-01"}
    assert item["poDate"] == {"S": "2024-02-29"}
    assert [item[f"dnDate{n}"]["S"][-2:] for n in ("", 2, 3)] == ["01", "02", "03"]
    assert item["registrationDate"] == {"S": "2024-03-06"}


@pytest.mark.parametrize("wrong", [20240230, 20241301, 20240100, 2024, 202403050, -20240305, "x"])
def test_a_day_that_no_calendar_has_is_refused_by_its_value(wrong: Any) -> None:
    (rejection,) = refused(sale, payment_date=wrong)
    assert rejection[:2] == ("payment_date", "invalid-date")
    assert str(wrong) in rejection[2]


@pytest.mark.parametrize("none", [None, 0])
def test_a_sale_without_a_date_is_refused(none: Any) -> None:
    assert refused(sale, sale_date=none)[0][:2] == ("sale_date", "required")


# Countries and statuses


def test_countries_of_three_letters_have_two_in_the_target() -> None:
    assert buyer(country="CHE")["country"] == {"S": "CH"}
    assert buyer(country="deu")["GSI2PK"] == {"S": "COUNTRY#DE"}
    item = sale()
    assert (item["buyerCountry"], item["producerCountry"]) == ({"S": "DE"}, {"S": "IT"})


def test_an_unknown_country_is_refused_by_its_value() -> None:
    (rejection,) = refused(buyer, country="XYZ")
    assert rejection[:2] == ("country", "unknown-country")
    assert "XYZ" in rejection[2]


@pytest.mark.parametrize(
    ("word", "status"),
    [("new", "active"), (" Online ", "active"), ("offline", "inactive"), ("DELETED", "inactive")],
)
def test_the_status_of_a_party(word: str, status: str) -> None:
    for item in (buyer(enabled=word), producer(enabled=word)):
        assert item["status"] == {"S": status}
        assert item["GSI1PK"] == {"S": f"STATUS#{status}"}


@pytest.mark.parametrize("word", [None, " ", "sospeso", 1])
def test_an_unknown_or_empty_status_of_a_party_is_refused_by_its_value(word: Any) -> None:
    (rejection,) = refused(producer, enabled=word)
    assert rejection[:2] == ("enabled", "unknown-status")
    assert repr(word) in rejection[2]


@pytest.mark.parametrize(
    ("word", "status", "numbered"),
    [
        ("new", "draft", True),
        ("to verify", "draft", True),
        ("proforma", "draft", False),
        ("ready", "confirmed", True),
        ("sent", "invoiced", True),
        ("paid", "paid", True),
        ("deleted", "cancelled", False),
    ],
)
def test_the_status_of_a_sale(word: str, status: str, numbered: bool) -> None:
    item = sale(status=word)
    assert item["status"] == {"S": status}
    assert ("GSI4PK" in item) == numbered
    assert item.get("docType") == ({"S": "proforma"} if word == "proforma" else None)


# Fractions and VAT


@given(st.decimals(-1, 1, places=4))
def test_a_fraction_is_a_hundred_times_as_much_in_percent(fraction: Decimal) -> None:
    assert Decimal(hundredfold(str(fraction)) or "x") == fraction * 100


def test_a_line_is_worth_what_s9_says() -> None:
    item = line(discount="0.2500", tax_rate="0.2200")
    numbers = {name: value["N"] for name, value in item.items() if "N" in value}
    assert numbers["discount"] == "25"
    assert numbers["taxRate"] == "22"
    assert numbers["netAmount"] == "150"
    assert numbers["discountAmount"] == "50"
    assert numbers["taxAmount"] == "33"
    assert numbers["totalAmount"] == "183"


@given(
    st.integers(-50, 50),
    st.decimals(0, 1000, places=6),
    st.decimals(0, 1, places=4),
    st.decimals(0, 1, places=4),
)
def test_any_line_is_worth_quantity_price_discount_and_vat(
    quantity: int, price: Decimal, discount: Decimal, vat: Decimal
) -> None:
    item = line(quantity=quantity, unit_price=str(price), discount=str(discount), tax_rate=str(vat))
    net = quantity * price * (1 - discount)
    assert abs(Decimal(item["netAmount"]["N"]) - net) <= Decimal("0.005")
    assert abs(Decimal(item["totalAmount"]["N"]) - net * (1 + vat)) <= Decimal("0.005")


@pytest.mark.parametrize(("fraction", "percent"), [("0.5", "50"), ("1.0000", "100"), ("0", "0")])
def test_a_fraction_up_to_one_is_believed(fraction: str, percent: str) -> None:
    item = line(discount=fraction, tax_rate=fraction)
    assert item["discount"] == item["taxRate"] == {"N": percent}
    assert doubts(item) == {}


@pytest.mark.parametrize(("column", "name"), [("discount", "discount"), ("tax_rate", "vat")])
def test_a_fraction_above_one_is_refused_unless_it_is_to_be_percent(column: str, name: str) -> None:
    changes: dict[str, Any] = {column: "50.0000"}
    (rejection,) = refused(line, **changes)
    assert rejection[:2] == (f"lines[1].{column}", "suspicious-fraction")
    assert "50.0000 is above 1" in rejection[2]
    assert "transformation.fractionsAboveOne" in rejection[2]
    taken = line("percent", **changes)
    assert taken["discount" if column == "discount" else "taxRate"] == {"N": "50"}
    assert doubts(taken) == {name: "suspicious-fraction"}
    assert legacy(taken)[name] == "50.0000"


@pytest.mark.parametrize(
    ("of_line", "of_sale", "rate"),
    [
        ("0.1000", 4, "10"),
        ("0.0000", 4, "0"),
        (None, 4, "4"),
        (None, 0, "0"),
        (None, None, "22"),
        ("0.1", None, "10"),
    ],
)
def test_the_rate_is_the_lines_then_the_sales_then_22(
    of_line: str | None, of_sale: int | None, rate: str
) -> None:
    assert line(tax_rate=of_line, sale={"iva_percentage": of_sale})["taxRate"] == {"N": rate}


def test_an_exempt_line_without_a_rate_has_none_and_its_code_is_carried() -> None:
    item = line(vat_off="N4", vat_off_desc="Art. 10")
    assert item["taxRate"] == item["taxAmount"] == {"N": "0"}
    assert {"vat_off": "N4", "vat_off_desc": "Art. 10"}.items() <= legacy(item).items()
    assert doubts(item) == {}


def test_a_line_with_a_code_and_a_rate_keeps_the_rate_and_is_doubted() -> None:
    item = line(vat_off="N4", tax_rate="0.22")
    assert item["taxRate"] == {"N": "22"}
    assert doubts(item) == {"vat_off": "taxed-exemption"}
    assert doubts(line(vat_off="N4", tax_rate="0.0000")) == {}
    assert doubts(line(vat_off=" ", tax_rate="0.22")) == {}


@pytest.mark.parametrize(
    ("code", "kind"), [("N3.5", "exempt"), ("split payment", "split_payment"), ("esente", "exempt")]
)
def test_the_exemption_of_a_buyer(code: str, kind: str) -> None:
    item = buyer(vat_exempt=code)
    assert item["vatExempt"] == {"S": kind}
    assert legacy(item) == ({"vatoff": code} if code == "N3.5" else {})
    assert "vatExempt" not in buyer(vat_exempt=" ")


# Amounts


def test_the_amounts_of_a_sale_are_s9s_own() -> None:
    item = sale(line_row(), subtotal="-10.00", tax_amount="-2.20", total="-10.20", tax="2.00")
    assert (item["subtotal"], item["taxAmount"]) == ({"N": "-10"}, {"N": "-2.2"})
    assert item["total"] == {"N": "-10.2"}
    assert legacy(item)["tax"] == "2.00"


def test_a_total_that_s9_leaves_open_is_that_of_the_lines_and_the_revenue_stamp() -> None:
    item = sale(line_row(discount="0.25", tax_rate="0.22"), tax="2.00")
    assert (item["subtotal"], item["taxAmount"]) == ({"N": "150"}, {"N": "33"})
    assert item["total"] == {"N": "185"}
    assert sale(line_row(), tax="0.00")["total"] == sale(line_row())["total"] == {"N": "244"}


def test_a_total_with_a_stamp_that_no_number_can_hold_is_refused() -> None:
    line = line_row(quantity=1, unit_price="1", tax_rate="0.0")
    (rejection,) = refused(sale, line, tax="0." + "1" * 37 + "1")
    assert rejection[1] == "too-many-digits"


def test_figures_that_no_place_could_hold_are_carried_as_they_are() -> None:
    digits = f"-{'9' * 50}.99"
    assert legacy(sale(pay_load=digits))["pay_load"] == digits


def test_a_stamp_that_is_no_number_is_refused() -> None:
    assert refused(sale, tax="bollo")[0][:2] == ("tax", "invalid-number")


# Numbers


@pytest.mark.parametrize(
    ("number", "year", "shown"),
    [
        (41, 2018, ("2018/T041", 41)),
        (7, 2024, ("2024/T007", 7)),
        (1234, 2024, ("2024/T1234", 1234)),
        (41, 2017, ("41/2017", None)),
        (0, 2024, (None, None)),
        (None, 2024, (None, None)),
        (41, None, (None, None)),
    ],
)
def test_how_a_number_is_shown(number: Any, year: Any, shown: tuple[Any, Any]) -> None:
    assert shown_number(number, year) == shown


def test_a_sale_carries_the_number_as_it_is_shown() -> None:
    item = sale()
    assert item["saleNumber"] == item["numberT"] == {"N": "41"}
    assert item["regNumber"] == {"S": "2024/T041"}
    old = sale(year=None, sale_date=20171231)
    assert old["regNumber"] == {"S": "41/2017"}
    assert "numberT" not in old


# Parties of a sale


@pytest.mark.parametrize("none", [None, 0])
@pytest.mark.parametrize("kind", ["buyer", "producer"])
def test_a_sale_without_a_party_is_refused_and_says_what_can_be_done(kind: str, none: Any) -> None:
    (rejection,) = refused(sale, **{f"{kind}_id": none, kind: None})
    assert rejection[:2] == (f"{kind}_id", "missing-party")
    assert "transformation.missingParty" in rejection[2]


def test_a_party_whose_key_is_0_is_a_party() -> None:
    assert sale(buyer_id=0)["buyerId"] == {"S": party_id("buyer", 0, True, SCOPE)}


def test_the_producers_name_is_the_one_on_the_sale_and_the_copies_are_carried() -> None:
    item = sale(producer_name="Viteria Vecchia", code="P0", country="FRA")
    assert item["producerName"] == {"S": "Viteria Vecchia"}
    assert item["producerCountry"] == {"S": "IT"}
    assert legacy(item) == {"code": "P0", "country": "FRA"}


def test_a_buyers_eu_number_is_his_vat_number_where_he_has_no_other() -> None:
    assert sale()["buyerVatNumber"] == {"S": "DE136695976"}
    assert buyer(ue="DE136695976", vat_number=" ")["vatNumber"] == {"S": "DE136695976"}
    both = buyer(ue="DE136695976", vat_number="00743110157")
    assert both["vatNumber"] == {"S": "00743110157"}
    assert legacy(both) == {"ue": "DE136695976"}


def test_ids_are_of_this_layout() -> None:
    header, item = items_of("sales", sale_row(line_row()))
    assert header["saleId"] == {"S": sale_id(5, True, SCOPE)}
    assert header["buyerId"] == {"S": party_id("buyer", 12, True, SCOPE)}
    assert header["buyerId"] == buyer()["buyerId"]
    assert header["producerId"] == producer()["producerId"]
    assert item["lineId"] == {"S": line_id(34, True, SCOPE)}
    readable = items_of("sales", sale_row(), generate_ids=False)[0]
    assert (readable["saleId"], readable["buyerId"]) == ({"S": "SALE5"}, {"S": "BUYER12"})


@pytest.mark.parametrize(("operator", "name"), [(3, "3"), (0, None), (9, "anna@example.com")])
def test_the_operator_is_a_key_of_the_user_mapping(operator: int, name: str | None) -> None:
    row = {"first_id": 1, "enabled": "new", "name": "X", "country": "ITA"}
    mapping = {"9": "anna@example.com"}
    item = items_of("buyers", {**row, "default_operator": operator}, user_mapping=mapping)[0]
    assert item.get("defaultOperator") == ({"S": name} if name else None)


# XML


def test_banks_are_bank_details_as_text_and_carried_raw() -> None:
    item = producer(bank_details=BANKS)
    assert item["bankDetails"] == {
        "S": "name: Banca d'Esempio, iban: IT60X0542811101000000123456\n"
        "name: Beispielbank & Co, bic: EXAMDEFF"
    }
    assert legacy(item) == {"banks": BANKS}
    assert doubts(item) == {}


@pytest.mark.parametrize("xml", [LAUGHS, PEEK, "<banks>", "<banks>&nbsp;</banks>"])
def test_xml_that_cannot_be_read_safely_is_doubted_and_carried_raw(xml: str) -> None:
    item = producer(bank_details=xml)
    assert "bankDetails" not in item
    assert legacy(item) == {"banks": xml}
    assert doubts(item) == {"banks": "broken-xml"}


def test_text_in_the_place_of_xml_is_taken_as_it_is_and_doubted() -> None:
    item = producer(bank_details="Banca Popolare, Lecco")
    assert item["bankDetails"] == {"S": "Banca Popolare, Lecco"}
    assert doubts(item) == {"banks": "broken-xml"}


@pytest.mark.parametrize("bank", ["<bank><name>Banca Lunga</name></bank>", "<bank>x</bank>"])
def test_more_banks_than_there_is_room_for_are_cut_between_banks(bank: str) -> None:
    item = producer(bank_details=f"<banks><bank name='Prima'/>{bank * 400}</banks>")
    details = item["bankDetails"]["S"]
    assert len(details) <= 500
    assert details.endswith(("Lunga…", "x…"))
    assert doubts(item) == {"banks": "text-cut"}


def test_one_bank_that_is_too_long_is_cut() -> None:
    item = producer(bank_details=f"<banks><bank>{'x' * 600}</bank></banks>")
    assert item["bankDetails"]["S"] == f"bank: {'x' * 493}…"


def test_as_many_banks_as_there_is_room_for_are_not_cut() -> None:
    item = producer(bank_details=f"<banks>{'x' * 500}</banks>")
    assert item["bankDetails"]["S"] == "x" * 500
    assert doubts(item) == {}


def test_the_exemption_of_a_sale_is_text_and_carried_raw() -> None:
    item = sale(vat_off=EXEMPTION)
    assert item["vatOff"] == {"S": "code: N3.5, desc: Art. 8, lett. c"}
    assert legacy(item) == {"vat_off": EXEMPTION}
    plain = sale(vat_off="N3.5")
    assert plain["vatOff"] == {"S": "N3.5"}
    assert doubts(plain) == {"vat_off": "broken-xml"}
    broken = sale(vat_off="<vat_off>")
    assert "vatOff" not in broken
    assert legacy(broken) == {"vat_off": "<vat_off>"}


def test_attachments_and_shipping_are_carried_raw_and_doubted_when_broken() -> None:
    for entity, column in ((sale, "attachs"), (buyer, "ship")):
        for xml, doubt in (("<a/>", {}), ("<a>", {column: "broken-xml"})):
            item = entity(**{column: xml})
            assert legacy(item) == {column: xml}
            assert doubts(item) == doubt


def test_the_exemption_of_a_producer_may_be_a_code() -> None:
    assert doubts(producer(vat_off="N2.1")) == {}
    assert doubts(producer(vat_off="<x>")) == {"vat_off": "broken-xml"}
    assert legacy(producer(vat_off="N2.1")) == {"vat_off": "N2.1"}


# Attributes that only this layout has columns for


@pytest.mark.parametrize(("flag", "value"), [(0, False), (1, True), (3, True)])
def test_the_invoice_goes_along_or_not(flag: int, value: bool) -> None:
    item = sale(attach_invoice=flag)
    assert item["attachInvoice"] == {"BOOL": value}
    assert legacy(item) == ({"invoice_attach": "3"} if flag == 3 else {})
    assert "attachInvoice" not in sale()


def test_the_size_of_the_print() -> None:
    assert sale(pdf_font_base=10)["pdfFontBase"] == {"N": "10"}
    assert refused(sale, pdf_font_base="x")[0][:2] == ("pdf_font_base", "invalid-integer")


def test_the_columns_of_a_line_without_a_place_are_carried() -> None:
    item = line(standard="DIN 933", strength="8.8", import_id=7, finish=" ", sorting=None)
    assert legacy(item) == {
        "standard": "DIN 933",
        "strength": "8.8",
        "import_id": "7",
    }
