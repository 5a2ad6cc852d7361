"""Sales: a row of `msg` becomes the METADATA item of a sale, its lines the items after it."""

from __future__ import annotations

from functools import lru_cache

import orjson

from transform.items.attribute_text import SingleText, Texts
from transform.items.attributes import Attribute, ColumnTargets, Item, Row, targets_of
from transform.items.audit import Audit
from transform.items.columns import legacy_key, optional_number
from transform.items.sale_assembly import (
    LINE_COLUMNS,
    SALE_COLUMNS,
    SUMS,
    Kind,
    Priced,
    SaleAssembly,
)
from transform.items.sale_lines import LINE_ATTRIBUTES, TERMS, LineTransform
from transform.items.sale_parties import SaleParty
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.flags import flag
from transform.values.ids import sale_id
from transform.values.money import decimal, integer
from transform.values.text import text
from transform.values.timestamps import local_clock
from transform.values.vocabularies import currency, document_type

_DOCUMENT_TYPE = SingleText(Attribute("docType", "doc_type", document_type, repeats=True))
_NO_KIND = ("", "", "")


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


def sale_targets(rules: TransformRules) -> ColumnTargets:
    """What the columns of a sale become."""
    return {**SALE_COLUMNS, **targets_of(sale_attributes(rules)), **Audit(rules).targets}


def line_targets(rules: TransformRules) -> ColumnTargets:
    """What the columns of a line become."""
    return {**LINE_COLUMNS, **targets_of(LINE_ATTRIBUTES), **Audit(rules).targets}


class SaleTransform:
    """Turns sales into items, by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        date = local_clock(rules.timezone).date
        sale_date = Attribute("saleDate", "sale_date", date, required=True, repeats=True)
        self._day = SingleText(sale_date)
        self._buyer = SaleParty("buyer", rules.generate_ids, rules.id_scope)
        self._producer = SaleParty("producer", rules.generate_ids, rules.id_scope)
        attributes = sale_attributes(rules)
        self._texts = Texts(attributes)
        self._assembly = SaleAssembly(str, rules, attributes, LINE_ATTRIBUTES)
        self._lines = LineTransform(rules, self._assembly)
        self._audit = Audit(rules)

    def texts(self, row: Row) -> list[str]:
        """Return the texts of a sale's items. Raises RejectedRecord."""
        rejections = Rejections()
        first_id = legacy_key(row, "first_id", rejections) or 0
        identifier = sale_id(first_id, self._generate_ids, self._id_scope)
        rate = optional_number(row, "iva_percentage", rejections) or TERMS.rate
        kind = self._kind(row, rejections)
        day = self._day.of(row, rejections)
        buyer = self._buyer.reference(row, rejections)
        producer = self._producer.reference(row, rejections)
        lines, priced = self._lines.items(_line_rows(row, rejections), identifier, rate, rejections)
        of_buyer = self._buyer.texts(row, rejections)
        of_producer = self._producer.texts(row, rejections)
        totals = self._totals(row, priced, rejections)
        texts = self._texts.of(row, rejections)
        stamps = self._audit.texts(row, rejections)
        rejections.raise_if_any()
        header = self._assembly.sale(
            identifier,
            str(first_id),
            day,
            kind,
            (buyer, *of_buyer),
            (producer, *of_producer),
            totals,
            rate.stored["N"],
            len(lines),
            texts,
            stamps,
        )
        return [header, *lines]

    def _kind(self, row: Row, rejections: Rejections) -> Kind[str]:
        document = _DOCUMENT_TYPE.of(row, rejections)
        try:
            return self._assembly.kind(row.get("status"), document)
        except Unconvertible as problem:
            rejections.add_value("status", problem)
            return _NO_KIND

    def _totals(self, row: Row, lines: list[Priced[str]], rejections: Rejections) -> list[str]:
        """Subtotal, tax amount and total."""
        totals = []
        for column, which in SUMS:
            try:
                given = decimal(row.get(column))
                # Of lines that are refused there is no sum.
                if given or not rejections:
                    own = given["N"] if given else ""
                    totals.append(self._assembly.total(own, which, lines))
            except Unconvertible as problem:
                rejections.add_value(column, problem)
        return totals


def sale_attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    """The attributes of a sale that are each made of one column."""
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
    rejections.add("lines", "required", "the record lacks the lines of its sale")
    return []


@lru_cache(maxsize=4)
def _transform(rules: TransformRules) -> SaleTransform:
    return SaleTransform(rules)
