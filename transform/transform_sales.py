"""Sales: a row of `msg` becomes the METADATA item of a sale, its lines the items after it."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

import orjson

from transform.items.attribute_text import SingleText, Texts, written
from transform.items.attributes import Attribute, Item, Row
from transform.items.audit import Audit
from transform.items.columns import legacy_key, optional_number
from transform.items.sale_lines import LineTransform, Priced
from transform.items.sale_parties import SaleParty
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.amounts import rounded_sum
from transform.values.flags import flag
from transform.values.ids import sale_id
from transform.values.money import Number, decimal, integer
from transform.values.statuses import PROFORMA, is_numbered, sale_status, sale_status_words
from transform.values.text import text
from transform.values.timestamps import local_clock
from transform.values.vocabularies import currency, document_type

STANDARD_RATE = Number(22, 0, {"N": "22"})
_DOCUMENT_TYPE = SingleText(Attribute("docType", "doc_type", document_type, repeats=True))

# A sale's own item. The names of the indexes do not say what is in them; the API asks like this.
SALE_TEXT = (
    '{"Item":{"PK":{"S":"SALE#%s"},"SK":{"S":"METADATA"},"GSI1PK":{"S":"STATUS#%s"},'
    '"GSI1SK":{"S":"%s"},"GSI2PK":{"S":"BUYER#%s"},"GSI2SK":{"S":"%s"},'
    '"GSI3PK":{"S":"PRODUCER#%s"},"GSI3SK":{"S":"%s"},%s"saleId":{"S":"%s"},'
    '"legacyId":{"S":"%s"},"saleDate":{"S":"%s"}%s,"status":{"S":"%s"}%s,'
    '"buyerId":{"S":"%s"},"producerId":{"S":"%s"}%s%s,'
    '"subtotal":{"N":"%s"},"taxAmount":{"N":"%s"},"total":{"N":"%s"},'
    '"ivaPercentage":{"N":"%s"},"linesCount":{"N":"%d"}%s%s}}'
)
NUMBERING_TEXT = '"GSI4PK":{"S":"SALE"},"GSI4SK":{"S":"%s"},'
YEAR_TEXT = ',"year":{"N":"%s"}'

_AMOUNTS = (
    # column, what it is the sum of where S9 has none
    ("subtotal", itemgetter(4)),
    ("tax_amount", itemgetter(6)),
    ("total", itemgetter(7)),
)


def sale_to_items(row: Row, rules: TransformRules) -> list[Item]:
    """Return the items of a sale: METADATA, then its lines in their order.

    `row` is a row of `msg` under its canonical column names, with `lines` (rows of `msg_line`) and
    the joined parties `buyer` and `producer`. Raises RejectedRecord with every column that cannot
    be converted, those of lines as `lines[n].column`.
    """
    return [orjson.loads(text)["Item"] for text in sale_to_texts(row, rules)]


def sale_to_texts(row: Row, rules: TransformRules) -> list[str]:
    """Return the same items as lines of a transformed file, without their line breaks."""
    return _transform(rules).texts(row)


class SaleTransform:
    """Turns sales into items, by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        self._default_document = rules.default_document
        self._status_words = sale_status_words(rules.status_mapping)
        date = local_clock(rules.timezone).date
        sale_date = Attribute("saleDate", "sale_date", date, required=True, repeats=True)
        self._day = SingleText(sale_date)
        self._buyer = SaleParty("buyer", rules.generate_ids, rules.id_scope)
        self._producer = SaleParty("producer", rules.generate_ids, rules.id_scope)
        self._lines = LineTransform(rules)
        self._texts = Texts(sale_attributes(rules))
        self._audit = Audit(rules)

    def texts(self, row: Row) -> list[str]:
        """Return the texts of a sale's items. Raises RejectedRecord."""
        rejections = Rejections()
        first_id = legacy_key(row, "first_id", rejections) or 0
        identifier = sale_id(first_id, self._generate_ids, self._id_scope)
        rate = optional_number(row, "iva_percentage", rejections) or STANDARD_RATE
        status, document = self._status(row, rejections)
        day = self._day.of(row, rejections)
        buyer = self._buyer.reference(row, rejections)
        producer = self._producer.reference(row, rejections)
        lines, priced = self._lines.items(_line_rows(row, rejections), identifier, rate, rejections)
        of_buyer = self._buyer.text(row, rejections)
        of_producer = self._producer.text(row, rejections)
        totals = _totals(row, priced, rejections)
        number, register, number_t, year, *others = self._texts.of(row, rejections)
        stamps = self._audit.text(row, rejections)
        rejections.raise_if_any()
        own_year = YEAR_TEXT % day[:4].lstrip("0")
        year = year or own_year
        header = SALE_TEXT % (
            *(identifier, status, day, buyer, day, producer, day),
            NUMBERING_TEXT % day if is_numbered(status, document) and year == own_year else "",
            *(identifier, first_id, day, year),
            status,
            written("docType", {"S": document}) if document else "",
            *(buyer, producer, of_buyer, of_producer),
            *totals,
            *(rate.stored["N"], len(lines)),
            "".join((number, register, number_t, *others)),
            stamps,
        )
        return [header, *lines]

    def _status(self, row: Row, rejections: Rejections) -> tuple[str, str]:
        """Return status and document type ("" without one); a status `proforma` names both."""
        document = _DOCUMENT_TYPE.of(row, rejections)
        try:
            status, is_proforma = sale_status(row.get("status"), self._status_words)
        except Unconvertible as problem:
            rejections.add_value("status", problem)
            return "", document
        return status, PROFORMA if is_proforma else document or self._default_document


def sale_attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    """The attributes of a sale that are each made of one column, in their order; the year, which
    comes earlier in the item, is the fourth."""
    date = local_clock(rules.timezone).date
    return (
        Attribute("saleNumber", "sale_number", integer, required=True),
        Attribute("regNumber", "reg_number", text),
        Attribute("numberT", "number_t", integer),
        # Without a value, it is the year of the sale's date.
        Attribute("year", "year", integer),
        Attribute(
            "currency", "currency", currency, default={"S": rules.default_currency}, repeats=True
        ),
        Attribute("invoiceGenerated", "invoice_generated", flag, default={"BOOL": False}),
        Attribute("invoiceNumber", "invoice_number", text),
        Attribute("registrationDate", "registration_date", date, repeats=True),
        Attribute("vatOff", "vat_off", text, repeats=True),
        Attribute("paymentMethod", "payment_method", text, repeats=True),
        Attribute("paymentTerms", "payment_terms", text, repeats=True),
        Attribute("paymentDate", "payment_date", date, repeats=True),
        Attribute("paymentNote", "payment_note", text),
        Attribute("bank", "bank", text, repeats=True),
        Attribute("coBankDescription", "co_bank_description", text, repeats=True),
        Attribute("coBankIban", "co_bank_iban", text, repeats=True),
        Attribute("deliveryMethod", "delivery_method", text, repeats=True),
        Attribute("deliveryDate", "delivery_date", date, repeats=True),
        Attribute("deliveryNote", "delivery_note", text),
        Attribute("package", "package", text, repeats=True),
        Attribute("referenceNumber", "reference_number", text),
        Attribute("poNumber", "po_number", text),
        Attribute("poDate", "po_date", date, repeats=True),
        Attribute("dnNumber", "dn_number", text),
        Attribute("dnDate", "dn_date", date, repeats=True),
        Attribute("dnNumber2", "dn_number2", text),
        Attribute("dnDate2", "dn_date2", date, repeats=True),
        Attribute("dnNumber3", "dn_number3", text),
        Attribute("dnDate3", "dn_date3", date, repeats=True),
        Attribute("paCupNumber", "pa_cup_number", text),
        Attribute("paCigNumber", "pa_cig_number", text),
        Attribute("notes", "notes", text),
        Attribute("internalNotes", "internal_notes", text),
        Attribute("printedNote", "printed_note", text),
    )


def _line_rows(row: Row, rejections: Rejections) -> list[Row]:
    lines = row.get("lines")
    if isinstance(lines, list) and all(isinstance(line, dict) for line in lines):
        return lines
    # Not the same as a sale without lines, which holds an empty list.
    rejections.add("lines", "required", "the record does not carry the lines of its sale")
    return []


def _totals(row: Row, lines: list[Priced], rejections: Rejections) -> list[str]:
    """Subtotal, tax amount and total: S9's own, else the rounded sums of the lines."""
    totals = []
    for column, summand in _AMOUNTS:
        value = row.get(column)
        try:
            given = decimal(value)
            if given is None and not rejections:
                given = rounded_sum({"N": summand(line)} for line in lines)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            continue
        if given:
            totals.append(str(given["N"]))
    return totals


@lru_cache(maxsize=4)
def _transform(rules: TransformRules) -> SaleTransform:
    return SaleTransform(rules)
