"""Sales that are beyond doubt, told from the others at a fraction of the cost of judging them.

`facts_if_clean` gives the facts of a sale about which validate/gate/record_checks.py would find
nothing to note, whatever the policy; None means that it has to look. Products of quantities and
prices are compared in binary doubles, and only where those are far from deciding otherwise than
decimals would; sums are compared in whole cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import orjson

from validate.gate.fast_items import line_pattern, sale_pattern
from validate.gate.record_facts import Facts
from validate.rules.dynamodb_limits import MAX_ITEM_BYTES
from validate.rules.iso_codes import countries, currencies
from validate.rules.record_items import HUGE
from validate.rules.sale_rules import line_amounts
from validate.rules.tax_codes import is_iban
from validate.rules.text_rules import may_be_damaged

# A line's amounts may be off by a cent. Of amounts below 10^8 a few steps in doubles err by less
# than a millionth, and what is a millionth within the cent in doubles is within it in decimals.
_MOST = 1e8
_SURELY_A_CENT = 0.01 - 1e-6

_FROZEN = b'"invoiceGenerated":{"BOOL":true}'

_PRICED = (
    *("quantity", "unitPrice", "discount", "discountAmount", "netAmount", "taxRate", "taxAmount"),
    "totalAmount",
)


class _Amounts(NamedTuple):
    """Net, tax and total in cents: of a line, of a sale, or summed over its lines."""

    net: int
    tax: int
    total: int


def facts_if_clean(record: Sequence[bytes]) -> Facts | None:
    """The facts of a sale (its METADATA line, then its LINE lines) if nothing is to be noted."""
    match = sale_pattern().fullmatch(record[0])
    if match is None or not _is_sound_text(record):
        return None
    # The groups in the order of the pattern, because asking for them by name takes longer.
    identifier, status, day, buyer, producer, numbering, legacy_id, year, document, *others = (
        match.groups()
    )
    buyer_country, producer_country, *amounts, count, number, currency, account = others
    known_countries, known_currencies = _codes()
    lines = len(record) - 1
    is_numbered = status != b"cancelled" and document != b"proforma"
    if (
        int(count) != lines
        # Whether a sale that may be in the index is there is a question of all (numbering.py).
        or (numbering is not None and not is_numbered)
        or (year is not None and year != day[:4])
        or buyer_country not in known_countries
        or producer_country not in known_countries
        or currency not in known_currencies
        or (account is not None and not is_iban(account.decode()))
    ):
        return None
    found, summed = _Amounts(*map(_cents, amounts)), _summed(record, identifier)
    is_frozen = _FROZEN in record[0]
    if summed is None or not _adds_up(found, summed, lines, is_frozen=is_frozen):
        return None
    shared: tuple[tuple[str, str], ...] = ()
    if is_numbered:
        shared = (("duplicate-sale-number", f"{day[:4].decode()}/{number.decode()}"),)
    references = (("buyerId", buyer.decode()), ("producerId", producer.decode()))
    key = f"SALE#{identifier.decode()}"
    return Facts(legacy_id.decode(), 1 + lines, key, references, shared)


def _is_sound_text(record: Sequence[bytes]) -> bool:
    """Whether the lines are UTF-8, not too long, and without a trace of damage."""
    # In one piece it is quicker, unless that is a large one.
    texts = [b"".join(record)] if len(record) < HUGE else record
    if max(map(len, record)) > MAX_ITEM_BYTES or any(map(may_be_damaged, texts)):
        return False
    try:
        for text in texts:
            if not text.isascii():
                text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _summed(record: Sequence[bytes], sale_id: bytes) -> _Amounts | None:
    """The sums of a sale's lines; None when there is no line, or one that is not beyond doubt."""
    fullmatch = line_pattern().fullmatch
    nets = taxes = totals = last = 0
    identifiers = set()
    for line in record[1:]:
        match = fullmatch(line)
        if match is None:
            return None
        sale, identifier, line_number, description, *priced, code = match.groups()
        number = int(line_number)
        amounts = _line_cents(*orjson.loads(b"[%b]" % b",".join(priced)))
        if amounts is None and _is_priced_right(priced):
            amounts = _cents(priced[4]), _cents(priced[6]), _cents(priced[7])
        if sale != sale_id or number <= last or description in (b"-", code) or amounts is None:
            return None
        last = number
        identifiers.add(identifier)
        net, tax, total = amounts
        nets, taxes, totals = nets + net, taxes + tax, totals + total
    if not identifiers or len(identifiers) != len(record) - 1:
        return None
    return _Amounts(nets, taxes, totals)


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
    if not (
        -_MOST < gross < _MOST
        and -_SURELY_A_CENT < gross * discount / 100 - off < _SURELY_A_CENT
        and -_SURELY_A_CENT < gross - off - net < _SURELY_A_CENT
        and -_SURELY_A_CENT < net * rate / 100 - tax < _SURELY_A_CENT
    ):
        return None
    net_cents, tax_cents, total_cents = round(net * 100), round(tax * 100), round(total * 100)
    if not -1 <= net_cents + tax_cents - total_cents <= 1:
        return None
    return net_cents, tax_cents, total_cents


def _is_priced_right(priced: Sequence[bytes]) -> bool:
    """Whether the numbers of a line follow from each other, by decimals: for those on the edge."""
    line = {name: {"N": text.decode()} for name, text in zip(_PRICED, priced, strict=True)}
    return not line_amounts(line)[3]


def _adds_up(found: _Amounts, summed: _Amounts, lines: int, *, is_frozen: bool) -> bool:
    """Whether a sale's amounts are those of its lines, give or take what rounding makes (see
    validate/rules/sale_rules.py)."""
    if abs(found.net + found.tax - found.total) > lines:
        return False
    if not is_frozen:
        return found == summed
    tolerance = max(2, lines)  # in half cents
    return (
        2 * abs(found.net - summed.net) <= tolerance
        and 2 * abs(found.tax - summed.tax) <= tolerance
    )


def _cents(amount: bytes) -> int:
    """An amount of at most nine digits before the point and two after it, in cents: exact."""
    return round(float(amount) * 100)


@cache
def _codes() -> tuple[frozenset[bytes], frozenset[bytes]]:
    """The codes of countries and of currencies, as they stand in a line."""
    return (
        frozenset(code.encode() for code in countries()),
        frozenset(code.encode() for code in currencies()),
    )
