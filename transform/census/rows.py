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
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any
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
_STAMPS = ("created_at", "updated_at")
_USERS = {"created_by": "createdBy", "updated_by": "updatedBy"}
_FLAGS = frozenset({"invoice_generated", "attach_invoice"})
_NOTHING = Tally()
_MIGRATION_TIME, _MIGRATION_USER = "the migration's time", "the migration's user"


class RowCensus:
    """Counts rows of one kind (an entity's, or the lines of sales), by the rules of a migration.

    What counts a row takes `times`: of how many equal ones it is. What follows from which columns
    are NULL, and from values that come back, is found out once.
    """

    def __init__(self, kind: str, rules: TransformRules) -> None:
        self._kind = kind
        self._rules = rules
        self._of = "lines." if kind == "lines" else ""
        attributes = _ATTRIBUTES[kind](rules) if kind in _ATTRIBUTES else ()
        own = [(each.column, self._of + _default_name(each)) for each in attributes if each.default]
        further = _DEFAULTS.get(kind, _PARTY_DEFAULTS if kind in ("buyers", "producers") else ())
        self._defaults: dict[str, str] = dict([*own, *further])
        self._date = local_clock(rules.timezone).date
        self._odd_hours = Memo(self._odd_hour)
        self._texts = {each.column: each.name for each in attributes if each.convert is text}
        judged = self._judged(attributes)
        others = dict.fromkeys([*judged, *self._defaults, *_STAMPS])
        self._columns = (*self._texts, *(name for name in others if name not in self._texts))
        place = self._columns.index
        self._judges = [(place(column), judge) for column, judge in judged.items()]
        self._stamps = itemgetter(*[place(column) for column in _STAMPS])
        self._statuses = sale_status_words(rules.status_mapping)
        self.reset()

    def reset(self) -> None:
        """Forget what was counted since the last `flush`."""
        self._nulls: defaultdict[tuple[bool, ...], int] = defaultdict(int)
        self._kinds: defaultdict[tuple[object, object], int] = defaultdict(int)
        self._users: defaultdict[tuple[object, object], int] = defaultdict(int)

    def flush(self, tally: Tally) -> None:
        """Add what rows that are alike have in common; it is not in the tally before."""
        for nulls, times in self._nulls.items():
            for name in self._names(nulls):
                tally.defaults[name] += times
        for (status, paper), times in self._kinds.items():
            tally.add_times(self._kind_of(status, paper), times)
        for users, times in self._users.items():
            for name, user in zip(_USERS.values(), users, strict=True):
                tally.add_times(self._count_user(name, user), times)
        self.reset()

    def _judged(self, attributes: Sequence[Attribute]) -> dict[str, Callable[[object], Tally]]:
        """The columns whose values come back, with what is counted of one."""
        judged: dict[str, Callable[[object], Tally]] = {}
        for each in attributes:
            if each.convert in _SPELLED:
                judged[each.column] = Memo(partial(self._count_word, each)).__getitem__
            elif each.convert == self._date:
                judged[each.column] = Memo(partial(self._count_date, each)).__getitem__
            elif each.convert is integer or (each.default and each.convert is not text):
                judged[each.column] = Memo(partial(self._count_number, each.column)).__getitem__
        for column in _NUMBERS.get(self._kind, ()):
            judged[column] = Memo(partial(self._count_number, column)).__getitem__
        for column in ("buyer_name", "producer_name") if self._kind == "sales" else ():
            judged[column] = partial(self._count_blank, column)
        return judged

    def count(self, row: Row, tally: Tally) -> None:
        """Add what was applied to a row, all of which could be converted."""
        values = [*map(row.get, self._columns)]
        self._nulls[tuple([value is None for value in values])] += 1
        for value in values[: len(self._texts)]:
            if value is not None and (
                type(value) is not str or value.strip() is not value or not value.isascii()
            ):
                self._count_texts(row, tally)
                break
            if value == "" or (value and "\0" in value):
                self._count_texts(row, tally)
                break
        for place, judge in self._judges:
            value = values[place]
            if (
                value is not None
                and type(value) is not int
                and (found := judge(value)) is not _NOTHING
            ):
                tally.add_times(found, 1)
        created, updated = self._stamps(values)
        if created is not None or updated is not None:
            self._count_times(created, updated, tally)

    def count_own(self, row: Row, tally: Tally) -> None:
        """The same, with what only the record's own row has: of a sale its status and document,
        and who created and changed it."""
        self.count(row, tally)
        self._users[row.get("created_by"), row.get("updated_by")] += 1
        if self._kind == "sales":
            self._kinds[row.get("status"), row.get("doc_type")] += 1

    def _names(self, nulls: Sequence[bool]) -> tuple[str, ...]:
        """What stands in for columns that are NULL."""
        absent = {column for column, is_null in zip(self._columns, nulls, strict=True) if is_null}
        found = [name for column, name in self._defaults.items() if column in absent]
        if "product_description" in absent:
            found.append(self._described_by("product_code" in absent))
        created, updated = (column not in absent for column in _STAMPS)
        return (*found, *self._stand_ins(created=created, updated=updated))

    def _described_by(self, code_is_absent: bool) -> str:
        by = "-" if code_is_absent else "productCode"
        return f"{self._of}productDescription = {by}"

    def _stand_ins(self, *, created: bool, updated: bool) -> list[str]:
        """What stands in for a time that S9 does not have (transform/items/audit.py)."""
        rules, found = self._rules, []
        if not rules.preserve_timestamps:
            created = updated = False
        if not created:
            by = "updatedAt" if updated else _MIGRATION_TIME
            found.append(f"{self._of}createdAt = {by}")
        if rules.updated_at or not updated:
            is_created = created and not rules.updated_at
            by = "createdAt" if is_created else _MIGRATION_TIME
            found.append(f"{self._of}updatedAt = {by}")
        return found

    def _count_times(self, created: Any, updated: Any, tally: Tally) -> None:
        given = {"createdAt": created, "updatedAt": updated}
        there = [value is not None for value in given.values()]
        real = [value is not None and not _is_no_time(value) for value in given.values()]
        if (
            real != there and self._rules.preserve_timestamps
        ):  # blank, or MySQL's zero: the same as NULL
            for name in self._stand_ins(created=there[0], updated=there[1]):
                tally.defaults[name] -= 1
            for name in self._stand_ins(created=real[0], updated=real[1]):
                tally.defaults[name] += 1
        if not self._rules.preserve_timestamps:
            return
        for name, value in given.items():
            if not isinstance(value, str):
                continue
            if (odd := self._odd_hours[value[:_HOUR]]) and _is_local(value):
                tally.repairs[f"{self._of}{name}: {odd}"] += 1

    def _count_texts(self, row: Row, tally: Tally) -> None:
        """Look at each text of a row by itself."""
        for column, name in self._texts.items():
            value = row.get(column)
            if not isinstance(value, str):
                continue
            bare = value.replace("\0", "")
            if bare != value:
                tally.repairs[f"{self._of}{name}: NUL characters removed"] += 1
            cleaned = clean(value)
            if cleaned and cleaned != bare:
                tally.repairs[f"{self._of}{name}: white space at the ends removed"] += 1
            if not cleaned and column in self._defaults:
                tally.defaults[self._defaults[column]] += 1
            if not cleaned and column == "product_description":
                code_is_absent = is_blank(row.get("product_code"))
                tally.defaults[self._described_by(code_is_absent)] += 1

    def _count_blank(self, column: str, value: object) -> Tally:
        if not is_blank(value) or column not in self._defaults:
            return _NOTHING
        return Tally(defaults=Counter({self._defaults[column]: 1}))

    def _count_word(self, attribute: Attribute, value: object) -> Tally:
        if is_blank(value):
            return self._count_blank(attribute.column, value)
        found = attribute.convert(value)
        if not found or found["S"] == value:
            return _NOTHING
        return Tally(repairs=Counter({f"{self._of}{attribute.name}: another spelling": 1}))

    def _count_date(self, attribute: Attribute, value: object) -> Tally:
        if not str(value).startswith("0000-"):
            return _NOTHING
        return Tally(repairs=Counter({f"{attribute.name}: zero date left out": 1}))

    def _count_number(self, column: str, value: object) -> Tally:
        if is_blank(value):
            return self._count_blank(column, value)
        if not isinstance(value, str) or column in _FLAGS or not _ODD_NUMBER(value):
            return _NOTHING
        return Tally(repairs=Counter({f"{self._of}{column}: number in another form": 1}))

    def _kind_of(self, word: object, paper: object) -> Tally:
        tally = Tally()
        status, is_proforma = sale_status(word, self._statuses)
        count_status(word, status, tally)
        said = document_type(paper)
        if is_proforma and (said or {}).get("S") != "proforma":
            tally.defaults["docType = proforma, by the status"] += 1
        elif said and said["S"] != paper:
            tally.repairs["docType: another spelling"] += 1
        elif not said and self._rules.default_document:
            tally.defaults[f"docType = {self._rules.default_document}"] += 1
        return tally

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

    def _count_user(self, name: str, value: object) -> Tally:
        user = clean(value)
        if not user:
            return Tally(defaults=Counter({f"{name} = {_MIGRATION_USER}": 1}))
        target = self._rules.user_mapping.get(user, self._rules.migration_user)
        return Tally(users=Counter({(disguised(user), veiled(target)): 1}))

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
        attributes = _ATTRIBUTES[self._kind](self._rules)
        attribute = next(each for each in attributes if each.column == column)
        tally.add_times(self._count_date(attribute, "0000-00-00"), times)


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


def begin_counting(entity: str, rules: TransformRules) -> None:
    """A piece begins: nothing is left of one that has failed."""
    _record_census(entity, rules).reset()


def end_counting(entity: str, rules: TransformRules, tally: Tally) -> None:
    """A piece is over: add what its records have in common."""
    _record_census(entity, rules).flush(tally)


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
        self.reset()

    def count(self, row: Row, raw: Row, tally: Tally) -> None:
        """Add what was applied to a record, all of which could be converted; `raw` is the row as
        it was extracted."""
        self._own.count_own(row, tally)
        if self._counts_enabled:
            self._enabled[str(raw.get("enabled")), boolean(row.get("enabled"))] += 1
        self._own.count_time(row, tally)
        lines = row.get(self._children) if self._children else ()
        for line in lines or ():
            self._lines.count(line, tally)
        numbers = [line.get("line_number") for line in lines or ()]
        if numbers != [*range(1, len(numbers) + 1)]:
            self._count_numbers(lines or (), numbers, tally)

    def reset(self) -> None:
        """Forget what was counted since the last `flush`."""
        self._own.reset()
        self._lines.reset()
        self._enabled: defaultdict[tuple[str, bool | None], int] = defaultdict(int)

    def flush(self, tally: Tally) -> None:
        """Add what records that are alike have in common; it is not in the tally before."""
        self._own.flush(tally)
        self._lines.flush(tally)
        for (word, enabled), times in self._enabled.items():
            count_status(word, "active" if enabled else "inactive", tally, times)
        tally.defaults = +tally.defaults
        self.reset()

    @staticmethod
    def _count_numbers(lines: Sequence[Row], numbers: Sequence[object], tally: Tally) -> None:
        given = line_numbers(lines, Rejections())
        changed = sum(str(one) != str(other) for one, other in zip(numbers, given, strict=True))
        if changed:
            tally.repairs["lines.lineNumber: numbered anew"] += changed


def count_status(value: object, target: str, tally: Tally, times: int = 1) -> None:
    """Count a status as S9 has it, and what it became ("": the record was refused)."""
    word = str(value).strip()
    word = word.lower() if word in ("True", "False") else word
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
