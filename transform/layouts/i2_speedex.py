"""Layout i2_speedex: dates are whole numbers, rates are fractions, some texts are XML.

The columns are those of extract/layouts/i2_speedex.py, under the names given there. What the
conversions mean, and where they leave a choice, is in docs/layouts.md.
"""

from __future__ import annotations

from decimal import Context, Decimal

from transform.items.adapter_notes import Notes
from transform.items.attributes import Attribute, Item, Row
from transform.layout import Adapter, Layout
from transform.layouts.i2_values import day, hundredfold, is_active, number_or_none, shown_number
from transform.rejections import Unconvertible
from transform.rules import TransformRules
from transform.values.flags import flag
from transform.values.money import decimal, integer
from transform.values.text import clean
from transform.values.vocabularies import vat_exemption
from transform.values.xml_text import UnreadableXml, parse, records

_BANK_DETAILS = 500  # characters that the Sale Module takes
_EXACT = Context(prec=160)


def _buyer(row: Row, notes: Notes, _rules: TransformRules) -> None:
    _party(row, notes)
    _own_vat_number(row)
    _read_xml(row, notes, "ship")
    try:
        vat_exemption(row.get("vat_exempt"))
    except Unconvertible:  # not a word of the Sale Module, so the code of an exemption
        notes.keep("vatoff", row["vat_exempt"])
        row["vat_exempt"] = "exempt"


def _producer(row: Row, notes: Notes, _rules: TransformRules) -> None:
    _party(row, notes)
    notes.keep("banks", row.get("bank_details"))
    banks = _read_xml(row, notes, "bank_details", "banks")
    row["bank_details"] = _fitting(banks, notes)
    if "<" in str(row.get("vat_off")):  # a code, or XML as on sales
        _read_xml(row, notes, "vat_off")


def _party(row: Row, notes: Notes) -> None:
    try:
        row["enabled"] = is_active(row.get("enabled"))
    except Unconvertible as problem:
        notes.refuse("enabled", problem.rule, problem.reason)
    _nobody(row, "default_operator")


def _sale(row: Row, notes: Notes, rules: TransformRules) -> None:
    for kind in ("buyer", "producer"):
        if not isinstance(row.get(kind), dict):
            _nobody(row, f"{kind}_id")
    if isinstance(row.get("buyer"), dict):
        _own_vat_number(row["buyer"])
    _number(row)
    _freeze(row, rules)
    _read_xml(row, notes, "attachs")
    notes.keep("vat_off", row.get("vat_off"))
    row["vat_off"] = "; ".join(_read_xml(row, notes, "vat_off")) or None
    if row.get("attach_invoice") not in (None, 0, 1):
        notes.keep("invoice_attach", row["attach_invoice"])
        row["attach_invoice"] = True
    try:
        decimal(row.get("tax"))
    except Unconvertible as problem:
        notes.refuse("tax", problem.rule, problem.reason)


def _number(row: Row) -> None:
    """The number as it is shown. What is wrong with its parts is noted where they are converted."""
    number, year = number_or_none(row.get("sale_number")), number_or_none(row.get("year"))
    if year is None and isinstance(row.get("sale_date"), str):
        year = int(row["sale_date"][:4])
    row["reg_number"], row["number_t"] = shown_number(number, year)


def _freeze(row: Row, rules: TransformRules) -> None:
    """An invoice that was issued stays as it is: the Sale Module recomputes one that is not frozen
    with any edit of a line, and the revenue stamp would be gone. When it was issued S9 does not
    say."""
    status = row.get("status")
    if isinstance(status, str) and clean(status).lower() in rules.issued_statuses:
        row["invoice_generated"], row["invoice_number"] = True, row["reg_number"]


def _with_stamp(item: Item, row: Row) -> None:
    """A total that S9 leaves open is that of the lines; the revenue stamp comes on top of it."""
    if decimal(row.get("total")) is None and (stamp := decimal(row.get("tax"))):
        total = _EXACT.add(Decimal(item["total"]["N"]), Decimal(stamp["N"]))
        item["total"] = decimal(format(total, "f")) or item["total"]


def _line(row: Row, notes: Notes, rules: TransformRules) -> None:
    for column, name in (("discount", "discount"), ("tax_rate", "vat")):
        row[column] = _percent(row, column, name, notes, rules)
    if clean(row.get("vat_off")):
        if row["tax_rate"] is None:
            row["tax_rate"] = 0
        elif decimal(row["tax_rate"]) != {"N": "0"}:
            reason = f"the line has the code of an exemption, and {row['tax_rate']} % of VAT"
            notes.doubt("vat_off", "taxed-exemption", reason)


def _percent(
    row: Row, column: str, name: str, notes: Notes, rules: TransformRules
) -> object | None:
    """The percentage of a fraction; None when there is none or it is refused."""
    fraction = row.get(column)
    try:
        percent = hundredfold(fraction)
    except Unconvertible as problem:
        notes.refuse(column, problem.rule, problem.reason)
        return None
    if percent is None or Decimal(percent) <= 100:
        return percent
    if rules.fractions_above_one == "percent":
        notes.keep(name, fraction)
        reason = f"S9 has {fraction} where a fraction up to 1 is expected: taken as percent"
        notes.doubt(name, "suspicious-fraction", reason)
        return fraction
    reason = (
        f"{fraction} is above 1, but a fraction is expected: fix it in S9, or take such values as "
        "percent (transformation.fractionsAboveOne)"
    )
    notes.refuse(column, "suspicious-fraction", reason)
    return None


def _nobody(row: Row, column: str) -> None:
    """0 in a reference is nobody: keys begin at 1."""
    if row.get(column) in (0, "0"):
        row[column] = None


def _own_vat_number(row: Row) -> None:
    """A buyer's EU VAT number is his VAT number where he has no other."""
    if row.get("vat_number") is None or not str(row["vat_number"]).strip():
        row["vat_number"] = row.get("ue")


def _read_xml(row: Row, notes: Notes, column: str, name: str = "") -> list[str]:
    """The records of a column of XML. What cannot be read is doubted; it is a record of its own
    when it has no markup at all."""
    value = row.get(column)
    if not isinstance(value, str) or not (said := clean(value)):
        return []
    try:
        return records(parse(said))
    except UnreadableXml as problem:
        kept = "taken as plain text" if "<" not in said else "kept in legacy, and not read"
        notes.doubt(name or column, "broken-xml", f"{problem}; {kept}")
        return [] if "<" in said else [said]


def _fitting(banks: list[str], notes: Notes) -> str | None:
    """The banks as text, a line each, as many as the Sale Module takes."""
    details = "\n".join(banks)
    if len(details) > _BANK_DETAILS:
        room = details[: _BANK_DETAILS - 1]
        details = (room.rpartition("\n")[0] or room.rstrip()) + "…"
        reason = f"the Sale Module takes {_BANK_DETAILS} characters: the rest is in legacy only"
        notes.doubt("banks", "text-cut", reason)
    return details or None


_DATES = ("sale_date", "payment_date", "po_date", "dn_date", "dn_date2", "dn_date3")

LAYOUT = Layout(
    id_scope="i2_speedex:",
    buyers=Adapter(adapt=_buyer),
    producers=Adapter(adapt=_producer),
    sales=Adapter(
        values=dict.fromkeys(_DATES, day),
        adapt=_sale,
        further=(
            Attribute("attachInvoice", "attach_invoice", flag),
            Attribute("pdfFontBase", "pdf_font_base", integer),
        ),
        complete=_with_stamp,
    ),
    lines=Adapter(adapt=_line),
)
