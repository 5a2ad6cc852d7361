"""What was applied to sales that are transformed without being parsed.

While they pass, only what can differ is noted, as it stands in the line; what that means says
transform/census/rows.py at the end of a piece, once for all sales that are alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from transform.census.rows import RowCensus
from transform.census.tally import Tally
from transform.items.attributes import Row
from transform.items.sale_lines import FIGURES
from transform.rules import TransformRules
from transform.transform_sales import sale_attributes
from transform.values.timestamps import local_clock

Cells: TypeAlias = tuple[Any, ...]
Nulls: TypeAlias = tuple[bool, ...]
ZERO_DATE = b'"0000-'

# What LineCounts.note takes, and all that a line may lack.
_NOTED = ("quantity", "product_description", "product_code", "created_at", "updated_at")
_LINE = (*_NOTED, "discount", "tax_rate", *FIGURES)
# So many cells of a sale (transform/fast/sales.py) come before those of its attributes.
_HEAD = (
    *("first_id", "status", "doc_type", "sale_date"),
    *("buyer_id", "buyer_name", "buyer", "producer_id", "producer_name", "producer"),
    *("subtotal", "tax_amount", "total", "iva_percentage"),
    *("created_at", "updated_at", "created_by", "updated_by"),
)
# Of some columns the cell is of interest, of others only whether it is NULL.
_WORDS = (
    *("status", "doc_type", "currency", "invoice_generated"),
    *("created_by", "updated_by"),
)
_USUAL: dict[str, object] = {"currency": "EUR", "invoice_generated": False}
_NULLS = (
    *("buyer_name", "producer_name", "subtotal", "tax_amount", "total", "iva_percentage"),
    *("created_at", "updated_at", "year"),
)
_CREATED_AT = _HEAD.index("created_at")
_ANY = "1"
_REMEMBERED = 4_096
_MONTH_AND_HOUR = itemgetter(slice(5, 7), slice(11, 13))


class LineCounts:
    """Of the lines of a sale how many there are, and what they lack: a discount, a tax rate, all
    amounts (which are computed then), or, more rarely, something else."""

    __slots__ = ("computed", "lines", "odd", "undiscounted", "untaxed")

    def __init__(self) -> None:
        self.lines = self.undiscounted = self.untaxed = self.computed = 0
        self.odd: list[Nulls] = []

    def note(self, *cells: bytes | None) -> None:
        """Of the columns of _NOTED one is NULL in a line."""
        self.odd.append(_nulls(cells))


class FastCensus:
    """Counts sales by their cells."""

    def __init__(self, rules: TransformRules) -> None:
        self._sale, self._line = RowCensus("sales", rules), RowCensus("lines", rules)
        attributes = sale_attributes(rules)
        columns = (*_HEAD, *(each.column for each in attributes))
        self._words, self._nulls = (
            itemgetter(*map(columns.index, names)) for names in (_WORDS, _NULLS)
        )
        date = local_clock(rules.timezone).date
        dates = (each.column for each in attributes if each.convert == date)
        self._dates = [(column, columns.index(column)) for column in dates]
        self._known_words, self._lacking = _Known(self._count_words), _Known(self._count_lacking)
        self._lines_lacking = _Known(self._count_line)
        self._clear()

    def _clear(self) -> None:
        self._words_taken: defaultdict[Cells, int] = defaultdict(int)
        self._nulls_taken: defaultdict[Cells, int] = defaultdict(int)
        self._odd_taken: defaultdict[Nulls, int] = defaultdict(int)
        self._hours: defaultdict[Cells, int] = defaultdict(int)
        self._zero_dates: defaultdict[str, int] = defaultdict(int)
        self._latest = b""
        self._counts = LineCounts()

    def add(self, cells: Cells, lines: LineCounts, *, look_for_zero_dates: bool) -> None:
        """Take a sale: its cells, and its lines."""
        counts = self._counts
        counts.lines += lines.lines
        counts.undiscounted += lines.undiscounted
        counts.untaxed += lines.untaxed
        counts.computed += lines.computed
        for odd in lines.odd:
            self._odd_taken[odd] += 1
        self._words_taken[self._words(cells)] += 1
        nulls = self._nulls(cells)
        if not all(nulls):  # no cell is empty, but None
            self._nulls_taken[_nulls(nulls)] += 1
        created_at = cells[_CREATED_AT]
        if created_at is not None:
            if not created_at.endswith(b"Z"):
                self._hours[_MONTH_AND_HOUR(created_at)] += 1
            if created_at > self._latest:  # noqa: PLR1730 (a call for every sale)
                self._latest = created_at
        if look_for_zero_dates:
            for column, place in self._dates:
                if (cells[place] or b"").startswith(ZERO_DATE):
                    self._zero_dates[column] += 1

    def count_into(self, tally: Tally) -> None:
        """Add what was taken since the last time."""
        for words, times in self._words_taken.items():
            tally.add_times(self._known_words[words], times)
        for nulls, times in self._nulls_taken.items():
            tally.add_times(self._lacking[nulls], times)
        counts = self._counts
        tally.add_times(self._lines_lacking[()], counts.lines)
        tally.add_times(self._lines_lacking["discount",], counts.undiscounted)
        tally.add_times(self._lines_lacking["tax_rate",], counts.untaxed)
        tally.add_times(self._lines_lacking[FIGURES], counts.computed)
        for nulls, times in self._odd_taken.items():
            columns = tuple([name for name, is_null in zip(_NOTED, nulls, strict=True) if is_null])
            tally.add_times(self._lines_lacking[columns], times)
        for column, times in self._zero_dates.items():
            self._sale.count_zero_date(column, tally, times)
        if self._latest and self._sale.count_latest(self._latest.decode(), tally):
            for (month, hour), times in self._hours.items():
                tally.hours[(month + hour).decode()] += times
        tally.defaults = +tally.defaults
        self._clear()

    def _count_words(self, cells: Any) -> Tally:
        row = {**dict.fromkeys(_NULLS, _ANY), **dict(zip(_WORDS, map(_value, cells), strict=True))}
        return _counted(self._sale, lambda tally: self._sale.count_own(row, tally))

    def _count_lacking(self, nulls: Any) -> Tally:
        return _difference(self._sale, _row(_NULLS, ()) | _USUAL, _row(_NULLS, nulls) | _USUAL)

    def _count_line(self, lacking: Any) -> Tally:
        usual = _row(_LINE, ())
        if not lacking:
            return _counted(self._line, lambda tally: self._line.count(usual, tally))
        return _difference(self._line, usual, {**usual, **dict.fromkeys(lacking)})


class _Known(dict[Any, Tally]):
    """What is counted of one of those that are alike, of as many kinds as a process remembers."""

    def __init__(self, count: Callable[[Any], Tally]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, kind: Any) -> Tally:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[kind] = found = self._count(kind)
        return found


def _counted(census: RowCensus, count: Callable[[Tally], None]) -> Tally:
    tally = Tally()
    count(tally)
    census.flush(tally)
    return tally


def _difference(census: RowCensus, usual: Row, row: Row) -> Tally:
    """What is counted of a row that is not counted of the usual one, which lacks nothing."""
    found = _counted(census, lambda tally: census.count(row, tally))
    found.defaults.subtract(_counted(census, lambda tally: census.count(usual, tally)).defaults)
    return found


def _nulls(cells: Cells) -> tuple[bool, ...]:
    return tuple([cell is None for cell in cells])


def _row(columns: Sequence[str], nulls: Sequence[bool]) -> dict[str, object]:
    """A row of which is known only what is NULL; () is nothing."""
    if not nulls:
        return dict.fromkeys(columns, _ANY)
    return {
        column: None if is_null else _ANY for column, is_null in zip(columns, nulls, strict=True)
    }


def _value(cell: bytes | None) -> object:
    return None if cell is None else orjson.loads(cell)
