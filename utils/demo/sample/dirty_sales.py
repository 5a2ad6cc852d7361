"""The catalogue of dirty sales and lines. A line's dirt is counted under its sale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from utils.demo.sample.clock import SPRING_SUNDAYS
from utils.demo.sample.dirt import Entity, Expectation, Sale, SaleContext, SaleDirt
from utils.demo.sample.dirty_parties import double_decoded
from utils.demo.sample.tax_numbers import italian_iban

_AMOUNTS_OF_SALE = ("subtotal", "tax_amount", "total")
_AMOUNTS_OF_LINE = ("discount_amount", "net_amount", "tax_amount", "total_amount")
_OPTIONAL_TEXTS = (
    *("reg_number", "delivery_method", "notes", "internal_notes", "printed_note", "package"),
    *("delivery_note", "payment_note", "reference_number", "po_number", "dn_number", "bank"),
    *("co_bank_description", "co_bank_iban", "vat_off", "invoice_number", "currency"),
    *("created_by", "buyer_name", "producer_name", "doc_type"),
)
# Ids of parties that never were: beyond every party of a sample.
_NOBODY = 900_000_000_000


def _six_decimals(sale: Sale, context: SaleContext) -> None:
    for line in sale.lines:
        price = line.figures.price // 10_000 * 10_000 + 4_321 + context.index % 1_000
        line.figures = replace(line.figures, price=price)


def _quantity_zero(sale: Sale, _context: SaleContext) -> None:
    sale.lines[0].figures = replace(sale.lines[0].figures, quantity=0)


def _quantity_null(sale: Sale, _context: SaleContext) -> None:
    sale.lines[0].figures = replace(sale.lines[0].figures, quantity=None)


def _tax_rate_zero(sale: Sale, _context: SaleContext) -> None:
    sale.lines[0].figures = replace(sale.lines[0].figures, rate=0)


def _tax_rate_null(sale: Sale, _context: SaleContext) -> None:
    sale.row["iva_percentage"] = None
    for line in sale.lines:
        line.figures = replace(line.figures, rate=None, sale_rate=None)


def _credit_note(sale: Sale, _context: SaleContext) -> None:
    for line in sale.lines:
        quantity = -abs(line.figures.quantity or 1_000)
        line.figures = replace(line.figures, quantity=quantity)


def _amounts_null(sale: Sale, _context: SaleContext) -> None:
    sale.row.update(dict.fromkeys(_AMOUNTS_OF_SALE))
    for line in sale.lines:
        line.row.update(dict.fromkeys(_AMOUNTS_OF_LINE))


def _padded_status(sale: Sale, context: SaleContext) -> None:
    sale.row["status"] = context.rng.choice(("  PAGATO ", "Fatturato   ", " Conf ", "PAID  "))
    sale.row["doc_type"] = " invoice "


def _blank_strings(sale: Sale, _context: SaleContext) -> None:
    for number, column in enumerate(_OPTIONAL_TEXTS):
        sale.row[column] = "" if number % 2 else "   "
    for line in sale.lines:
        line.row.update(product_code=" ", unit_of_measure="", notes="  ")


def _control_characters(sale: Sale, _context: SaleContext) -> None:
    sale.row["notes"] = "Consegna:\tpiano terra\r\nsuonare 2 volte 🔔\nGrazie 😊"
    sale.lines[0].row["notes"] = "vedi\tdisegno\nallegato 📎"


def _clock_gap(sale: Sale, context: SaleContext) -> None:
    sale.row["created_at"] = f"{context.rng.choice(SPRING_SUNDAYS)} 02:15:00.25"


def _no_timestamps(sale: Sale, _context: SaleContext) -> None:
    sale.row.update(created_at=None, updated_at=None, created_by=None, updated_by=None)
    for line in sale.lines:
        line.row.update(created_at=None, updated_at=None)


def _no_lines(sale: Sale, _context: SaleContext) -> None:
    sale.lines.clear()


def _no_description(sale: Sale, _context: SaleContext) -> None:
    sale.lines[-1].row.update(product_description=None, product_code="ART-0001")


def _no_description_no_code(sale: Sale, _context: SaleContext) -> None:
    sale.lines[-1].row.update(product_description="  ", product_code=None)


def _shared_sale_number(sale: Sale, context: SaleContext) -> str:
    assert context.previous is not None, "this dirt comes after a clean sale"
    previous = context.previous.row
    for column in ("sale_number", "reg_number", "sale_date", "year", "number_t", "status"):
        sale.row[column] = previous[column]
    sale.row["doc_type"] = "invoice"
    return str(previous["first_id"])


def _date_year_1(sale: Sale, _context: SaleContext) -> None:
    sale.row["delivery_date"] = "0001-01-01"


def _date_year_9999(sale: Sale, _context: SaleContext) -> None:
    sale.row["sale_date"] = "9999-12-31"


def _double_decoded(sale: Sale, _context: SaleContext) -> None:
    sale.row["notes"] = double_decoded("Si prega di verificare la quantità: è già prenotata")


def _bad_iban(sale: Sale, context: SaleContext) -> None:
    right = italian_iban(context.index)
    sale.row["co_bank_description"] = "Banca di Esempio"
    sale.row["co_bank_iban"] = f"{right[:2]}{(int(right[2:4]) + 7) % 100:02d}{right[4:]}"


def _lines_do_not_add_up(sale: Sale, _context: SaleContext) -> None:
    sale.row["status"] = "bozza"
    sale.row["subtotal"] = _cents(sale.sums.net + 10_00)
    sale.row["tax_amount"] = _cents(sale.sums.tax)
    sale.row["total"] = _cents(sale.sums.total + 10_00)


def _total_is_not_the_sum(sale: Sale, _context: SaleContext) -> None:
    sale.row["subtotal"] = _cents(sale.sums.net)
    sale.row["tax_amount"] = _cents(sale.sums.tax)
    sale.row["total"] = _cents(sale.sums.total + 2_00)  # a revenue stamp


def _cents(amount: int) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}"


def _unknown_status(sale: Sale, context: SaleContext) -> None:
    sale.row["status"] = context.rng.choice(("sospeso", "in lavorazione", "archived"))


def _empty_status(sale: Sale, context: SaleContext) -> None:
    sale.row["status"] = "  " if context.index % 2 else None


def _no_number(sale: Sale, _context: SaleContext) -> None:
    sale.row["sale_number"] = None


def _no_date(sale: Sale, _context: SaleContext) -> None:
    sale.row["sale_date"] = None


def _buyer_deleted(sale: Sale, context: SaleContext) -> None:
    sale.row["buyer_id"] = _NOBODY + context.index


def _producer_deleted(sale: Sale, context: SaleContext) -> None:
    sale.row["producer_id"] = _NOBODY + context.index


def _buyer_missing(sale: Sale, _context: SaleContext) -> None:
    sale.row["buyer_id"] = None


def _of(
    sale: Sale, context: SaleContext, entity: Entity, ids: Mapping[Entity, Sequence[int]]
) -> None:
    # The printed name stays that of another party, which real rows have too.
    column = "buyer_id" if entity == "buyers" else "producer_id"
    sale.row[column] = context.rng.choice(ids[entity])


def _buyer_disabled(sale: Sale, context: SaleContext) -> None:
    _of(sale, context, "buyers", context.disabled)


def _producer_disabled(sale: Sale, context: SaleContext) -> None:
    _of(sale, context, "producers", context.disabled)


def _buyer_refused(sale: Sale, context: SaleContext) -> None:
    _of(sale, context, "buyers", context.refused)


def _producer_refused(sale: Sale, context: SaleContext) -> None:
    _of(sale, context, "producers", context.refused)


def _date_infinity(sale: Sale, context: SaleContext) -> None:
    sale.row["sale_date"] = "infinity" if context.index % 2 else "-infinity"


def _timestamp_year_1(sale: Sale, _context: SaleContext) -> None:
    sale.row["created_at"] = "0001-01-01 00:00:00"


def _discount_over_100(sale: Sale, _context: SaleContext) -> None:
    sale.lines[0].figures = replace(sale.lines[0].figures, discount=120_0000)


def _tax_rate_outside(sale: Sale, context: SaleContext) -> None:
    rate = 122_00 if context.index % 2 else -22_00
    sale.lines[0].figures = replace(sale.lines[0].figures, rate=rate)


def _notes_too_long(sale: Sale, _context: SaleContext) -> None:
    sale.row["notes"] = "Condizioni particolari di fornitura. " * 30


Soil = Callable[[Sale, SaleContext], str | None]


def _clean(key: str, soil: Soil, what: str) -> SaleDirt:
    return SaleDirt(key, what, "sales", "clean", soil=soil)


def _figures(key: str, soil: Soil, what: str, expectation: Expectation = "clean") -> SaleDirt:
    most = 2 if expectation == "refused" else 4
    return SaleDirt(key, what, "sales", expectation, most, soil=soil, before_pricing=True)


def _warning(key: str, soil: Soil, what: str, *, after_clean: bool = False) -> SaleDirt:
    return SaleDirt(key, what, "sales", "warning", soil=soil, after_clean=after_clean)


def _refused(key: str, soil: Soil, what: str, most: int = 2) -> SaleDirt:
    return SaleDirt(key, what, "sales", "refused", most, soil=soil)


def _dependent(key: str, soil: Soil, what: str, needs: Entity) -> SaleDirt:
    return SaleDirt(key, what, "sales", "dependent", 3, soil=soil, needs_refused=needs)


DIRTY_SALES = (
    _figures("six-decimal-prices", _six_decimals, "unit prices with six decimals"),
    _figures("quantity-zero", _quantity_zero, "a line of quantity 0, which is 0"),
    _figures("quantity-null", _quantity_null, "a line of quantity NULL, which is 1"),
    _figures("tax-rate-zero", _tax_rate_zero, "a line of tax rate 0, which is 0"),
    _figures("tax-rate-null", _tax_rate_null, "no tax rate on sale and lines, which is 22"),
    _figures("credit-note", _credit_note, "negative quantities and amounts"),
    _clean("amounts-null", _amounts_null, "every amount NULL, on the sale and its lines"),
    _clean("padded-status", _padded_status, "status in capitals or with blanks around it"),
    _clean("blank-strings", _blank_strings, "blank strings where NULL is meant"),
    _clean("control-characters", _control_characters, "notes with tab, line breaks, emoji"),
    _clean("timestamp-in-clock-gap", _clock_gap, "created in an hour that does not exist"),
    _clean("no-timestamps", _no_timestamps, "neither times nor users, lines too"),
    _warning("sale-without-lines", _no_lines, "no line at all"),
    _warning("line-without-description", _no_description, "a line with a code only"),
    _warning("line-without-description-and-code", _no_description_no_code, "a line with neither"),
    _warning(
        "shared-sale-number",
        _shared_sale_number,
        "the number of another sale of the year",
        after_clean=True,
    ),
    _warning("date-year-1", _date_year_1, "delivery date 0001-01-01"),
    _warning("date-year-9999", _date_year_9999, "sale date 9999-12-31"),
    _warning("double-decoded-text", _double_decoded, "UTF-8 read as Latin-1 in the notes"),
    _warning("bad-iban", _bad_iban, "IBAN with wrong check digits"),
    _warning("draft-lines-do-not-add-up", _lines_do_not_add_up, "a draft, 10.00 above its lines"),
    _warning("total-is-not-the-sum", _total_is_not_the_sum, "total 2.00 above subtotal + tax"),
    _refused("unknown-status", _unknown_status, "a status nobody maps", 4),
    _refused("empty-status", _empty_status, "status NULL or blank"),
    _refused("no-sale-number", _no_number, "sale number NULL"),
    _refused("no-sale-date", _no_date, "sale date NULL"),
    _refused("buyer-deleted", _buyer_deleted, "buyer_id of a party that is no more", 4),
    _refused("buyer-disabled", _buyer_disabled, "sale of a disabled buyer", 4),
    _refused("buyer-missing", _buyer_missing, "buyer_id NULL"),
    _refused("producer-deleted", _producer_deleted, "producer_id of a party that is no more"),
    _refused("producer-disabled", _producer_disabled, "sale of a disabled producer"),
    _refused("date-infinity", _date_infinity, "sale date infinity or -infinity"),
    _refused("timestamp-year-1", _timestamp_year_1, "created 0001-01-01, before year 1 in UTC"),
    _figures("line-discount-over-100", _discount_over_100, "a line with 120 % off", "refused"),
    _figures("line-tax-rate-outside-0-100", _tax_rate_outside, "tax rate 122 or -22", "refused"),
    _refused("notes-too-long", _notes_too_long, "notes of more than 1000 characters"),
    _dependent("buyer-refused", _buyer_refused, "its buyer goes to quarantine", "buyers"),
    _dependent("producer-refused", _producer_refused, "its producer does", "producers"),
)
