"""What the items of a sale are made of, and what takes the place of what S9 leaves open.

Sales are read in two ways: from rows (transform/transform_sales.py, transform/items/sale_lines.py)
and, where they look as nearly all do, from the bytes of extracted lines (transform/fast/sales.py).
Both hand what they have found to a SaleAssembly, as texts of their type (str or bytes), those that
S9 does not have empty or None. Whatever is decided here is decided once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import AnyStr, Generic, TypeVar

from transform.items.attribute_text import written
from transform.items.attributes import Attribute
from transform.items.audit import StampTexts
from transform.items.item_form import ItemForm
from transform.rules import TransformRules
from transform.values.amounts import rounded_sum
from transform.values.money import Number
from transform.values.statuses import PROFORMA, is_numbered, sale_status, sale_status_words

# A sale's own item. The names of the indexes do not say what is in them; the API asks like this.
_SALE = {
    "PK": '{"S":"SALE#<id>"}',
    "SK": '{"S":"METADATA"}',
    "GSI1PK": '{"S":"STATUS#<state>"}',
    "GSI1SK": '{"S":"<day>"}',
    "GSI2PK": '{"S":"BUYER#<buyer>"}',
    "GSI2SK": '{"S":"<day>"}',
    "GSI3PK": '{"S":"PRODUCER#<producer>"}',
    "GSI3SK": '{"S":"<day>"}',
    "saleId": '{"S":"<id>"}',
    "legacyId": '{"S":"<key>"}',
    "saleDate": '{"S":"<day>"}',
    "status": '{"S":"<state>"}',
    "buyerId": '{"S":"<buyer>"}',
    "producerId": '{"S":"<producer>"}',
    "subtotal": '{"N":"<net>"}',
    "taxAmount": '{"N":"<tax>"}',
    "total": '{"N":"<gross>"}',
    "ivaPercentage": '{"N":"<rate>"}',
    "linesCount": '{"N":"<lines>"}',
}
_SALE_VALUES = (
    *("id", "state", "day", "buyer", "producer", "key", "net", "tax", "gross", "rate", "lines"),
    # texts of attributes, the first of them named
    *("GSI4PK", "docType", "buyerAddress", "buyerName", "producerAddress", "producerName"),
    *("createdAt", "updatedAt"),
)
_NUMBERING_TEXT = ',"GSI4PK":{"S":"SALE"},"GSI4SK":{"S":"%s"}'
_YEAR_TEXT = ',"year":{"N":"%s"}'
# What it has of columns that are read in ways of their own; all others have an Attribute.
SALE_COLUMNS = {
    "first_id": "legacyId,saleId",
    "sale_date": "saleDate",
    "status": "status",
    "doc_type": "docType",
    "buyer_id": "buyerId",
    "buyer_name": "buyerName",
    "producer_id": "producerId",
    "producer_name": "producerName",
    "subtotal": "subtotal",
    "tax_amount": "taxAmount",
    "total": "total",
    "iva_percentage": "ivaPercentage",
}

# The item of a line.
_LINE = {
    "PK": '{"S":"SALE#<sale>"}',
    "SK": '{"S":"LINE#<id>"}',
    "saleId": '{"S":"<sale>"}',
    "lineId": '{"S":"<id>"}',
    "legacyId": '{"S":"<key>"}',
    "lineNumber": '{"N":"<number>"}',
    "quantity": '{"N":"<quantity>"}',
    "unitPrice": '{"N":"<price>"}',
    "discount": '{"N":"<percent>"}',
    "discountAmount": '{"N":"<off>"}',
    "netAmount": '{"N":"<net>"}',
    "taxRate": '{"N":"<rate>"}',
    "taxAmount": '{"N":"<tax>"}',
    "totalAmount": '{"N":"<gross>"}',
}
_LINE_VALUES = (
    *("sale", "id", "key", "number"),
    *("quantity", "price", "percent", "off", "net", "rate", "tax", "gross"),
    *("createdAt", "updatedAt"),
)
LINE_COLUMNS = {
    "id": "legacyId,lineId",
    "msg_id": "saleId",
    "line_number": "lineNumber",
    "quantity": "quantity",
    "unit_price": "unitPrice",
    "discount": "discount",
    "discount_amount": "discountAmount",
    "net_amount": "netAmount",
    "tax_rate": "taxRate",
    "tax_amount": "taxAmount",
    "total_amount": "totalAmount",
}

# Attributes of one column each for which others stand in.
_YEAR, _DESCRIPTION, _CODE = "year", "productDescription", "productCode"

Priced = tuple[AnyStr, AnyStr, AnyStr, AnyStr, AnyStr, AnyStr, AnyStr, AnyStr]
"""The numbers of a line in canonical form, in the order in which its item has them: quantity,
price, discount in percent and its amount, net, tax rate, tax and total."""

# The columns of a sale's amounts, and where in Priced that is which each is the sum of.
SUMS = (("subtotal", 4), ("tax_amount", 6), ("total", 7))

Kind = tuple[AnyStr, AnyStr, AnyStr]
"""A sale's status, the text of its document type, and that of its place in the numbering, which its
day goes into (empty, if it has no number)."""

PartyTexts = tuple[AnyStr, AnyStr, AnyStr]
"""A party of a sale: its id, and the texts of what the sale copies of it, those that stand before
the id and those that stand after it."""

Term = TypeVar("Term")


class Terms(Generic[Term]):
    """What stands in where S9 does not say what a line is priced by: one piece, no discount (in
    percent), and the VAT rate of a sale (in percent), which is that of its lines without one."""

    def __init__(self, term: Callable[[Number], Term]) -> None:
        """`term` makes a term of the reader's type from a number."""
        self.quantity = term(Number(1, 0, {"N": "1"}))
        self.discount = term(Number(0, 0, {"N": "0"}))
        self.rate = term(Number(22, 0, {"N": "22"}))


class SaleAssembly(Generic[AnyStr]):
    """Puts the items of sales together, by the rules of a migration."""

    def __init__(
        self,
        text: Callable[[str], AnyStr],
        rules: TransformRules,
        attributes: Sequence[Attribute],
        line_attributes: Sequence[Attribute],
    ) -> None:
        """`text` makes a text of the reader's type; the attributes are those of a sale and of a
        line that are each made of one column, in the order in which their texts are handed over.
        """
        self._text: Callable[[str], AnyStr] = text
        self._words = sale_status_words(rules.status_mapping)
        self._default_document = rules.default_document
        self._nothing: AnyStr = text("")
        own: list[str] = [each.name for each in attributes]
        of_line: list[str] = [each.name for each in line_attributes]
        self._sale: ItemForm[AnyStr] = ItemForm(text, _SALE, (*_SALE_VALUES, *own))
        self._line: ItemForm[AnyStr] = ItemForm(text, _LINE, (*_LINE_VALUES, *of_line))
        self._year: AnyStr = text(_YEAR_TEXT)
        self._zero: AnyStr = text("0")
        self._number: AnyStr = text("%d")
        self._year_at = own.index(_YEAR)
        self._description_at, self._code_at = of_line.index(_DESCRIPTION), of_line.index(_CODE)
        self._described: AnyStr = text(_DESCRIPTION)
        self._coded: AnyStr = text(_CODE)
        self._not_described: AnyStr = text(written(_DESCRIPTION, {"S": "-"}))

    def kind(self, word: object, document: str) -> Kind[AnyStr]:
        """The kind of a sale from S9's word for its status and its document type ("" without one);
        a status `proforma` names both. Raises Unconvertible for an unknown word."""
        status, is_proforma = sale_status(word, self._words)
        document = PROFORMA if is_proforma else document or self._default_document
        return (
            self._text(status),
            self._text(written("docType", {"S": document}) if document else ""),
            self._text(_NUMBERING_TEXT if is_numbered(status, document) else ""),
        )

    def total(self, given: AnyStr | None, which: int, lines: Sequence[Priced[AnyStr]]) -> AnyStr:
        """An amount of a sale: S9's own, else the rounded sum of what its lines hold at `which`
        (SUMS). Raises Unconvertible when that has too many digits."""
        if given:
            return given
        amounts = (line[which] for line in lines)
        return self._text(rounded_sum({"N": _plain(amount)} for amount in amounts)["N"])

    def sale(
        self,
        identifier: AnyStr,
        key: AnyStr,
        day: AnyStr,
        kind: Kind[AnyStr],
        buyer: PartyTexts[AnyStr],
        producer: PartyTexts[AnyStr],
        totals: Sequence[AnyStr],
        rate: AnyStr,
        lines: int,
        texts: list[AnyStr],
        stamps: StampTexts[AnyStr],
    ) -> AnyStr:
        """The METADATA item. `day` is its date, `texts` are those of its attributes. Without a year
        of its own a sale is numbered in that of its date; and only with that one it is in the index
        of numbers, which goes by dates."""
        status: AnyStr = kind[0]
        document: AnyStr = kind[1]
        numbering: AnyStr = kind[2]
        own_year: AnyStr = self._year % day[:4].lstrip(self._zero)
        year: AnyStr = texts[self._year_at] or own_year
        texts[self._year_at] = year
        number: AnyStr = self._number % lines
        return self._sale.filled(
            (
                *(identifier, status, day, buyer[0], producer[0], key, *totals, rate, number),
                numbering % day if numbering and year == own_year else self._nothing,
                document,
                *buyer[1:],
                *producer[1:],
                *stamps,
                *texts,
            )
        )

    def line(
        self,
        sale: AnyStr,
        identifier: AnyStr,
        key: AnyStr,
        number: AnyStr,
        priced: Priced[AnyStr],
        texts: list[AnyStr],
        stamps: StampTexts[AnyStr],
    ) -> AnyStr:
        """The item of a line of the sale with the id `sale`. A product is described by its code,
        if there is nothing else."""
        if not texts[self._description_at]:
            coded: AnyStr = texts[self._code_at].replace(self._coded, self._described, 1)
            texts[self._description_at] = coded or self._not_described
        return self._line.filled((sale, identifier, key, number, *priced, *stamps, *texts))


def _plain(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode()
