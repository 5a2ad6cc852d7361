"""What is doubtful about a sale: its date, its codes, and amounts that do not add up.

The amounts are S9's legal figures: what differs is reported and never changed. All of it is
counted in exact decimals; `EXACT` has to be the thread's decimal context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from utils.wording.masking import mask
from validate.rules.catalogue import Note
from validate.rules.iso_codes import countries, currencies
from validate.rules.tax_codes import is_iban

Item = dict[str, Any]

EXACT = Context(prec=160)
"""Wide enough for the product of four numbers of DynamoDB's 38 digits."""

FIRST_DAY, LAST_DAY = "1990-01-01", "2100-12-31"
_DATES = (
    *("saleDate", "deliveryDate", "poDate", "paymentDate", "registrationDate"),
    *("dnDate", "dnDate2", "dnDate3"),
)
_SUMS = ("subtotal", "taxAmount", "total")
_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_LESS = -_CENT
_HALF_A_CENT = Decimal("0.005")
_PER_CENT = Decimal("0.01")


# Quantities and percentages come back line after line.
_number = lru_cache(maxsize=4096)(Decimal)


@lru_cache(maxsize=4096)
def _share(percent: str) -> Decimal:
    return Decimal(percent) * _PER_CENT


class Amounts(NamedTuple):
    """Net, tax and total: of a sale, or summed over its lines."""

    net: Decimal
    tax: Decimal
    total: Decimal


def sale_notes(sale: Item, lines: Sequence[Item]) -> list[Note]:
    """What is doubtful about a sale and its lines, all of which conform to their schemas."""
    notes: list[Note] = []
    nets, taxes, totals = [], [], []
    for position, line in enumerate(lines, start=1):
        net, tax, total, problem = line_amounts(line)
        nets.append(net)
        taxes.append(tax)
        totals.append(total)
        if problem:
            notes.append(Note(f"lines[{position}]", "line-amounts", problem))
        if has_no_description(line):
            text = "S9 has no description of the product"
            notes.append(Note(f"lines[{position}].productDescription", "no-description", text))
    summed = Amounts(sum(nets, _ZERO), sum(taxes, _ZERO), sum(totals, _ZERO))
    notes += _code_notes(sale)
    notes += _date_notes(sale)
    notes += _amount_notes(sale, summed, len(lines))
    return notes


def line_amounts(line: Item) -> tuple[Decimal, Decimal, Decimal, str]:
    """Net, tax and total of a line, and what does not follow from the rest of it ("" if all does).

    Each amount must be within a cent of what the Sale Module computes: discount = q·p·d/100,
    net = q·p − discount, tax = net·rate/100, total = net + tax. A cent is what two roundings make.
    """
    net, tax = Decimal(line["netAmount"]["N"]), Decimal(line["taxAmount"]["N"])
    total, off = Decimal(line["totalAmount"]["N"]), Decimal(line["discountAmount"]["N"])
    gross = _number(line["quantity"]["N"]) * Decimal(line["unitPrice"]["N"])
    problem = ""
    if not _LESS <= gross * _share(line["discount"]["N"]) - off <= _CENT:
        problem = f"discountAmount {off} is not {line['discount']['N']} % of {gross:f}"
    elif not _LESS <= gross - off - net <= _CENT:
        problem = f"netAmount {net} is not {gross:f} less {off}"
    elif not _LESS <= net * _share(line["taxRate"]["N"]) - tax <= _CENT:
        problem = f"taxAmount {tax} is not {line['taxRate']['N']} % of {net}"
    elif not _LESS <= net + tax - total <= _CENT:
        problem = f"totalAmount {total} is not {net} and {tax}"
    return net, tax, total, problem


def has_no_description(line: Item) -> bool:
    """Whether a line is described by a dash or by its own product code only."""
    description = line["productDescription"]["S"]
    return description == "-" or (
        "productCode" in line and bool(line["productCode"]["S"] == description)
    )


def _code_notes(item: Item) -> Iterator[Note]:
    for name in ("buyerCountry", "producerCountry"):
        if (country := item[name]["S"]) not in countries():
            yield Note(name, "country", f'{name} holds "{country}", which is not in ISO 3166')
    if (currency := item["currency"]["S"]) not in currencies():
        yield Note("currency", "currency", f'currency holds "{currency}", not one of ISO 4217')
    if "coBankIban" in item and not is_iban(number := item["coBankIban"]["S"]):
        yield Note("coBankIban", "iban", f"coBankIban holds {mask(number)}, no valid IBAN")


def _date_notes(sale: Item) -> Iterator[Note]:
    for name in _DATES:
        if name in sale and not FIRST_DAY <= (day := sale[name]["S"]) <= LAST_DAY:
            yield Note(name, "implausible-date", f"{name} is {day}")
    day = sale["saleDate"]["S"]
    if "year" in sale and int(year := sale["year"]["N"]) != int(day[:4]):
        yield Note("year", "sale-year", f"year is {year}, saleDate is {day}")


def _amount_notes(sale: Item, summed: Amounts, lines: int) -> Iterator[Note]:
    """The sale's amounts against each other and against the sums of its lines."""
    found = Amounts(*(Decimal(sale[name]["N"]) for name in _SUMS))
    # Each line was rounded for itself, so the sums may be off by a cent for each of them.
    is_odd = abs(found.net + found.tax - found.total) > _CENT * max(1, lines)
    if is_odd:
        text = (
            f"total {found.total} is not subtotal {found.net} and tax {found.tax}: revenue stamp?"
        )
        yield Note("total", "sale-total", text)
    if not lines:
        yield Note("linesCount", "no-lines", "the sale has no lines")
    elif sale["invoiceGenerated"]["BOOL"]:
        yield from _frozen_notes(found, summed, lines)
    elif sale["status"]["S"] == "draft":
        yield from _open_notes(found, summed, "draft-sums", "confirming the draft")
    else:
        for note in _open_notes(found, summed, "sale-sums", "any edit of a line"):
            if not (is_odd and note.field == "total"):  # that has been said
                yield note


def _frozen_notes(found: Amounts, summed: Amounts, lines: int) -> Iterator[Note]:
    """The amounts of an invoice, which nobody recomputes: its lines may have been rounded in
    another way. The total has been judged against the other two."""
    tolerance = max(_CENT, _HALF_A_CENT * lines)
    for name, has, makes in list(zip(_SUMS, found, summed, strict=True))[:2]:
        if abs(has - makes) > tolerance:
            yield Note(name, "sale-sums", f"{name} is {has}, the lines make {makes}")


def _open_notes(found: Amounts, summed: Amounts, rule: str, act: str) -> Iterator[Note]:
    """The amounts of a sale that is not frozen against what an act in the Sale Module would
    store."""
    for name, has, makes in zip(_SUMS, found, summed, strict=True):
        if abs(has - makes) > _HALF_A_CENT:
            yield Note(name, rule, f"{name} is {has}, {act} makes it {makes}")
