"""The S9 whose target is damaged: small, clean, and with something of everything that can be."""

from __future__ import annotations

from decimal import Decimal

from tests.conftest import S9Database
from tests.support.operators.operator import insert, line, party, sale

BUYERS = range(1, 8)
PRODUCERS = range(21, 26)
SALES = range(101, 131)
_STATUSES = ("confermato", "pagato", "bozza", "fatturato")
_CITIES = ("Forlì", "Cantù", "Città di Castello", "Sankt Pölten")


def trade(s9: S9Database) -> None:
    """Seven buyers, five producers and thirty sales of three years, with none to four lines each;
    one in ten is cancelled, one a proforma without a place in the numbering."""
    insert(s9, "msg_anag", *(_buyer(n) for n in BUYERS), *(_producer(n) for n in PRODUCERS))
    insert(s9, "msg", *map(_sale, SALES))
    lines = [_line(n, place) for n in SALES for place in range(1, lines_of(n) + 1)]
    insert(s9, "msg_line", *lines)


def trade_again(s9: S9Database) -> None:
    """The same once more, whatever has become of it."""
    for table in ("msg_line", "msg", "msg_anag"):
        s9.execute(f"DELETE FROM {table}")
    trade(s9)


def lines_of(number: int) -> int:
    """How many lines a sale has."""
    return 0 if number % 15 == 0 else 1 + number % 4


def _buyer(number: int) -> dict[str, object]:
    return party(
        number,
        2 + number % 2,
        name=f"Officine d'Abbà {number} S.p.A.",
        address=f"Via dell'Università, {number}",
        city=_CITIES[number % 4],
        postal_code=f"0{number}184",
        email=f"ufficio{number}@example.com",
        notes="Chiamare prima di consegnare",
        payment_method="bonifico",
        currency="EUR",
    )


def _producer(number: int) -> dict[str, object]:
    return party(
        number,
        1,
        name=f"Viterie Müller {number} GmbH",
        address=f"Größe Straße {number}",
        city=_CITIES[number % 4],
        postal_code=f"0{number}51",
        revenue_percentage=Decimal("12.50"),
        products="viti, dadi, barre",
        notes="Chiuso in agosto",
    )


def _sale(number: int) -> dict[str, object]:
    year, place = 2022 + (number - 101) // 10, (number - 101) % 10
    status = _STATUSES[number % 4]
    return sale(
        number,
        1 + number % 6,  # the last buyer has no sale
        21 + number % 4,  # nor has the last producer
        sale_number=place + 1,
        sale_date=f"{year}-{place + 2:02}-{3 + place:02}",
        year=year,
        status={3: "annullato", 6: "proforma"}.get(place, status),
        reg_number=f"{place + 1}/{year}",
        notes=f"Consegna urgente, Café n° {number}",
        internal_notes="Sentire il magazzino",
        po_number=f"00{number}",
        delivery_date=f"{year}-{place + 2:02}-20",
        currency="EUR",
        created_at=f"{year}-{place + 2:02}-03 09:00:00",
        updated_at=f"{year}-{place + 2:02}-04 10:30:00",
    )


def _line(number: int, place: int) -> dict[str, object]:
    return line(
        number * 10 + place,
        number,
        line_number=place,
        product_code=f"0{place}-{number}",
        quantity=Decimal(place) + Decimal("0.125"),
        unit_price=Decimal("10.55") + Decimal(number % 7) / 100,
        discount=Decimal("2.5"),
        unit_of_measure="pz",
        notes=f"Riga {place}",
    )
