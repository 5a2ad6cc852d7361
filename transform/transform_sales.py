"""Sales: a row of `msg` becomes the METADATA item of a sale, its lines the items after it."""

from __future__ import annotations

from functools import lru_cache

from transform.amounts import rounded_sum
from transform.attributes import (
    EMPTY,
    METADATA,
    Attribute,
    AttributeValue,
    Item,
    Row,
    fill,
    single,
)
from transform.audit import Audit
from transform.choices import currency, document_type
from transform.columns import legacy_key, optional_number
from transform.flags import flag
from transform.ids import sale_id
from transform.memo import remembered
from transform.money import Number, decimal, integer
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.sale_lines import LineTransform
from transform.sale_parties import SaleParty
from transform.statuses import CANCELLED, PROFORMA, sale_status, sale_status_words
from transform.text import text
from transform.timestamps import date

_STANDARD_RATE = Number(22, 0, {"N": "22"})
_NUMBERED: AttributeValue = {"S": "SALE"}

# Columns whose values come back from sale to sale.
_day = remembered(date)
_phrase = remembered(text)
_currency = remembered(currency)

_SALE_DATE = (Attribute("saleDate", "sale_date", _day, required=True),)
_DOCUMENT_TYPE = (Attribute("docType", "doc_type", remembered(document_type)),)

_AMOUNTS = (
    # attribute, column, what it is the sum of where S9 has none
    ("subtotal", "subtotal", "netAmount"),
    ("taxAmount", "tax_amount", "taxAmount"),
    ("total", "total", "totalAmount"),
)


def sale_to_items(row: Row, rules: TransformRules) -> list[Item]:
    """Return the items of a sale: METADATA, then its lines in their order.

    `row` is a row of `msg` under its canonical column names, with `lines` (rows of `msg_line`) and
    the joined parties `buyer` and `producer`. Raises RejectedRecord with every column that cannot
    be converted, those of lines as `lines[n].column`.
    """
    return _transform(rules).items(row)


class SaleTransform:
    """Turns sales into items, by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        self._status_words = sale_status_words(rules.status_mapping)
        self._buyer = SaleParty("buyer", rules.generate_ids, rules.id_scope)
        self._producer = SaleParty("producer", rules.generate_ids, rules.id_scope)
        self._lines = LineTransform(rules)
        self._attributes = _attributes(rules)
        self._audit = Audit(rules)

    def items(self, row: Row) -> list[Item]:
        """Return a sale's items. Raises RejectedRecord."""
        rejections = Rejections()
        first_id = legacy_key(row, "first_id", rejections) or 0
        identifier = sale_id(first_id, self._generate_ids, self._id_scope)
        rate = optional_number(row, "iva_percentage", rejections) or _STANDARD_RATE
        header = self._head(row, identifier, first_id, rejections)
        lines = self._lines.items(_line_rows(row, rejections), identifier, rate, rejections)
        self._buyer.copy(header, row, rejections)
        self._producer.copy(header, row, rejections)
        _total(header, row, lines, rejections)
        header["ivaPercentage"] = rate.stored
        header["linesCount"] = {"N": str(len(lines))}
        fill(header, row, self._attributes, rejections)
        header.update(self._audit.attributes(row, rejections))
        rejections.raise_if_any()
        return [header, *lines]

    def _head(self, row: Row, identifier: str, first_id: int, rejections: Rejections) -> Item:
        """Return the item up to its parties: keys, index keys, ids and what they are made of."""
        status, document = self._status(row, rejections)
        day = single(row, _SALE_DATE, rejections)
        buyer = self._buyer.reference(row, rejections)
        producer = self._producer.reference(row, rejections)
        item: Item = {
            "PK": {"S": f"SALE#{identifier}"},
            "SK": METADATA,
            # The names of the indexes do not say what is in them; the API asks for it like this.
            "GSI1PK": {"S": f"STATUS#{status}"},
            "GSI1SK": day,
            "GSI2PK": {"S": f"BUYER#{buyer}"},
            "GSI2SK": day,
            "GSI3PK": {"S": f"PRODUCER#{producer}"},
            "GSI3SK": day,
        }
        # The API takes the next sale number from the latest sale of this index.
        if status != CANCELLED and document != PROFORMA:
            item["GSI4PK"] = _NUMBERED
            item["GSI4SK"] = day
        item["saleId"] = {"S": identifier}
        item["legacyId"] = {"S": str(first_id)}
        item["saleDate"] = day
        item["year"] = _year_of(day)
        item["status"] = {"S": status}
        if document:
            item["docType"] = {"S": document}
        item["buyerId"] = {"S": buyer}
        item["producerId"] = {"S": producer}
        return item

    def _status(self, row: Row, rejections: Rejections) -> tuple[str, str]:
        """Return status and document type ("" without one); a status `proforma` names both."""
        document = single(row, _DOCUMENT_TYPE, rejections)["S"]
        try:
            status, is_proforma = sale_status(row.get("status"), self._status_words)
        except Unconvertible as problem:
            rejections.add_value("status", problem)
            return "", document
        return status, PROFORMA if is_proforma else document


def _attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    return (
        Attribute("saleNumber", "sale_number", integer, required=True),
        Attribute("regNumber", "reg_number", text),
        Attribute("numberT", "number_t", integer),
        # Without a value, the year of the sale's date stays.
        Attribute("year", "year", integer),
        Attribute("currency", "currency", _currency, default={"S": rules.default_currency}),
        Attribute("invoiceGenerated", "invoice_generated", flag, default={"BOOL": False}),
        Attribute("invoiceNumber", "invoice_number", text),
        Attribute("registrationDate", "registration_date", _day),
        Attribute("vatOff", "vat_off", _phrase),
        Attribute("paymentMethod", "payment_method", _phrase),
        Attribute("paymentTerms", "payment_terms", _phrase),
        Attribute("paymentDate", "payment_date", _day),
        Attribute("paymentNote", "payment_note", text),
        Attribute("bank", "bank", _phrase),
        Attribute("coBankDescription", "co_bank_description", _phrase),
        Attribute("coBankIban", "co_bank_iban", _phrase),
        Attribute("deliveryMethod", "delivery_method", _phrase),
        Attribute("deliveryDate", "delivery_date", _day),
        Attribute("deliveryNote", "delivery_note", text),
        Attribute("package", "package", _phrase),
        Attribute("referenceNumber", "reference_number", text),
        Attribute("poNumber", "po_number", text),
        Attribute("poDate", "po_date", _day),
        Attribute("dnNumber", "dn_number", text),
        Attribute("dnDate", "dn_date", _day),
        Attribute("dnNumber2", "dn_number2", text),
        Attribute("dnDate2", "dn_date2", _day),
        Attribute("dnNumber3", "dn_number3", text),
        Attribute("dnDate3", "dn_date3", _day),
        Attribute("paCupNumber", "pa_cup_number", text),
        Attribute("paCigNumber", "pa_cig_number", text),
        Attribute("notes", "notes", text),
        Attribute("internalNotes", "internal_notes", text),
        Attribute("printedNote", "printed_note", text),
    )


def _year_of(day: AttributeValue) -> AttributeValue:
    return {"N": day["S"][:4].lstrip("0")}


def _line_rows(row: Row, rejections: Rejections) -> list[Row]:
    lines = row.get("lines")
    if isinstance(lines, list) and all(isinstance(line, dict) for line in lines):
        return lines
    # Not the same as a sale without lines, which holds an empty list.
    rejections.add("lines", "required", "the record does not carry the lines of its sale")
    return []


def _total(item: Item, row: Row, lines: list[Item], rejections: Rejections) -> None:
    """Put in subtotal, taxAmount and total: S9's own, else the rounded sums of the lines."""
    for name, column, summand in _AMOUNTS:
        value = row.get(column)
        try:
            given = decimal(value)
            if given is None and not rejections:
                given = rounded_sum(line[summand] for line in lines)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            continue
        item[name] = given or EMPTY


@lru_cache(maxsize=4)
def _transform(rules: TransformRules) -> SaleTransform:
    return SaleTransform(rules)
