"""Lines of a sale: each row of `msg_line` becomes one item beside its sale."""

from __future__ import annotations

from collections.abc import Sequence

from transform.amounts import NO_FIGURES, Figures, line_amounts
from transform.attributes import EMPTY, Attribute, AttributeValue, Item, Row, fill
from transform.audit import Audit
from transform.columns import legacy_key, optional_number, remembered_number, required_number
from transform.ids import line_id
from transform.memo import remembered
from transform.money import MAX_INTEGER, Number, integer
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.text import text

_ONE = Number(1, 0, {"N": "1"})
_NONE = Number(0, 0, {"N": "0"})
_NOT_DESCRIBED: AttributeValue = {"S": "-"}

_NUMBERS = (
    "quantity",
    "discount",
    "tax_rate",
    "discount_amount",
    "net_amount",
    "tax_amount",
    "total_amount",
)

_phrase = remembered(text)
_TEXTS = (
    Attribute("productDescription", "product_description", _phrase),
    Attribute("productCode", "product_code", _phrase),
    Attribute("unitOfMeasure", "unit_of_measure", _phrase),
    Attribute("notes", "notes", text),
)


class LineTransform:
    """Turns the lines of sales into items, by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        self._audit = Audit(rules)

    def items(
        self, rows: Sequence[Row], sale_id: str, sale_rate: Number, rejections: Rejections
    ) -> list[Item]:
        """Return the items of a sale's lines, in their order (line_number, then id).

        `sale_rate` (percent) taxes the lines that have no rate of their own. What cannot be
        converted is noted under `lines[n].column`, n counting from 1.
        """
        numbers = line_numbers(rows, rejections)
        partition: AttributeValue = {"S": f"SALE#{sale_id}"}
        sale: AttributeValue = {"S": sale_id}
        items = []
        for position, row in enumerate(rows, start=1):
            rejections.at_line(position, row.get("id"))
            line_number: AttributeValue = {"N": str(numbers[position - 1])}
            items.append(self._item(row, partition, sale, line_number, sale_rate, rejections))
        rejections.at_record()
        return items

    def _item(
        self,
        row: Row,
        partition: AttributeValue,
        sale: AttributeValue,
        line_number: AttributeValue,
        sale_rate: Number,
        rejections: Rejections,
    ) -> Item:
        key = legacy_key(row, "id", rejections) or 0
        identifier = line_id(key, self._generate_ids, self._id_scope)
        quantity, price, discount, off, net, rate, tax, total = _priced(row, sale_rate, rejections)
        created_at, updated_at, created_by, updated_by = self._audit.of(row, rejections)
        # One literal, since a dictionary that grows attribute by attribute is moved several times.
        item: Item = {
            "PK": partition,
            "SK": {"S": f"LINE#{identifier}"},
            "saleId": sale,
            "lineId": {"S": identifier},
            "legacyId": {"S": str(key)},
            "lineNumber": line_number,
            "productDescription": _NOT_DESCRIBED,
            "quantity": quantity,
            "unitPrice": price,
            "discount": discount,
            "discountAmount": off,
            "netAmount": net,
            "taxRate": rate,
            "taxAmount": tax,
            "totalAmount": total,
            "createdAt": created_at,
            "updatedAt": updated_at,
            "createdBy": created_by,
            "updatedBy": updated_by,
        }
        fill(item, row, _TEXTS, rejections)
        if item["productDescription"] is _NOT_DESCRIBED and "productCode" in item:
            item["productDescription"] = item["productCode"]
        return item


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


def _priced(row: Row, sale_rate: Number, rejections: Rejections) -> Sequence[AttributeValue]:
    """Return quantity, price, discount and its amount, net, tax rate, tax and total of a line.

    A NULL quantity is 1, a NULL discount is none. The price has no default.
    """
    get = row.get
    try:
        quantity = remembered_number(get("quantity")) or _ONE
        price = remembered_number(get("unit_price"))
        discount = remembered_number(get("discount")) or _NONE
        rate = remembered_number(get("tax_rate")) or sale_rate
        if price is None:
            return _unpriced(row, None, rejections)
        off, net, tax, total = line_amounts(quantity, price, discount, rate, _figures(row))
    except (Unconvertible, TypeError) as problem:
        return _unpriced(row, problem, rejections)
    return (
        quantity.stored,
        price.stored,
        discount.stored,
        off,
        net,
        rate.stored,
        tax,
        total,
    )


def _unpriced(
    row: Row, problem: Unconvertible | TypeError | None, rejections: Rejections
) -> Sequence[AttributeValue]:
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
    return (EMPTY,) * 8


def _figures(row: Row) -> Figures:
    get = row.get
    discount, net = get("discount_amount"), get("net_amount")
    tax, total = get("tax_amount"), get("total_amount")
    if discount is None and net is None and tax is None and total is None:
        return NO_FIGURES
    return Figures(
        remembered_number(discount),
        remembered_number(net),
        remembered_number(tax),
        remembered_number(total),
    )
