"""Lines of a sale: each row of `msg_line` becomes one item beside its sale."""

from __future__ import annotations

from collections.abc import Sequence

from transform.items.attribute_text import Texts
from transform.items.attributes import Attribute, Row
from transform.items.audit import Audit
from transform.items.columns import legacy_key, optional_number, remembered_number, required_number
from transform.items.sale_assembly import Priced, SaleAssembly, Terms
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.amounts import NO_FIGURES, Figures, line_amounts
from transform.values.ids import line_id
from transform.values.money import MAX_INTEGER, Number, five_decimals, integer, number
from transform.values.text import text

TERMS: Terms[Number] = Terms(lambda number: number)
_NO_FIGURES = [None] * len(NO_FIGURES)

FIGURES = ("discount_amount", "net_amount", "tax_amount", "total_amount")
_PRICES = ("unit_price", *FIGURES)
_NUMBERS = ("quantity", "discount", "tax_rate", *FIGURES)

LINE_ATTRIBUTES = (  # those that are each made of one column
    # Without a value, it is the product code.
    Attribute("productDescription", "product_description", text, repeats=True),
    Attribute("productCode", "product_code", text, repeats=True),
    Attribute("unitOfMeasure", "unit_of_measure", text, repeats=True),
    Attribute("notes", "notes", text),
)

_REFUSED: Priced[str] = ("", "", "", "", "", "", "", "")


class LineTransform:
    """Turns the lines of sales into items, by the rules of a migration."""

    def __init__(self, rules: TransformRules, assembly: SaleAssembly[str]) -> None:
        self._assembly = assembly
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        self._audit = Audit(rules)
        self._texts = Texts(LINE_ATTRIBUTES)

    def items(
        self, rows: Sequence[Row], sale_id: str, sale_rate: Number, rejections: Rejections
    ) -> tuple[list[str], list[Priced[str]]]:
        """Return a sale's lines in their order (line_number, then id): texts of items, numbers.

        `sale_rate` (percent) taxes the lines that have no rate of their own. What cannot be
        converted is noted under `lines[n].column`, n counting from 1.
        """
        numbers = line_numbers(rows, rejections)
        items, amounts = [], []
        for position, row in enumerate(rows, start=1):
            rejections.at_line(position, row.get("id"))
            key = legacy_key(row, "id", rejections) or 0
            priced = _priced(row, sale_rate, rejections)
            number = numbers[position - 1]
            items.append(self._item(row, sale_id, key, number, priced, rejections))
            amounts.append(priced)
        rejections.at_record()
        return items, amounts

    def _item(
        self,
        row: Row,
        sale_id: str,
        key: int,
        line_number: int,
        priced: Priced[str],
        rejections: Rejections,
    ) -> str:
        identifier = line_id(key, self._generate_ids, self._id_scope)
        stamps = self._audit.texts(row, rejections)
        texts = self._texts.of(row, rejections)
        return self._assembly.line(
            sale_id, identifier, str(key), str(line_number), priced, texts, stamps
        )


def line_numbers(rows: Sequence[Row], rejections: Rejections) -> list[int]:
    """Return the number of each line, counting from 1, all different.

    S9's own numbers where all of a sale's are at least 1 and different. Otherwise the numbers must
    not change the order of the lines, which the API derives from them: a number that is not above
    the one before it (or is NULL) becomes the one before it plus one: 0, 1, 1, 7 gives 1, 2, 3, 7.
    """
    found = [_line_number(row, position, rejections) for position, row in enumerate(rows, start=1)]
    if len(set(found)) == len(found) and min(found, default=1) >= 1:
        return found
    numbers = []
    last = 0
    for line_number in found:
        last = line_number if line_number > last else last + 1
        numbers.append(last)
    return numbers


def _line_number(row: Row, position: int, rejections: Rejections) -> int:
    value = row.get("line_number")
    if type(value) is int and 0 < value <= MAX_INTEGER:
        return value
    try:
        converted = integer(value)
    except Unconvertible as problem:
        rejections.at_line(position, row.get("id"))
        rejections.add_value("line_number", problem)
        rejections.at_record()
        return 0
    return int(converted["N"]) if converted else 0


def _priced(row: Row, sale_rate: Number, rejections: Rejections) -> Priced[str]:
    """Return the numbers of a line.

    The price has no default.
    """
    get = row.get
    try:
        quantity = remembered_number(get("quantity")) or TERMS.quantity
        discount = remembered_number(get("discount")) or TERMS.discount
        rate = remembered_number(get("tax_rate")) or sale_rate
        given = five_decimals([*map(get, _PRICES)]) if get("total_amount") is not None else None
        if not given:
            given = _computed(row, quantity, discount, rate)
        if not given:
            return _unpriced(row, None, rejections)
    except (Unconvertible, TypeError) as problem:
        return _unpriced(row, problem, rejections)
    price, off, net, tax, total = given
    return (
        quantity.stored["N"],
        price,
        discount.stored["N"],
        off,
        net,
        rate.stored["N"],
        tax,
        total,
    )


def _computed(row: Row, quantity: Number, discount: Number, rate: Number) -> Sequence[str] | None:
    """Return price, discount amount, net, tax and total of a line; None without a price."""
    price = number(row.get("unit_price"))
    if price is None:
        return None
    amounts = line_amounts(quantity, price, discount, rate, _figures(row))
    return [price.stored["N"], *[amount["N"] for amount in amounts]]


def _unpriced(
    row: Row, problem: Unconvertible | TypeError | None, rejections: Rejections
) -> Priced[str]:
    """Note each column that keeps a line from being priced; return eight empty values."""
    before = len(rejections)
    for column in _NUMBERS:
        optional_number(row, column, rejections)
    required_number(row, "unit_price", rejections)
    if len(rejections) == before and problem:
        # Each number is fine, but what follows from them is not.
        if not isinstance(problem, Unconvertible):
            raise problem
        rejections.add_value("total_amount", problem)
    return _REFUSED


def _figures(row: Row) -> Figures:
    get = row.get
    given = [get(column) for column in FIGURES]
    if given == _NO_FIGURES:
        return NO_FIGURES
    return Figures(*map(number, given))
