"""A made-up S9 in layout i2_speedex: some plain trade, and rows with awkward values on purpose.

Every row is written out or follows from its number: the same sample on every database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

from utils.demo.sample.dirt import Entity, Expectation, Planted

Row = dict[str, object]

BANKS = (
    "<banks><bank><name>Banca d'Esempio</name><iban>IT60X0542811101000000123456</iban></bank>"
    '<bank name="Beispielbank &amp; Co" bic="EXAMDEFF"/></banks>'
)
EXEMPTION = "<vat_off><code>N3.5</code><desc>Art. 8, lett. c</desc></vat_off>"
ATTACHMENTS = '<attachs><file name="disegno.pdf" size="12"/></attachs>'
SHIPPING = "<ship><to><city>Lecco</city></to></ship>"
LAUGHS = '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><banks><bank>&b;</bank></banks>'
PEEK = '<!DOCTYPE b [<!ENTITY f SYSTEM "file:///etc/hostname">]><ship>&f;</ship>'


@dataclass(frozen=True)
class Sample:
    """The rows of the four tables, and which of them are awkward, with what is expected."""

    buyers: Sequence[Row]
    producers: Sequence[Row]
    sales: Sequence[Row]
    lines: Sequence[Row]
    planted: Sequence[Planted]

    def keys(self, entity: Entity, *expectations: Expectation) -> set[str]:
        """The legacy ids of the awkward records of an entity that are expected to end so."""
        return {
            each.legacy_id
            for each in self.planted
            if each.entity == entity and each.expectation in expectations
        }


def buyer(number: int, /, **changes: object) -> Row:
    """A row of `buyers` that nobody finds fault with."""
    return {
        "id": number,
        "status": "online",
        "code": f"C{number:04}",
        "name": f"Officine {number} srl",
        "country": "DEU",
        "city": "Ulm",
        "currency": "EUR",
        "new_date": "2021-03-04 10:11:12",
        **changes,
    }


def producer(number: int, /, **changes: object) -> Row:
    """A row of `producers` that nobody finds fault with."""
    return {
        "id": number,
        "status": "online",
        "code": f"P{number:04}",
        "name": f"Viterie {number} spa",
        "country": "FRA",
        "city": "Lyon",
        "new_date": "2020-01-02 03:04:05",
        **changes,
    }


def sale(number: int, /, **changes: object) -> Row:
    """A row of `sales` that nobody finds fault with, once it has its line (`line`)."""
    return {
        "id": number,
        "number": number,
        "year": 2024,
        "status": "sent",
        "buyer_id": 1,
        "producer_id": 1,
        "reg_date": 20240305,
        "reg_date_input": "2024-03-05",
        "name": "Viterie 1 spa",
        "country": "FRA",
        "currency": "EUR",
        "vat_perc": 22,
        "tax_on": 0,
        "amount": "150.00",
        "vat": "33.00",
        "tax": "0.00",
        "total": "183.00",
        **changes,
    }


def line(number: int, sale_id: int, /, **changes: object) -> Row:
    """A row of `sale_lines`: 20 at 10, a quarter off, 22 % of VAT."""
    return {
        "id": number,
        "sale_id": sale_id,
        "pos": 1,
        "code": "M8",
        "description": "Vite M8",
        "qty": 20,
        "price": "10.000000",
        "discount": "0.2500",
        "vat": "0.2200",
        **changes,
    }


_BUYERS: tuple[tuple[Expectation, str, Row], ...] = (
    ("clean", "status new", {"status": "new"}),
    ("clean", "status padded, in capitals", {"status": " Online "}),
    ("clean", "status offline: inactive", {"status": "offline"}),
    ("clean", "no operator: 0", {"operator_id": 0}),
    ("clean", "the EU number stands in", {"country": "AUT", "vat": " ", "ue": "ATU13585627"}),
    ("clean", "an exemption code", {"vatoff": "N3.5"}),
    ("clean", "split payment", {"vatoff": "split payment"}),
    ("clean", "shipping in XML", {"ship": SHIPPING}),
    ("warning", "broken XML", {"ship": "<ship><to>"}),
    ("warning", "an external entity", {"ship": PEEK}),
    ("warning", "text where XML is meant", {"ship": "al magazzino"}),
    ("refused", "a country that does not exist", {"country": "XYZ"}),
    ("refused", "an unknown status", {"status": "sospeso"}),
    ("refused", "no status", {"status": None}),
    ("refused", "no name", {"name": "  "}),
)
_PRODUCERS: tuple[tuple[Expectation, str, Row], ...] = (
    ("clean", "two banks", {"banks": BANKS}),
    ("clean", "an exemption code", {"vat_off": "N2.1"}),
    ("clean", "an exemption in XML", {"vat_off": EXEMPTION}),
    (
        "clean",
        "all columns without a place",
        {
            "ue": 1,
            "automotive": "yes",
            "commission_invoice": "2024/1",
            "commission_bank": "BPM",
        },
    ),
    ("warning", "entities in XML", {"banks": LAUGHS}),
    ("warning", "broken XML", {"banks": "<banks><bank>BPM</banks>"}),
    ("warning", "text where XML is meant", {"banks": "Banca Popolare, Lecco"}),
    (
        "warning",
        "more banks than there is room for",
        {
            "banks": f"<banks>{'<bank><name>Banca Lunga</name></bank>' * 40}</banks>",
        },
    ),
    ("refused", "a country that does not exist", {"country": "QQQ"}),
)
_SALES: tuple[tuple[Expectation, str, Row, Row], ...] = (
    # what is expected, why, changes of the sale, changes of its line
    ("clean", "numbered the old way", {"year": 2017, "reg_date": 20170131}, {}),
    ("clean", "dates of 0", {"payment_date": 0, "po_date": 0, "dn_date": 0}, {}),
    ("clean", "dates", {"payment_date": 20240401, "po_date": 20240229, "dn_date3": 20240306}, {}),
    ("clean", "a proforma", {"status": "proforma"}, {}),
    ("clean", "deleted", {"status": "deleted"}, {}),
    ("clean", "no amounts: computed", {"amount": None, "vat": None, "total": None}, {}),
    (
        "clean",
        "an exemption in XML",
        {"vat_off": EXEMPTION, "vat_perc": 0, "vat": "0.00", "total": "150.00"},
        {"vat": None},
    ),
    (
        "clean",
        "an exempt line",
        {"vat": "0.00", "total": "150.00"},
        {"vat": None, "vat_off": "N4", "vat_off_desc": "Art. 10"},
    ),
    ("clean", "the rate of the line", {"vat": "15.00", "total": "165.00"}, {"vat": "0.1000"}),
    (
        "clean",
        "the rate of the sale",
        {"vat_perc": 4, "vat": "6.00", "total": "156.00"},
        {"vat": None},
    ),
    ("clean", "no rate at all: 22", {"vat_perc": None}, {"vat": None}),
    ("clean", "no VAT: 0 is 0", {"vat": "0.00", "total": "150.00"}, {"vat": "0.0000"}),
    (
        "clean",
        "a credit note",
        {"amount": "-150.00", "vat": "-33.00", "total": "-183.00"},
        {"qty": -20},
    ),
    ("clean", "attachments", {"attachs": ATTACHMENTS, "invoice_attach": 1, "font_base": 10}, {}),
    ("clean", "large figures", {"pay_load": f"-{'9' * 50}.99"}, {}),
    (
        "clean",
        "a proforma, numbered as another sale",
        {"status": "proforma", "number": 5},
        {},
    ),
    ("clean", "deleted, numbered as another sale", {"status": "deleted", "number": 5}, {}),
    ("warning", "the same number twice in a year", {"number": 5}, {}),
    ("warning", "a revenue stamp", {"tax": "2.00", "total": "185.00", "stamp": 1}, {}),
    (
        "warning",
        "a stamp on a computed total",
        {"tax": "2.00", "amount": None, "vat": None, "total": None},
        {},
    ),
    ("warning", "broken XML", {"attachs": "<attachs>", "vat_off": "<vat_off>&nbsp;</vat_off>"}, {}),
    ("warning", "a code and a rate", {}, {"vat_off": "N4"}),
    ("refused", "a fraction above 1", {}, {"discount": "25.0000"}),
    ("refused", "a rate above 1", {}, {"vat": "22.0000"}),
    ("refused", "no buyer", {"buyer_id": None}, {}),
    ("refused", "no producer: 0", {"producer_id": 0}, {}),
    ("refused", "a buyer that is not there", {"buyer_id": 9999}, {}),
    ("refused", "a day that no calendar has", {"reg_date": 20240230}, {}),
    ("refused", "no date", {"reg_date": 0}, {}),
    ("refused", "an unknown status", {"status": "archiviato"}, {}),
    ("refused", "no status", {"status": " "}, {}),
)
_FIRST_AWKWARD = 1001


def sample(plain: int = 20) -> Sample:
    """Plain parties and sales, `plain` of each, with the awkward ones after them."""
    planted: list[Planted] = []
    buyers = [buyer(number) for number in range(1, plain + 1)]
    for number, (expected, why, changes) in enumerate(_BUYERS, _FIRST_AWKWARD):
        buyers.append(buyer(number, **changes))
        planted.append(Planted(why, "buyers", str(number), expected))
    producers = [producer(number) for number in range(1, plain + 1)]
    for number, (expected, why, changes) in enumerate(_PRODUCERS, _FIRST_AWKWARD):
        producers.append(producer(number, **changes))
        planted.append(Planted(why, "producers", str(number), expected))
    # Dates rise with numbers, as they do in an orderly office.
    days = (date(2024, 1, 2) + timedelta(days=n) for n in count())
    sales = [
        sale(n, buyer_id=n, producer_id=n, name=f"Viterie {n} spa", **_dated(next(days)))
        for n in range(1, plain + 1)
    ]
    lines = [line(number, number) for number in range(1, plain + 1)]
    for number, (expected, why, changes, of_line) in enumerate(_SALES, _FIRST_AWKWARD):
        sales.append(sale(number, **{**_dated(next(days)), **changes}))
        lines.append(line(number, number, **of_line))
        planted.append(Planted(why, "sales", str(number), expected))
    return Sample(buyers, producers, sales, lines, planted)


def _dated(day: date) -> Row:
    return {"reg_date": int(day.strftime("%Y%m%d")), "reg_date_input": day.isoformat()}


def fill(connection: Any, rows: Sample) -> None:
    """Put a sample into the tables of an open DB-API connection; commits."""
    for table, content in (
        ("buyers", rows.buyers),
        ("producers", rows.producers),
        ("sales", rows.sales),
        ("sale_lines", rows.lines),
    ):
        insert(connection, table, *content)


def insert(connection: Any, table: str, *rows: Mapping[str, object]) -> None:
    """Put rows into a table; commits. Columns that a row lacks are NULL or their default."""
    cursor = connection.cursor()
    for row in rows:
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row.values()))
    cursor.close()
    connection.commit()
