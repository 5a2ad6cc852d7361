"""The rows of a reconciliation: for each value of each dimension what S9 has, what is between, and
what the target has, added up in constant memory.

A row is of one currency. What it holds comes in parts, from whoever contributes to it; a record
that has moved from one row to another contributes to both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import NamedTuple

import orjson

from utils.entities import Shape
from utils.files.artifacts import lines_of
from utils.files.elsewhere import write_temporary
from utils.files.spill import Spill, SpillFile, ranges, read_buckets
from utils.sums.source_sums import measures_of
from validate.sums.figures import Figures

S9, QUARANTINE, COMPUTED, REFUSED = "s9", "quarantine", "computed", "refused"
KEPT, APPLICATION, SINCE, TARGET = "kept", "application", "since", "target"
DAMAGE, OTHERWISE = "damage", "otherwise"  # what explains a difference, and is none of the others
COLUMNS = (S9, QUARANTINE, COMPUTED, REFUSED, KEPT, APPLICATION, SINCE, TARGET)
_EXPECTED = COLUMNS[:-1]

NAMED = 20  # sales that a row names; their count is always whole
_HELD = 20_000  # rows in memory at once

Label = str | Mapping[str, str] | None
"""A value: a text; {"type": …} of an attribute that is none, {"refused": ""} of a value of S9's
that nothing in the target stands for; None where there is none."""

UNCONVERTIBLE: Label = {"refused": ""}


class RowKey(NamedTuple):
    """Which row: of a dimension (its name) a value, in a currency."""

    by: str
    label: Label
    currency: Label

    def as_text(self) -> bytes:
        """One text without tab and line break, different for every row."""
        return orjson.dumps(list(self), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def of_text(cls, text: bytes) -> RowKey:
        """What `as_text` has written."""
        return cls(*orjson.loads(text))


@dataclass
class Row:
    """What is in a row, by column; `sales` are some of those that make a difference, `count` is how
    many do. `key` is S9's own key, where the row is of a record that others name."""

    columns: dict[str, Figures] = field(default_factory=dict)
    sales: list[str] = field(default_factory=list)
    count: int = 0
    key: str = ""

    def add(self, column: str, figures: Figures) -> None:
        """Add to a column."""
        known = self.columns.get(column)
        self.columns[column] = figures if known is None else known + figures

    def names(self, sales: Iterable[str], count: int) -> None:
        """Sales make a difference."""
        self.count += count
        self.sales += [each for each in sales if each not in self.sales][: NAMED - len(self.sales)]

    def extend(self, other: Row) -> None:
        """Take in what is in another part of the row."""
        for column, figures in other.columns.items():
            self.add(column, figures)
        self.names(other.sales, other.count)
        self.key = self.key or other.key

    def column(self, name: str, amounts: int) -> Figures:
        """What is in a column."""
        return self.columns.get(name, Figures.none(amounts))

    def difference(self, amounts: int) -> Figures:
        """What the target has and should not have (what it lacks: negative)."""
        off = self.column(TARGET, amounts)
        for name in _EXPECTED:
            if (due := self.columns.get(name)) is not None:
                off -= due
        return off

    def unexplained(self, amounts: int) -> Figures:
        """What of the difference no record explains."""
        left = self.difference(amounts)
        for name in (DAMAGE, OTHERWISE):
            if (known := self.columns.get(name)) is not None:
                left -= known
        return left

    def as_text(self) -> bytes:
        """One text without tab and line break, of which `from_text` makes the same."""
        columns = {name: each.as_text().decode() for name, each in self.columns.items()}
        return orjson.dumps([columns, self.sales, self.count, self.key])

    @classmethod
    def from_text(cls, text: bytes) -> Row:
        """What `as_text` has written."""
        columns, sales, count, key = orjson.loads(text)
        figures = {name: Figures.from_text(each.encode()) for name, each in columns.items()}
        return cls(figures, sales, count, key)


class Rows:
    """Gathers the rows of an entity; what memory should not hold goes below `scratch`."""

    def __init__(self, scratch: Path, shape: Shape) -> None:
        measures = measures_of(shape)
        self._scratch = scratch
        self._rows: dict[bytes, Row] = {}
        self._runs: tuple[SpillFile, ...] = ()
        self.amounts = len(measures.amounts)
        self._order = {each.name: n for n, each in enumerate(measures.dimensions)}

    def add(self, key: RowKey, column: str, figures: Figures, *, s9_key: str = "") -> None:
        """Add to a column of a row."""
        row = self._row(key)
        row.add(column, figures)
        row.key = row.key or s9_key
        self._make_room()

    def name(self, key: RowKey, sale: str) -> None:
        """A sale makes a difference in a row."""
        self._row(key).names([sale], 1)

    def _row(self, key: RowKey) -> Row:
        return self._rows.setdefault(key.as_text(), Row())

    def _make_room(self) -> None:
        if len(self._rows) > _HELD:
            spill = Spill(self._scratch)
            spill.add((key, key + b"\t" + row.as_text()) for key, row in self._rows.items())
            self._runs += spill.finish()
            self._rows = {}

    def each(self) -> Iterator[tuple[RowKey, Row]]:
        """Every row, whole, in any order."""
        if not self._runs:
            for text, row in self._rows.items():
                yield RowKey.of_text(text), row
            return
        spill = Spill(self._scratch)
        spill.add((key, key + b"\t" + row.as_text()) for key, row in self._rows.items())
        runs = (*self._runs, *spill.finish())
        for numbers in ranges(runs):
            for lines in read_buckets(runs, numbers):
                rows: dict[bytes, Row] = {}
                for line in lines:
                    key, _, text = line.partition(b"\t")
                    rows.setdefault(key, Row()).extend(Row.from_text(text))
                yield from ((RowKey.of_text(key), row) for key, row in rows.items())

    def in_order(self) -> Iterator[tuple[RowKey, Row]]:
        """The same in the order in which they are read: by dimension, value and currency."""
        if not self._runs:
            yield from sorted(self.each(), key=self._order_of)
            return
        files: list[Path] = []
        held: list[bytes] = []
        for key, row in self.each():
            held.append(self._sortable(key, row) + b"\t" + key.as_text() + b"\t" + row.as_text())
            if len(held) >= _HELD:
                files.append(self._sorted(held))
                held = []
        files.append(self._sorted(held))
        for line in merge(*map(lines_of, files)):
            _, key_text, row_text = line.rstrip(b"\n").split(b"\t")
            yield RowKey.of_text(key_text), Row.from_text(row_text)
        for path in files:
            path.unlink()

    def _order_of(self, each: tuple[RowKey, Row]) -> tuple[bytes, bytes]:
        return self._sortable(*each), each[0].as_text()

    def _sorted(self, held: list[bytes]) -> Path:
        return write_temporary(self._scratch, b"".join(each + b"\n" for each in sorted(held)))

    def _sortable(self, key: RowKey, row: Row) -> bytes:
        number = f"{int(row.key):040}" if row.key.isdecimal() else ""
        place = self._order.get(key.by, len(self._order))
        return orjson.dumps([place, number, *map(_text, (key.label, key.currency))])


def _text(label: Label) -> str:
    return label if isinstance(label, str) else "\uffff" + str(label)
