"""The rows of a reconciliation: for each value of each dimension what S9 has, what is between, and
what the target has, added up in constant memory.

A row is of one currency. What it holds comes in parts, from whoever contributes to it; a record
that has moved from one row to another contributes to both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from utils.entities import Shape
from utils.files.spill import Spill, SpillFile
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


def label_text(label: Label) -> str:
    """A value as people read it."""
    if label is None:
        return "(none)"
    if isinstance(label, str):
        return label or "(blank)"
    if kind := label.get("type"):
        return f"(not a text: {kind})"
    return "(not convertible)"


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

    def names(self, sales: Sequence[str], count: int) -> None:
        """Sales make a difference."""
        self.count += count
        if not sales:  # of nearly all rows
            return
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
    """Gathers what is in the rows of an entity, into runs below `scratch`."""

    def __init__(self, scratch: Path, shape: Shape) -> None:
        self._scratch = scratch
        self._rows: dict[bytes, Row] = {}
        self._runs: tuple[SpillFile, ...] = ()
        self.amounts = len(measures_of(shape).amounts)

    def add(self, key: RowKey, column: str, figures: Figures, *, s9_key: str = "") -> None:
        """Add to a column of a row."""
        row = self._row(key)
        row.add(column, figures)
        row.key = row.key or s9_key
        if len(self._rows) > _HELD:
            self._write()

    def name(self, key: RowKey, sale: str) -> None:
        """A sale makes a difference in a row."""
        self._row(key).names([sale], 1)

    def take(self, runs: tuple[SpillFile, ...]) -> None:
        """Take what others have gathered."""
        self._runs += runs

    def _row(self, key: RowKey) -> Row:
        return self._rows.setdefault(key.as_text(), Row())

    def _write(self) -> None:
        spill = Spill(self._scratch)
        spill.add((key, key + b"\t" + row.as_text()) for key, row in self._rows.items())
        self._runs += spill.finish()
        self._rows = {}

    def finish(self) -> tuple[SpillFile, ...]:
        """All that was gathered; a row may be there in several parts. More can be added."""
        self._write()
        return self._runs


def rows_in(lines: Iterable[bytes]) -> dict[bytes, Row]:
    """The rows of a bucket of such runs, whole, by the texts of their keys."""
    rows: dict[bytes, Row] = {}
    for line in lines:
        key, _, text = line.partition(b"\t")
        part = Row.from_text(text)
        if (known := rows.get(key)) is None:
            rows[key] = part
        else:
            known.extend(part)
    return rows
