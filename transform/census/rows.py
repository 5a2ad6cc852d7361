"""What was applied to a row that has become items: found by looking at the row once more, beside
the transform.

It names the rules of transform/items and transform/values, and repeats none of them: where a value
is replaced it asks the same converters. A row is looked at in the form in which the transforms know
it, after the adapter of its layout. What a sale has copied of a party is counted with the party,
and who made a line is not counted: S9 does not say.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

from transform.census.tally import Tally
from transform.items.attributes import Attribute, Row
from transform.items.sale_assembly import SUMS
from transform.items.sale_lines import FIGURES, LINE_ATTRIBUTES, line_numbers
from transform.rejections import RejectedRecord, Rejections, Unconvertible
from transform.rules import TransformRules
from transform.transform_buyers import buyer_attributes
from transform.transform_producers import producer_attributes
from transform.transform_sales import sale_attributes
from transform.values.countries import country
from transform.values.flags import boolean
from transform.values.memo import Memo
from transform.values.money import integer
from transform.values.statuses import sale_status, sale_status_words
from transform.values.text import clean, text
from transform.values.timestamps import local_clock
from transform.values.vocabularies import (
    currency,
    document_type,
    language,
    quantity_class,
    sector,
    vat_exemption,
)
from utils.entities import shape_of
from utils.wording.masking import disguised, veiled

_HOUR = len("2019-03-04T10")
_LONGEST = 40  # characters of a word that is shown
_SPELLED = (sector, vat_exemption, quantity_class, language, currency, country)
_ODD_NUMBER = re.compile(r"[^0-9.\-]|\A\.|\.\Z|\A-?0[0-9]").search
_NUMBERS = {
    "sales": ("iva_percentage", *(column for column, _ in SUMS)),
    "lines": ("quantity", "unit_price", "discount", "tax_rate", *FIGURES),
}
_ATTRIBUTES: Mapping[str, Callable[[TransformRules], Sequence[Attribute]]] = {
    "buyers": buyer_attributes,
    "producers": producer_attributes,
    "sales": sale_attributes,
    "lines": lambda _rules: LINE_ATTRIBUTES,
}
# What stands in for an amount of a sale, or of a line, and for what it is priced by.
_SALE_DEFAULTS = (
    ("iva_percentage", "ivaPercentage = 22"),
    ("subtotal", "subtotal = the sum of the lines"),
    ("tax_amount", "taxAmount = the sum of the lines"),
    ("total", "total = the sum of the lines"),
    ("year", "year = that of saleDate"),
    ("buyer_name", "buyerName = the buyer's own"),
    ("producer_name", "producerName = the producer's own"),
)
_LINE_DEFAULTS = (
    ("quantity", "lines.quantity = 1"),
    ("discount", "lines.discount = 0"),
    ("tax_rate", "lines.taxRate = the sale's"),
    ("discount_amount", "lines.discountAmount = computed"),
    ("net_amount", "lines.netAmount = computed"),
    ("tax_amount", "lines.taxAmount = computed"),
    ("total_amount", "lines.totalAmount = computed"),
)
_PARTY_DEFAULTS = (("code", "code = S9's key"),)
_DEFAULTS = {"sales": _SALE_DEFAULTS, "lines": _LINE_DEFAULTS}
_MIGRATION_TIME, _MIGRATION_USER = "the migration's time", "the migration's user"


class RowCensus:
    """Counts rows of one kind (an entity's, or the lines of sales), by the rules of a migration.

    What counts a row takes `times`: of how many equal ones it is.
    """

    def __init__(self, kind: str, rules: TransformRules) -> None:
        self._kind = kind
        self._rules = rules
        self._of = "lines." if kind == "lines" else ""
        attributes = _ATTRIBUTES[kind](rules) if kind in _ATTRIBUTES else ()
        own = [(each.column, _default_name(each)) for each in attributes if each.default]
        others = _DEFAULTS.get(kind, _PARTY_DEFAULTS if kind in ("buyers", "producers") else ())
        self._defaulted = [*((column, self._of + name) for column, name in own), *others]
        date = local_clock(rules.timezone).date
        self._texts = [(each.column, each.name) for each in attributes if each.convert is text]
        self._spelled = [each for each in attributes if each.convert in _SPELLED]
        self._dates = [(each.column, each.name) for each in attributes if each.convert == date]
        whole = (each.column for each in attributes if each.convert is integer)
        self._numbers = (*_NUMBERS.get(kind, ()), *whole)
        self._statuses = sale_status_words(rules.status_mapping)
        self._odd_hours = Memo(self._odd_hour)

    def count(self, row: Row, tally: Tally, times: int = 1) -> None:
        """Add what was applied to a row, all of which could be converted."""
        get = row.get
        for column, name in self._defaulted:
            if (value := get(column)) is None or is_blank(value):
                tally.defaults[name] += times
        for column, name in self._texts:
            value = get(column)
            if type(value) is str and (
                value.strip() is not value or "\0" in value or not value.isascii()
            ):
                self._count_text(name, value, tally, times)
        for each in self._spelled:
            if (value := get(each.column)) is not None:
                self._count_spelling(each.name, each.convert(value), value, tally, times)
        for column, _ in self._dates:
            if (value := get(column)) is not None and str(value).startswith("0000-"):
                self.count_zero_date(column, tally, times)
        for column in self._numbers:
            value = get(column)
            if type(value) is str and _ODD_NUMBER(value) and not is_blank(value):
                tally.repairs[f"{self._of}{column}: number in another form"] += times
        self._count_stamps(row, tally, times)
        if self._kind == "lines":
            self._count_description(row, tally, times)

    def count_own(self, row: Row, tally: Tally, times: int = 1) -> None:
        """The same, with what only the record's own row has: of a sale its status and document,
        and who created and changed it."""
        self.count(row, tally, times)
        self._count_users(row, tally, times)
        if self._kind == "sales":
            self._count_sale(row, tally, times)

    def _count_text(self, name: str, value: str, tally: Tally, times: int) -> None:
        bare = value.replace("\0", "")
        if bare != value:
            tally.repairs[f"{self._of}{name}: NUL characters removed"] += times
        if (cleaned := clean(value)) and cleaned != bare:
            tally.repairs[f"{self._of}{name}: white space at the ends removed"] += times

    def _count_spelling(
        self, name: str, found: Mapping[str, str] | None, value: object, tally: Tally, times: int
    ) -> None:
        if found and not is_blank(value) and found["S"] != value:
            tally.repairs[f"{self._of}{name}: another spelling"] += times

    def _count_sale(self, row: Row, tally: Tally, times: int) -> None:
        status, is_proforma = sale_status(row.get("status"), self._statuses)
        count_status(row.get("status"), status, tally, times)
        said = document_type(row.get("doc_type"))
        if is_proforma and (said or {}).get("S") != "proforma":
            tally.defaults["docType = proforma, by the status"] += times
        elif said:
            self._count_spelling("docType", said, row.get("doc_type"), tally, times)
        elif self._rules.default_document:
            tally.defaults[f"docType = {self._rules.default_document}"] += times

    def _count_description(self, row: Row, tally: Tally, times: int) -> None:
        if is_blank(row.get("product_description")):
            by = "-" if is_blank(row.get("product_code")) else "productCode"
            tally.defaults[f"lines.productDescription = {by}"] += times

    def _count_stamps(self, row: Row, tally: Tally, times: int) -> None:
        """What stands in for a time that S9 does not have (transform/items/audit.py)."""
        rules, defaults = self._rules, tally.defaults
        columns = {"createdAt": row.get("created_at"), "updatedAt": row.get("updated_at")}
        if not rules.preserve_timestamps:
            columns = dict.fromkeys(columns)
        created, updated = (not _is_no_time(value) for value in columns.values())
        if not created:
            by = "updatedAt" if updated else _MIGRATION_TIME
            defaults[f"{self._of}createdAt = {by}"] += times
        if rules.updated_at or not updated:
            is_created = created and not rules.updated_at
            by = "createdAt" if is_created else _MIGRATION_TIME
            defaults[f"{self._of}updatedAt = {by}"] += times
        for name, value in columns.items():
            if not isinstance(value, str):
                continue
            if (odd := self._odd_hours[value[:_HOUR]]) and _is_local(value):
                tally.repairs[f"{self._of}{name}: {odd}"] += times

    def _odd_hour(self, hour: object) -> str:
        """What summer time does to an hour of S9's clock; "" for nothing."""
        try:
            local = dt.datetime.fromisoformat(f"{hour}:30:00")
        except ValueError:
            return ""
        zone = ZoneInfo(self._rules.timezone)
        first, second = (local.replace(tzinfo=zone, fold=n).utcoffset() for n in (0, 1))
        if first == second or first is None or second is None:
            return ""
        if first > second:
            return "in the hour that comes twice: the first was taken"
        return "in the hour that summer time skips"

    def _count_users(self, row: Row, tally: Tally, times: int) -> None:
        rules = self._rules
        for column, name in (("created_by", "createdBy"), ("updated_by", "updatedBy")):
            if user := clean(row.get(column)):
                target = rules.user_mapping.get(user, rules.migration_user)
                tally.users[disguised(user), veiled(target)] += times
            else:
                tally.defaults[f"{name} = {_MIGRATION_USER}"] += times

    def count_time(self, row: Row, tally: Tally) -> None:
        """Count when S9 says that a row was created, as it stands there. The hour of an instant
        says nothing of a time zone."""
        value = row.get("created_at")
        if isinstance(value, str) and self.count_latest(value, tally) and _is_local(value):
            tally.hours[value[5:7] + value[11:13]] += 1

    def count_latest(self, value: str, tally: Tally) -> bool:
        """Look whether a time is the latest so far; returns whether it is one at all."""
        if not self._rules.preserve_timestamps:
            return False
        try:
            utc = local_clock(self._rules.timezone).to_utc(value)
        except Unconvertible:
            return False
        tally.latest = max(tally.latest, utc or "")
        return bool(utc)

    def count_zero_date(self, column: str, tally: Tally, times: int) -> None:
        """Count a date that MySQL keeps where there is none."""
        name = next(name for known, name in self._dates if known == column)
        tally.repairs[f"{name}: zero date left out"] += times


def count_record(
    entity: str,
    rules: TransformRules,
    row: Row,
    doubts: Sequence[tuple[str, str]],
    *,
    raw: Row,
    tally: Tally,
) -> None:
    """Add what was applied to a record: `row` as the transforms have known it, `raw` as it was
    extracted, `doubts` what its layout's adapter has noted (kind of row, rule)."""
    _record_census(entity, rules).count(row, raw, tally)
    for kind, rule in doubts:
        tally.repairs[f"lines: {rule}" if kind == "lines" else rule] += 1


def count_refused(rejected: RejectedRecord, row: Row, tally: Tally) -> None:
    """Add the status of a record that is refused because nobody knows it."""
    for rejection in rejected.rejections:
        if rejection.rule == "unknown-status" and rejection.field in ("status", "enabled"):
            count_status(row.get(rejection.field), "", tally)


@lru_cache(maxsize=8)
def _record_census(entity: str, rules: TransformRules) -> RecordCensus:
    children = shape_of(entity).children
    return RecordCensus(entity, children.name if children else "", rules)


class RecordCensus:
    """Counts whole records of an entity: the row, and those of its lines."""

    def __init__(self, entity: str, children: str, rules: TransformRules) -> None:
        self._own = RowCensus(entity, rules)
        self._children = children
        self._lines = RowCensus(children, rules)
        self._counts_enabled = entity in ("buyers", "producers")

    def count(self, row: Row, raw: Row, tally: Tally) -> None:
        """Add what was applied to a record, all of which could be converted; `raw` is the row as
        it was extracted."""
        self._own.count_own(row, tally)
        if "enabled" in row and self._counts_enabled:
            active = "active" if boolean(row["enabled"]) else "inactive"
            count_status(raw.get("enabled"), active, tally)
        self._own.count_time(row, tally)
        lines = row.get(self._children) if self._children else ()
        for line in lines or ():
            self._lines.count(line, tally)
        if lines and (numbers := [line.get("line_number") for line in lines]):
            self._count_numbers(lines, numbers, tally)

    @staticmethod
    def _count_numbers(lines: Sequence[Row], numbers: Sequence[object], tally: Tally) -> None:
        given = line_numbers(lines, Rejections())
        changed = sum(str(one) != str(other) for one, other in zip(numbers, given, strict=True))
        if changed:
            tally.repairs["lines.lineNumber: numbered anew"] += changed


def count_status(value: object, target: str, tally: Tally, times: int = 1) -> None:
    """Count a status as S9 has it, and what it became ("": the record was refused)."""
    word = str(value).lower() if isinstance(value, bool) else str(value).strip()
    shown = "(none)" if value is None else veiled(word)[:_LONGEST] or "(blank)"
    tally.statuses[shown, target] += times


def is_blank(value: object) -> bool:
    """Whether a column holds nothing."""
    return value is None or (isinstance(value, str) and not clean(value))


def _is_no_time(value: object) -> bool:
    return is_blank(value) or str(value).startswith("0000-")


def _is_local(value: str) -> bool:
    """Whether a time is one of S9's clock: an instant ends with its zone."""
    return not re.search(r"(?:Z|[+-][0-9:]+)\s*\Z", value[_HOUR:])


def _default_name(attribute: Attribute) -> str:
    """What is said of an attribute's default: `currency = EUR`."""
    value = next(iter((attribute.default or {}).values()), "")
    shown = str(value).lower() if isinstance(value, bool) else value or '""'
    return f"{attribute.name} = {shown}"
