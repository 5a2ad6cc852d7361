"""What is doubtful about a sale: its date, its codes, and amounts that do not add up.

The amounts are S9's legal figures: what differs is reported and never changed. All of it is
counted in exact decimals; `EXACT` has to be the thread's decimal context. What decides is written
for any numbers, so that the way of sales beyond doubt (validate/fast/sales.py), which counts
in cents and doubles, asks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, AnyStr, NamedTuple, TypeVar

from utils.item_schemas import declared
from utils.wording.masking import mask
from validate.rules.catalogue import Note
from validate.rules.checks import Check
from validate.rules.iso_codes import countries, currencies
from validate.rules.tax_codes import is_iban

Item = dict[str, Any]

EXACT = Context(prec=160)
"""Wide enough for the product of four numbers of DynamoDB's 38 digits."""

FIRST_DAY, LAST_DAY = "1990-01-01", "2100-12-31"
_DATES = tuple(  # index keys repeat one of them
    name
    for name, date in declared("sale").items()
    if date.value == "date" and not name.startswith("GSI")
)
SUMS = ("subtotal", "taxAmount", "total")
NOT_DESCRIBED = "-"
_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_PER_CENT = Decimal("0.01")

Figure = TypeVar("Figure", int, float, Decimal)
Cents = TypeVar("Cents", int, Decimal)


# Quantities and percentages come back line after line.
_number = lru_cache(maxsize=4096)(Decimal)


@lru_cache(maxsize=4096)
def _share(percent: str) -> Decimal:
    return Decimal(percent) * _PER_CENT


class Code(NamedTuple):
    """A code in an attribute: the rule that asks for one that is known, and what is said of
    another, given the attribute and the code."""

    rule: str
    is_known: Callable[[str], bool]
    problem: Callable[[str, str], str]


_COUNTRY = Code(
    "country",
    lambda code: code in countries(),
    lambda name, code: f'{name} holds "{code}", which is not in ISO 3166',
)
CODES = {
    "buyerCountry": _COUNTRY,
    "producerCountry": _COUNTRY,
    "currency": Code(
        "currency",
        lambda code: code in currencies(),
        lambda name, code: f'{name} holds "{code}", not one of ISO 4217',
    ),
    "coBankIban": Code(
        "iban",
        is_iban,
        lambda name, number: f"{name} holds {mask(number)}, which is not a valid IBAN",
    ),
}


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
    notes += _code_notes(sale)
    notes += _date_notes(sale)
    notes += _amount_notes(sale, [sum(each, _ZERO) for each in (nets, taxes, totals)], len(lines))
    return notes


def wrong_amount(
    gross: Figure,
    discount: Figure,
    off: Figure,
    net: Figure,
    rate: Figure,
    tax: Figure,
    cent: Figure,
) -> str:
    """The first amount of a line that is not within a cent of what it follows from; "" if all are.

    `discount` and `rate` are fractions. A cent is what two roundings make.
    """
    if not -cent <= gross * discount - off <= cent:
        return "discountAmount"
    if not -cent <= gross - off - net <= cent:
        return "netAmount"
    if not -cent <= net * rate - tax <= cent:
        return "taxAmount"
    return ""


def total_is_odd(net: Figure, tax: Figure, total: Figure, tolerance: Figure) -> bool:
    """Whether a total, of a line or of a sale, is not net and tax."""
    return not -tolerance <= net + tax - total <= tolerance


def sums_off(
    found: Sequence[Cents], summed: Sequence[Cents], lines: int, *, is_frozen: bool
) -> list[int]:
    """Which amounts of a sale (net, tax, total, in cents) are not the sums of its lines.

    Of an invoice, which nobody recomputes, the lines may have been rounded in another way, and the
    total is judged against the other two. All else the Sale Module would change with the next
    edit of a line.
    """
    judged, tolerance = (2, max(2, lines)) if is_frozen else (3, 1)  # in halves of a cent
    return [n for n in range(judged) if 2 * abs(found[n] - summed[n]) > tolerance]


def rounding_of(lines: int) -> int:
    """By how many cents the total of a sale may differ from its net and tax: each line was rounded
    for itself."""
    return max(1, lines)


def describes_nothing(description: AnyStr, code: AnyStr | None, dash: AnyStr) -> bool:
    """Whether a line is described by a dash or by its own product code only."""
    return description in (dash, code)


def line_amounts(line: Item) -> tuple[Decimal, Decimal, Decimal, str]:
    """Net, tax and total of a line, and what does not follow from the rest of it ("" if all does).

    Each amount must be within a cent of what the Sale Module computes: discount = q·p·d/100,
    net = q·p − discount, tax = net·rate/100, total = net + tax. A cent is what two roundings make.
    """
    net, tax = Decimal(line["netAmount"]["N"]), Decimal(line["taxAmount"]["N"])
    total, off = Decimal(line["totalAmount"]["N"]), Decimal(line["discountAmount"]["N"])
    gross = _number(line["quantity"]["N"]) * Decimal(line["unitPrice"]["N"])
    discount, rate = line["discount"]["N"], line["taxRate"]["N"]
    wrong = wrong_amount(gross, _share(discount), off, net, _share(rate), tax, _CENT)
    problem = ""
    if wrong == "discountAmount":
        problem = f"discountAmount {off} is not {discount} % of {gross:f}"
    elif wrong == "netAmount":
        problem = f"netAmount {net} is not {gross:f} less {off}"
    elif wrong == "taxAmount":
        problem = f"taxAmount {tax} is not {rate} % of {net}"
    elif total_is_odd(net, tax, total, _CENT):
        problem = f"totalAmount {total} is not {net} and {tax}"
    return net, tax, total, problem


def has_no_description(line: Item) -> bool:
    """Whether a line is described by a dash or by its own product code only."""
    code = line["productCode"]["S"] if "productCode" in line else None
    return describes_nothing(line["productDescription"]["S"], code, NOT_DESCRIBED)


def _code_notes(item: Item) -> Iterator[Note]:
    for name, code in CODES.items():
        if name in item and not code.is_known(found := item[name]["S"]):
            yield Note(name, code.rule, code.problem(name, found))


def _date_notes(sale: Item) -> Iterator[Note]:
    for name in _DATES:
        if name in sale and not FIRST_DAY <= (day := sale[name]["S"]) <= LAST_DAY:
            yield Note(name, "implausible-date", f"{name} is {day}")
    day = sale["saleDate"]["S"]
    if "year" in sale and int(year := sale["year"]["N"]) != int(day[:4]):
        yield Note("year", "sale-year", f"year is {year}, saleDate is {day}")


def _amount_notes(sale: Item, summed: Sequence[Decimal], lines: int) -> Iterator[Note]:
    """The sale's amounts against each other and against the sums of its lines."""
    net, tax, total = found = [Decimal(sale[name]["N"]) for name in SUMS]
    is_odd = total_is_odd(net, tax, total, _CENT * rounding_of(lines))
    if is_odd:
        text = f"total {total} is not subtotal {net} and tax {tax}: revenue stamp?"
        yield Note("total", "sale-total", text)
    if not lines:
        yield Note("linesCount", "no-lines", "the sale has no lines")
        return
    is_frozen = sale["invoiceGenerated"]["BOOL"]
    rule, act = "sale-sums", "any edit of a line makes it"
    if is_frozen:
        act = "the lines make"
    elif sale["status"]["S"] == "draft":
        rule, act = "draft-sums", "confirming the draft makes it"
    cents = [100 * each for each in found], [100 * each for each in summed]
    for n in sums_off(*cents, lines, is_frozen=is_frozen):
        if rule == "draft-sums" or not (is_odd and SUMS[n] == "total"):  # that has been said
            yield Note(SUMS[n], rule, f"{SUMS[n]} is {found[n]}, {act} {summed[n]}")


# What is asked about a sale. The first is one check because the lines are gone through once.
CHECKS = (
    Check(
        frozenset(
            {
                *("line-amounts", "no-description", "no-lines", "sale-sums", "draft-sums"),
                *("sale-total", "implausible-date", "sale-year"),
                *(code.rule for code in CODES.values()),
            }
        ),
        lambda record: sale_notes(record.items[0], record.items[1:]),
        business=True,
    ),
)
