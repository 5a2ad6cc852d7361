"""The rows of a reconciliation in pieces that processes can share: what S9 has added up, what the
target adds up to, and the rows put together, bucket by bucket.

Of most rows nothing is to be said but what the table has of them. So whoever puts a row together
writes its lines of the table as well, and the rows pass as texts that are only put in order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import NamedTuple

import orjson

from utils.entities import shape_of
from utils.files.artifacts import lines_of
from utils.files.elsewhere import write_temporary
from utils.files.pieces import ByteRange, rows_at
from utils.files.spill import SpillFile, read_buckets
from utils.reports.spreadsheet import SEPARATOR
from utils.sums.source_sums import Head, groups_in, measures_of
from validate.reconciliation.lines import write_row
from validate.reconciliation.parts import Contributors, LabelsOf
from validate.reconciliation.rows import Label, Row, RowKey, Rows, label_text, rows_in
from validate.sums.figures import Figures
from validate.sums.sums import Sums

_END_OF_ROW = "\x1e"  # in no cell (utils/reports/spreadsheet.py)
_PLAIN, _SAID = b"=", b"!"


@dataclass(frozen=True)
class SourcePass:
    """Reads pieces of S9's own sums; runs go below `scratch`."""

    path: Path
    entity: str
    labels: LabelsOf
    head: Head
    scratch: Path

    def __call__(self, place: ByteRange) -> tuple[SpillFile, ...]:
        rows = Rows(self.scratch, shape_of(self.entity))
        parts = Contributors(shape_of(self.entity), rows, self.labels)
        parts.source(groups_in(rows_at(self.path, place)), self.head)
        return rows.finish()


@dataclass(frozen=True)
class TargetPass:
    """Reads what the target adds up to from buckets on disk; runs go below `scratch`."""

    sums: Sums
    labels: LabelsOf
    scratch: Path

    def __call__(self, numbers: range) -> tuple[SpillFile, ...]:
        shape = shape_of(self.sums.entity)
        rows = Rows(self.scratch, shape)
        Contributors(shape, rows, self.labels).target(self.sums.rows_in(numbers))
        return rows.finish()


Columns = Mapping[str, Figures]


@dataclass
class Total:
    """What the rows of a dimension in a currency add up to; the first of them is `at` this place
    of the order."""

    by: str
    currency: Label
    at: bytes
    whole: Row = field(default_factory=Row)

    def extend(self, other: Total) -> None:
        """Take in others of the same dimension and currency."""
        self.at = min(self.at, other.at)
        self.whole.extend(other.whole)


@dataclass
class AddedUp:
    """What some rows have come to: their lines in order in `files`, of each dimension and currency
    a total, how many are `differing`, and the first of these, by its place in the order; whether
    no record explains a difference, of any row, and of one that is differing."""

    files: tuple[Path, ...] = ()
    totals: dict[tuple[str, bytes], Total] = field(default_factory=dict)
    differing: int = 0
    first: tuple[bytes, bytes, Row] | None = None
    is_unexplained: bool = False
    differs_unexplained: bool = False

    def add(self, other: AddedUp) -> None:
        """Take in what others have come to."""
        self.files += other.files
        for key, total in other.totals.items():
            if (known := self.totals.get(key)) is None:
                self.totals[key] = total
            else:
                known.extend(total)
        self.differing += other.differing
        both = [each for each in (self.first, other.first) if each is not None]
        self.first = min(both, key=lambda each: each[:2], default=None)
        self.is_unexplained |= other.is_unexplained
        self.differs_unexplained |= other.differs_unexplained

    def remove(self) -> None:
        """Take the files away."""
        for path in self.files:
            path.unlink()
        self.files = ()

    def in_order(self) -> Iterator[Line]:
        """All rows in the order in which they are read: by dimension, value and currency."""
        for line in merge(*map(lines_of, self.files)):
            _, key, mark, table, text = line.rstrip(b"\n").split(b"\t")
            yield Line(RowKey.of_text(key), mark == _PLAIN, table, text)


class Line(NamedTuple):
    """A row on its way into the table. `is_plain`: nothing is to be said of it."""

    key: RowKey
    is_plain: bool
    in_table: bytes
    text: bytes

    @property
    def table(self) -> str:
        """Its lines of the table."""
        return self.in_table.decode().replace(_END_OF_ROW, "\r\n")

    @property
    def row(self) -> Row:
        """What is in it."""
        return Row.from_text(self.text)


@dataclass(frozen=True)
class AddingPass:
    """Puts the rows in buckets of `runs` together; files go below `scratch`."""

    runs: tuple[SpillFile, ...]
    entity: str
    scratch: Path

    def __call__(self, numbers: range) -> AddedUp:
        found, lines = AddedUp(), list[bytes]()
        for bucket in read_buckets(self.runs, numbers):
            for key, row in rows_in(bucket).items():
                lines.append(self._line(key, row, found))
        text = b"".join(each + b"\n" for each in sorted(lines))
        found.files = (write_temporary(self.scratch, text),)
        return found

    @cached_property
    def _order(self) -> dict[str, int]:
        dimensions = measures_of(shape_of(self.entity)).dimensions
        return {each.name: n for n, each in enumerate(dimensions)}

    def _line(self, key_text: bytes, row: Row, found: AddedUp) -> bytes:
        amounts = len(measures_of(shape_of(self.entity)).amounts)
        key = RowKey.of_text(key_text)
        at = self._sortable(key, row)
        mark = _SAID if row.sales else _PLAIN
        currency = RowKey("", None, key.currency).as_text()
        total = found.totals.setdefault((key.by, currency), Total(key.by, key.currency, at, Row()))
        total.extend(Total(key.by, key.currency, at, Row(row.columns)))
        is_unexplained = not row.unexplained(amounts).is_nothing
        found.is_unexplained |= is_unexplained
        if not row.difference(amounts).is_nothing:
            mark = _SAID
            found.add(
                AddedUp(
                    differing=1,
                    first=(at, key_text, row),
                    differs_unexplained=is_unexplained,
                )
            )
        table = _table_of(self.entity, key, row)
        return b"\t".join((at, key_text, mark, table, row.as_text()))

    def _sortable(self, key: RowKey, row: Row) -> bytes:
        number = f"{int(row.key):040}" if row.key.isdecimal() else ""
        place = self._order.get(key.by, len(self._order))
        return orjson.dumps([place, number, *map(_text, (key.label, key.currency))])


def _text(label: Label) -> str:
    return label if isinstance(label, str) else "\uffff" + str(label)


def _table_of(entity: str, key: RowKey, row: Row) -> bytes:
    """The lines of a row in the table, as one text without a tab and a line break."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=SEPARATOR, lineterminator=_END_OF_ROW)
    write_row(entity, writer, key, label_text(key.label), row)
    return out.getvalue().encode("utf-8", "backslashreplace")


def currencies_of(totals: Sequence[Total]) -> dict[str, Row]:
    """Totals of one dimension by currency, as people read it, in their order."""
    found: dict[str, Row] = {}
    for each in sorted(totals, key=lambda total: total.at):
        found.setdefault(label_text(each.currency), Row()).extend(each.whole)
    return found
