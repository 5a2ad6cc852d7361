"""The rows of msg and msg_line, a sale at a time, in the order of their dates."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from utils.demo.sample import pools as words
from utils.demo.sample.amounts import (
    DISCOUNT_DIGITS,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    RATE_DIGITS,
    Amounts,
    Figures,
    decimal_text,
    settle,
)
from utils.demo.sample.clock import DAYS, FIRST_DAY, LAST_DAY, later, local_time
from utils.demo.sample.dirt import Line, Planted, Row, Sale, SaleContext, SaleDirt, copies
from utils.demo.sample.parties import Parties, PartyRef
from utils.demo.sample.schema import MSG, MSG_LINE
from utils.demo.sample.tax_numbers import italian_iban

_SALE_COLUMNS = tuple(column.name for column in MSG.columns)
_LINE_COLUMNS = tuple(column.name for column in MSG_LINE.columns)
_LINES_A_SALE = ((1, 2, 3, 4, 5, 6, 7, 8), (20, 26, 24, 12, 8, 5, 3, 2))  # mean 3.0
_STATUS_WORDS = {
    "draft": ("bozza", "draft", "new", "to verify"),
    "proforma": ("proforma",),
    "confirmed": ("confermato", "conf", "confirmed", "ready"),
    "invoiced": ("fatturato", "invoiced", "sent"),
    "paid": ("pagato", "paid", "Pagato", "PAGATO"),
    "cancelled": ("annullato", "annullata", "cancelled", "deleted"),
}
_DISCOUNTS = (None, None, None, 0, 50_000, 100_000, 125_000, 333_333)
_DISABLED = "disabled"


@dataclass
class LastDays:
    """The numbered sales of each year's last day, found out while the sample is made: numbers rise
    with dates, so the year's highest is among them, and only there is the order of dates in doubt.
    """

    _days: dict[int, tuple[date, list[tuple[int, str]]]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take the next sale that is migrated."""
        number, day, key = row["sale_number"], row["sale_date"], str(row["first_id"])
        if not isinstance(day, date) or not isinstance(number, int) or not _is_numbered(row):
            return  # a date in another year than that of the number is a warning by itself
        latest, sales = self._days.get(day.year, (day, []))
        self._days[day.year] = day, [*(sales if latest == day else []), (number, key)]

    def beside_the_last(self) -> frozenset[str]:
        """The legacy ids of those that do not have the highest number of their year."""
        return frozenset(
            key
            for _, sales in self._days.values()
            for number, key in sales
            if number < max(sales)[0]
        )


def _is_numbered(row: Row) -> bool:
    status = str(row["status"]).strip().lower()
    return status not in _STATUS_WORDS["cancelled"] and "proforma" not in (status, row["doc_type"])


@dataclass
class Plan:
    """What becomes of which sale: dirt, "disabled", or None for one that is kept plain because
    the dirty one after it is its pair."""

    at: dict[int, SaleDirt | str | None] = field(default_factory=dict)


def make_plan(rng: random.Random, kinds: Sequence[SaleDirt], sales: int, disabled: int) -> Plan:
    """Spread the dirty sales and the disabled ones over the positions of all."""
    plan = Plan()
    # One less than there is room for: a pair needs a clean sale.
    dirty = copies(kinds, max(0, sales - 1))
    total = sales + disabled
    # Enough to choose from, without a list as long as a large sample.
    positions = rng.sample(range(total), min(total, 4 * (len(dirty) + disabled) + 64))
    for dirt in dirty:
        if dirt.after_clean:
            position = next(p for p in positions if p and not {p, p - 1} & plan.at.keys())
            plan.at[position - 1], plan.at[position] = None, dirt
    rest: list[SaleDirt | str] = [dirt for dirt in dirty if not dirt.after_clean]
    rest += [_DISABLED] * disabled
    free = (position for position in positions if position not in plan.at)
    for what in rest:
        plan.at[next(free)] = what
    return plan


class SaleMaker:
    """Makes the sales of a sample, in key order. `planted` and `lines` (of enabled sales) grow
    while they are made."""

    def __init__(self, rng: random.Random, parties: Parties, plan: Plan, total: int) -> None:
        self.planted: list[Planted] = []
        self.lines = 0
        self.last_days = LastDays()
        self._rng = rng
        self._parties = parties
        self._plan = plan
        self._total = total
        self._sale_id = 0
        self._line_id = 0
        self._numbers: dict[int, int] = {}
        self._previous: Sale | None = None

    def __iter__(self) -> Iterator[Sale]:
        for index in range(self._total):
            what = self._plan.at.get(index, "")
            sale = self._draft(index, plain=what != "")
            if isinstance(what, SaleDirt):
                self._soil(sale, index, what)
            else:
                _price(self._rng, sale, complete=what is None)
            sale.row["enabled"] = what != _DISABLED
            if sale.row["enabled"]:
                self.lines += len(sale.lines)
                if not isinstance(what, SaleDirt) or what.expectation in ("clean", "warning"):
                    self.last_days.add(sale.row)
            self._previous = sale
            yield sale

    def _soil(self, sale: Sale, index: int, dirt: SaleDirt) -> None:
        context = SaleContext(
            self._rng, index, self._previous, self._parties.disabled, self._parties.refused
        )
        partner = dirt.soil(sale, context) if dirt.before_pricing else None
        _price(self._rng, sale, complete=True)
        if not dirt.before_pricing:
            partner = dirt.soil(sale, context)
        key = str(sale.row["first_id"])
        self.planted.append(Planted(dirt.key, "sales", key, dirt.expectation, partner))

    def _draft(self, index: int, *, plain: bool) -> Sale:
        rng = self._rng
        day = FIRST_DAY + timedelta(days=index * DAYS // max(1, self._total))
        buyer = rng.choice(self._parties.usable["buyers"])
        producer = rng.choice(self._parties.usable["producers"])
        row: Row = dict.fromkeys(_SALE_COLUMNS)
        self._sale_id += rng.choice((1, 1, 1, 1, 3))
        self._numbers[day.year] = self._numbers.get(day.year, 0) + 1
        number = self._numbers[day.year]
        status = "paid" if plain else _status(rng, day)
        rate = _sale_rate(rng, buyer)
        row.update(
            first_id=self._sale_id,
            sale_number=number,
            reg_number=f"{number}/{day.year}",
            sale_date=day,
            year=day.year,
            number_t=number,
            registration_date=later(rng, day, 5),
            buyer_id=buyer.first_id,
            buyer_name=buyer.name if rng.random() < 0.95 else None,
            producer_id=producer.first_id,
            producer_name=producer.name if rng.random() < 0.95 else None,
            iva_percentage=decimal_text(rate, RATE_DIGITS),
            currency="CHF" if buyer.country == "CH" else rng.choice(("EUR", "EUR", "EUR", None)),
            status=rng.choice(_STATUS_WORDS[status]),
            doc_type="proforma" if status == "proforma" else rng.choice(("invoice", None)),
            invoice_generated=status in ("invoiced", "paid"),
        )
        if buyer.country != "IT":
            row["vat_off"] = "Non imponibile"
        self._papers(row, day, status)
        _times(rng, row, day, always=plain)
        return Sale(row, self._make_lines(row, rate, credit=not plain and rng.random() < 0.02))

    def _papers(self, row: Row, day: date, status: str) -> None:
        rng = self._rng
        row["payment_method"] = rng.choice(words.PAYMENT_METHODS)
        row["payment_terms"] = rng.choice(words.PAYMENT_TERMS)
        row["delivery_method"] = rng.choice((*words.DELIVERY_METHODS, None))
        if row["invoice_generated"]:
            row["invoice_number"] = f"{row['sale_number']}/{day.year}"
        if status == "paid":
            row["payment_date"] = later(rng, day, 90)
        if rng.random() < 0.6:
            row["delivery_date"] = later(rng, day, 30)
        if rng.random() < 0.3:
            row["po_number"] = f"ODA {rng.randrange(1, 99_999)}"
            row["po_date"] = day - timedelta(days=rng.randrange(40))
        for suffix, share in (("", 0.4), ("2", 0.05), ("3", 0.01)):
            if rng.random() < share:
                row[f"dn_number{suffix}"] = f"DDT {rng.randrange(1, 9_999)}"
                row[f"dn_date{suffix}"] = later(rng, day, 20)
        if rng.random() < 0.25:
            row["notes"] = rng.choice(words.SALE_NOTES)
        if rng.random() < 0.1:
            row["internal_notes"] = rng.choice(words.INTERNAL_NOTES)
            row["printed_note"] = rng.choice(words.SALE_NOTES)
        if rng.random() < 0.3:
            row["package"] = rng.choice(words.PACKAGES)
            row["delivery_note"] = "Scarico con carrello"
        if rng.random() < 0.2:
            row["bank"] = rng.choice(words.BANKS)
            row["co_bank_description"] = rng.choice(words.BANKS)
            row["co_bank_iban"] = italian_iban(rng.randrange(1_000_000))
            row["payment_note"] = "Indicare il numero della fattura nella causale"
        if rng.random() < 0.05:
            row["reference_number"] = f"RIF/{rng.randrange(1, 9_999)}"
            row["pa_cup_number"] = f"E51B{rng.randrange(10**11):011d}"
            row["pa_cig_number"] = f"Z{rng.randrange(10**9):09d}"

    def _make_lines(self, sale: Row, rate: int | None, *, credit: bool) -> list[Line]:
        rng = self._rng
        counts, weights = _LINES_A_SALE
        lines = []
        for number in range(1, rng.choices(counts, weights)[0] + 1):
            self._line_id += 1
            row: Row = dict.fromkeys(_LINE_COLUMNS)
            article = rng.choice(words.ARTICLES).format(
                standard=rng.choice(words.STANDARDS),
                size=rng.randrange(3, 64),
                length=rng.randrange(10, 3000),
            )
            row.update(
                id=self._line_id,
                msg_id=sale["first_id"],
                line_number=number,
                product_code=f"ART-{rng.randrange(10_000):04d}" if rng.random() < 0.8 else None,
                product_description=article,
                unit_of_measure=rng.choice(words.UNITS),
                created_at=sale["created_at"],
                updated_at=sale["updated_at"],
            )
            if rng.random() < 0.05:
                row["notes"] = "certificato 3.1 richiesto"
            lines.append(Line(row, _figures(rng, rate, credit=credit)))
        return lines


def _status(rng: random.Random, day: date) -> str:
    age = (LAST_DAY - day).days
    shares: Mapping[str, int]
    if age < 90:
        shares = {"draft": 25, "confirmed": 30, "invoiced": 30, "paid": 8, "proforma": 7}
    elif age < 400:
        shares = {"confirmed": 5, "invoiced": 35, "paid": 54, "proforma": 2, "cancelled": 4}
    else:
        shares = {"invoiced": 8, "paid": 86, "proforma": 1, "cancelled": 4, "draft": 1}
    return rng.choices(tuple(shares), tuple(shares.values()))[0]


def _sale_rate(rng: random.Random, buyer: PartyRef) -> int | None:
    if buyer.country != "IT":
        return 0
    return rng.choices((22_00, 10_00, 4_00, None), (84, 6, 2, 8))[0]


def _times(rng: random.Random, row: Row, day: date, *, always: bool) -> None:
    if not always and rng.random() < 0.02:
        return  # imported before S9 kept times
    updated = later(rng, day, 60)
    row["created_at"] = local_time(rng, day)
    row["updated_at"] = row["created_at"] if updated == day else local_time(rng, updated)
    row["created_by"] = rng.choice((*words.USER_MAPPING, words.UNMAPPED_USER))
    row["updated_by"] = rng.choice((*words.USER_MAPPING, None))


def _figures(rng: random.Random, rate: int | None, *, credit: bool) -> Figures:
    quantity: int | None = rng.randrange(1, 500) * 1_000
    if rng.random() < 0.2:
        quantity = rng.randrange(1, 99_999)
    elif rng.random() < 0.01 and not credit:
        quantity = None
    if credit and quantity:
        quantity = -quantity
    price = rng.randrange(5, 20_000) * 10_000  # to the cent
    if rng.random() < 0.15:
        price = rng.randrange(1_000, 90_000_000)  # to the sixth decimal
    own_rate = rng.choice((rate, rate, None))
    return Figures(quantity, price, rng.choice(_DISCOUNTS), own_rate, rate)


def _price(rng: random.Random, sale: Sale, *, complete: bool) -> None:
    """Settle the figures of the lines and write figures and amounts into the rows; S9's own
    amounts are NULL on many lines and some sales, unless `complete`."""
    amounts = []
    lines_filled = complete or rng.random() < 0.6
    for line in sale.lines:
        line.figures, worth = settle(line.figures)
        amounts.append(worth)
        _write_line(line, worth if lines_filled else None)
    sale.sums = Amounts(
        sum(worth.discount for worth in amounts),
        sum(worth.net for worth in amounts),
        sum(worth.tax for worth in amounts),
        sum(worth.total for worth in amounts),
    )
    if complete or rng.random() < 0.93:
        sale.row["subtotal"] = decimal_text(sale.sums.net, 2)
        sale.row["tax_amount"] = decimal_text(sale.sums.tax, 2)
        sale.row["total"] = decimal_text(sale.sums.total, 2)


def _write_line(line: Line, worth: Amounts | None) -> None:
    row, figures = line.row, line.figures
    row["quantity"] = decimal_text(figures.quantity, QUANTITY_DIGITS)
    row["unit_price"] = decimal_text(figures.price, PRICE_DIGITS)
    row["discount"] = decimal_text(figures.discount, DISCOUNT_DIGITS)
    row["tax_rate"] = decimal_text(figures.rate, RATE_DIGITS)
    if worth is not None:
        row["discount_amount"] = decimal_text(worth.discount, 2)
        row["net_amount"] = decimal_text(worth.net, 2)
        row["tax_amount"] = decimal_text(worth.tax, 2)
        row["total_amount"] = decimal_text(worth.total, 2)
