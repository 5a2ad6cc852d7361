"""Sales that are beyond doubt, told from the others at a fraction of the cost of judging them.

`facts_if_clean` gives the facts of a sale about which none of the rules that are ruled out here
(`RULED_OUT`) would have anything to note, whatever the policy; None means that they have to look.
What decides is asked of the rules themselves (validate/rules), or is in the patterns, which are
made from their tables. Products of quantities and prices are compared in binary doubles, and only
where those are far from deciding otherwise than decimals would; sums are compared in whole cents.

A rule that is not ruled out here is asked of every sale (validate/gate/record_checks.py): so a new
one counts from the beginning, and may be ruled out here when it is worth it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import orjson

from validate.fast.forms import PRICED, line_cells, sale_form
from validate.fast.sound_text import is_sound_text
from validate.rules.catalogue import RULES
from validate.rules.consistency import differ, has_number, rise
from validate.rules.record_facts import Facts, NumberedSale
from validate.rules.record_items import HUGE
from validate.rules.sale_rules import (
    CODES,
    NOT_DESCRIBED,
    describes_nothing,
    line_amounts,
    rounding_of,
    sums_off,
    total_is_odd,
    wrong_amount,
)

RULED_OUT = frozenset(
    {
        # by the forms, which are the schema's or narrower, and by the length of the lines
        *("not-an-item", "attribute-missing", "attribute-unknown", "attribute-type"),
        *("attribute-length", "attribute-value", "dynamodb-item-size", "dynamodb-key"),
        *("dynamodb-number", "dynamodb-nesting", "dynamodb-set", "implausible-date"),
        # by the forms, in which what repeats something must repeat it
        *("identity", "index-key"),
        # by the forms, which have no place for `legacy`, where all doubts are noted
        *(name for name, rule in RULES.items() if rule.group == "layout"),
        # by asking
        *("numbering-index", "lines-count", "line-order", "duplicate-key", "no-lines"),
        *("country", "currency", "iban", "sale-year", "no-description", "garbled-text"),
        *("control-characters", "line-amounts", "sale-sums", "draft-sums", "sale-total"),
    }
)

# A line's amounts may be off by a cent. Of amounts below 10^8 a few steps in doubles err by less
# than a millionth, and what is a millionth within the cent in doubles is within it in decimals.
_MOST = 1e8
_SURELY_A_CENT = 0.01 - 1e-6

_DASH = NOT_DESCRIBED.encode()


class _Amounts(NamedTuple):
    """Net, tax and total in cents: of a line, of a sale, or summed over its lines."""

    net: int
    tax: int
    total: int


def facts_if_clean(record: Sequence[bytes], *, is_sound: bool = False) -> Facts | None:
    """The facts of a sale (its METADATA line, then its LINE lines) if nothing is to be noted.
    `is_sound`: its text is known to be (validate/fast/sound_text.py)."""
    pattern, places = sale_form()
    match = pattern.fullmatch(record[0])
    if match is None or not (is_sound or is_sound_text(record)):
        return None
    # fmt: off
    (
        identifier, legacy_id, day, year, status, document, buyer, producer,
        frozen, count, number, numbering, net, tax, total, *codes,
    ) = match.group(*places)
    # fmt: on
    lines = len(record) - 1
    is_numbered = _has_number(status, document)
    if (
        int(count) != lines
        # Whether a sale that may be in the index is there is a question of all (numbering.py).
        or (numbering is not None and not is_numbered)
        or (year is not None and year != day[:4])
    ):
        return None
    summed = _summed(record, identifier) if _are_known(*codes) else None
    found = _Amounts(_cents(net), _cents(tax), _cents(total))
    if (
        summed is None
        or total_is_odd(*found, rounding_of(lines))
        or (found != summed and sums_off(found, summed, lines, is_frozen=frozen == b"true"))
    ):
        return None
    date = day.decode()
    shared: tuple[tuple[str, str], ...] = ()
    if is_numbered:
        shared = (("duplicate-sale-number", f"{date[:4]}/{number.decode()}"),)
    references = (("buyerId", buyer.decode()), ("producerId", producer.decode()))
    key = f"SALE#{identifier.decode()}"
    in_index = numbering is not None
    numbered = NumberedSale(int(number), date, int(date[:4]), is_numbered, in_index)
    return Facts(legacy_id.decode(), 1 + lines, key, references, shared, numbering=numbered)


def _summed(record: Sequence[bytes], sale_id: bytes) -> _Amounts | None:
    """The sums of a sale's lines; None when there is no line, or one that is not beyond doubt."""
    nets = taxes = totals = 0
    identifiers, numbers = [], []
    for sale, identifier, number, description, code, *priced in _cells_of_lines(record):
        amounts = _line_cents(*orjson.loads(b"[%b]" % b",".join(priced)))
        if amounts is None and _is_priced_right(priced):
            amounts = _cents(priced[4]), _cents(priced[6]), _cents(priced[7])
        if amounts is None or sale != sale_id or describes_nothing(description, code, _DASH):
            return None
        identifiers.append(identifier)
        numbers.append(int(number))
        net, tax, total = amounts
        nets, taxes, totals = nets + net, taxes + tax, totals + total
    if len(numbers) != len(record) - 1:  # one is in another form
        return None
    if not (numbers and rise(numbers) and differ(identifiers)):
        return None
    return _Amounts(nets, taxes, totals)


def _cells_of_lines(record: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    """LINE_CELLS of each of a sale's lines that has their form. Of all at once they are found
    quicker, unless that is a large text."""
    for start in range(1, len(record), HUGE):
        yield from line_cells(b"".join(record[start : start + HUGE]))


def _line_cents(
    quantity: float,
    price: float,
    discount: float,
    off: float,
    net: float,
    rate: float,
    tax: float,
    total: float,
) -> tuple[int, int, int] | None:
    """Net, tax and total of a line in cents; None unless they surely follow from the rest."""
    gross = quantity * price
    if not -_MOST < gross < _MOST or wrong_amount(
        gross, discount / 100, off, net, rate / 100, tax, _SURELY_A_CENT
    ):
        return None
    net_cents, tax_cents, total_cents = round(net * 100), round(tax * 100), round(total * 100)
    if total_is_odd(net_cents, tax_cents, total_cents, 1):
        return None
    return net_cents, tax_cents, total_cents


def _is_priced_right(priced: Sequence[bytes]) -> bool:
    """Whether the numbers of a line follow from each other, by decimals: for those on the edge."""
    line = {name: {"N": text.decode()} for name, text in zip(PRICED, priced, strict=True)}
    return not line_amounts(line)[3]


def _cents(amount: bytes) -> int:
    """An amount of at most nine digits before the point and two after it, in cents: exact."""
    return round(float(amount) * 100)


@cache
def _has_number(status: bytes, document: bytes | None) -> bool:
    return has_number(status.decode(), (document or b"").decode())


@lru_cache(maxsize=4096)
def _are_known(*codes: bytes | None) -> bool:
    """Whether all CODES of a sale, as far as it has them, are known."""
    return all(
        code is None or kind.is_known(code.decode())
        for kind, code in zip(CODES.values(), codes, strict=True)
    )
