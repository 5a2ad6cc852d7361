"""Who contributes to the rows of a reconciliation: S9's own sums, quarantine, what the transform
has computed, the differences that verification has found, and what the target adds up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from utils.differences import (
    ADDED,
    BY_APPLICATION,
    BY_SOURCE,
    DELETED,
    EXTRA,
    MISSING,
    NEW_IN_SOURCE,
    REMOVED_IN_SOURCE,
    RecordDifference,
)
from utils.differences import KEPT as LEFT
from utils.differences import KEPT_ABSENT as LEFT_OUT
from utils.differences import REFUSED as REFUSED_BY_LOAD
from utils.dynamodb.item_text import attributes_of_line, source_key_of
from utils.entities import Dimension, Shape, column_of, shape_of
from utils.files.artifacts import lines_of, starts_record
from utils.files.extracted_rows import key_of_row
from utils.files.quarantine import Refusal
from utils.sums.source_sums import (
    Group,
    Head,
    columns_by,
    group_of,
    measures_of,
    parsed,
    read_incomplete,
)
from validate.reconciliation.rows import (
    APPLICATION,
    COMPUTED,
    DAMAGE,
    KEPT,
    OTHERWISE,
    QUARANTINE,
    REFUSED,
    S9,
    SINCE,
    TARGET,
    UNCONVERTIBLE,
    Label,
    RowKey,
    Rows,
)
from validate.sums.facts import SEPARATOR, OtherType, facts_json, facts_of, positions_of
from validate.sums.figures import ZERO, Figures, amount_of
from validate.sums.sums import Row as SumsRow
from validate.sums.sums import SumsBuilder

LabelsOf = Callable[[Mapping[str, Any]], Mapping[str, str | None]]
"""What the target calls the values of columns of S9 (by canonical name): by attribute; None for a
value with which there is no item."""

_COLUMN_OF = {
    LEFT: KEPT,
    LEFT_OUT: KEPT,
    REFUSED_BY_LOAD: REFUSED,
    **dict.fromkeys(BY_APPLICATION, APPLICATION),
    **dict.fromkeys(BY_SOURCE, SINCE),
}
# How many lines of a record there are more for an item of which this is said. (A line that the
# application has deleted is still there, and counted as the application counts it.)
_LINES_MORE = {
    MISSING: -1,
    EXTRA: 1,
    ADDED: 1,
    LEFT_OUT: -1,
    REFUSED_BY_LOAD: -1,
    NEW_IN_SOURCE: -1,
    REMOVED_IN_SOURCE: 1,
}
_RECORD_SK = "METADATA"
_SOMEBODY: Mapping[str, Any] = {}  # a party of which nothing is of interest but that it is there

_Parts = dict[bytes, Figures]
_HELD = 20_000  # groups in memory at once


class _Labelled(NamedTuple):
    """A group of S9's: its columns with their values, what the target calls these, by attribute,
    and what its records add up to."""

    by: tuple[str, ...]
    values: Mapping[str, Any]
    said: Mapping[str, str | None]
    figures: Figures

    def with_more(self, figures: Figures) -> _Labelled:
        """The same with what others add up to."""
        return self._replace(figures=self.figures + figures)


@dataclass(frozen=True)
class Contributors:
    """Fills the rows of an entity. `labels` says what the target calls S9's values."""

    shape: Shape
    rows: Rows
    labels: LabelsOf

    def source(self, groups: Iterable[Group], head: Head) -> None:
        """S9's own sums."""
        for group in self._together(groups, head):
            for key, s9_key, figures in self._rows_of(group):
                self.rows.add(key, S9, figures, s9_key=s9_key)

    def refused(self, refusals: Iterator[Refusal], head: Head) -> None:
        """The records in quarantine, as S9 has added them up."""
        for refusal in refusals:
            row = parsed(refusal.record)
            for figures, key in self._of_row(row, refusal.items - 1, head):
                self.rows.add(key, QUARANTINE, -figures)

    def computed(self, transformed: Path, sums: Path, head: Head, scratch: Path) -> None:
        """The amounts that the transform has computed, since S9 has none that is a plain number."""
        listed = read_incomplete(sums)
        lacking = next(listed, None)
        if lacking is None and not head.absent:
            return
        places = [positions_of(self.shape.name)[each] for each in measures_of(self.shape).amounts]
        builder = SumsBuilder(scratch, self.shape.name)
        for record in records_of(transformed):
            if lacking is None and not head.absent:
                break
            while lacking is not None and lacking.key < record.key:
                lacking = next(listed, None)
            without = set(head.absent)
            if lacking is not None and lacking.key == record.key:
                without.update(lacking.without)
            if without:
                facts = record.facts_text(self.shape).split(SEPARATOR)
                for number, place in enumerate(places):
                    if number not in without:
                        facts[place] = b"0"
                builder.add(SEPARATOR.join(facts), 0)
        nothing = (0,) * self.rows.amounts
        for row in builder.finish().rows():
            key = RowKey(row.by, _as_label(row.label), _as_label(row.currency))
            self.rows.add(key, COMPUTED, Figures(0, 0, row.figures.amounts, nothing))

    def target(self, found: Iterable[SumsRow]) -> None:
        """What the target adds up to."""
        for row in found:
            key = RowKey(row.by, _as_label(row.label), _as_label(row.currency))
            self.rows.add(key, TARGET, row.figures)

    def difference(self, record: RecordDifference) -> None:
        """A record that the target has otherwise than S9, by whomever."""
        if record.expected is None and record.found is None:
            return
        if record.found is not None and _is_deleted(record):
            # It is still in the table, and the application shows it to nobody.
            for key in self._keys(record.found):
                self.rows.add(key, TARGET, -self._figures(record.found))
            record = replace(record, found=None)
        column, lines = _explained(record)
        parts: _Parts = {}
        if record.expected is not None:
            self._into(parts, record.expected, -1)
        if record.found is not None:
            self._into(parts, record.found, 1, lines=-sum(lines.values()))
        self._take(parts, column, record)
        for other, count in lines.items():
            if record.found is not None and count:
                only = Figures(0, count, (ZERO,) * self.rows.amounts, (0,) * self.rows.amounts)
                more = {key.as_text(): only for key in self._keys(record.found)}
                self._take(more, other, record)

    def _take(self, parts: _Parts, column: str, record: RecordDifference) -> None:
        for text, figures in parts.items():
            if not figures.is_nothing:
                key = RowKey.of_text(text)
                self.rows.add(key, column, figures)
                if column == DAMAGE:
                    self.rows.name(key, record.legacy_id or str(record.pk))

    def otherwise(
        self, extracted: Path, transformed: Path, head: Head, skip: frozenset[str]
    ) -> int:
        """Records whose rows S9 has with other values than the transformed file: name them.

        `skip` are the keys of those in quarantine. Returns how many there are.
        """
        records = records_of(transformed)
        record = next(records, None)
        count = 0
        for line in lines_of(extracted):
            key = key_of_row(line) or 0
            while record is not None and record.key < key:
                record = next(records, None)
            mine = record if record is not None and record.key == key else None
            if mine is None and str(key) in skip:
                continue
            count += self._compare(parsed(line), mine, head)
        return count

    def _compare(self, row: Mapping[str, Any], record: FileRecord | None, head: Head) -> bool:
        parts: _Parts = {}
        without: set[int] = set()
        for figures, key in self._of_row(row, self.shape.items_in(row) - 1, head):
            parts[key.as_text()] = -figures
            without.update(place for place, count in enumerate(figures.without) if count)
        if record is not None:
            facts = record.facts(self.shape)
            whole = self._figures(facts)
            amounts = tuple(
                ZERO if place in without else each for place, each in enumerate(whole.amounts)
            )
            mine = Figures(1, whole.lines, amounts, (0,) * len(amounts))
            for key in self._keys(facts):
                text = key.as_text()
                parts[text] = parts[text] + mine if text in parts else mine
        wrong = {text: each for text, each in parts.items() if not each.is_nothing}
        for text, figures in wrong.items():
            key = RowKey.of_text(text)
            self.rows.add(key, OTHERWISE, figures)
            self.rows.name(key, str(row.get("first_id")))
        return bool(wrong)

    def _of_row(
        self, row: Mapping[str, Any], lines: int, head: Head
    ) -> Iterator[tuple[Figures, RowKey]]:
        for by in columns_by(self.shape):
            group = group_of(row, by, self.shape, lines=lines, absent=head.absent)
            for key, _, figures in self._rows_of(self._labelled(group, head)):
                yield figures, key

    def _together(self, groups: Iterable[Group], head: Head) -> Iterator[_Labelled]:
        """What S9's groups are called. Those by columns of few values come in one for each of the
        labels that they have in rows, since of every day of S9's there are some."""
        few = columns_by(self.shape)[0]
        cells: dict[tuple[str | None, ...], _Labelled] = {}
        for group in groups:
            each = self._labelled(group, head)
            if group.by != few:
                yield each
                continue
            cell = tuple(
                label and label[: _longest(self.shape.name, attribute)]
                for attribute, label in each.said.items()
            )
            known = cells.get(cell)
            cells[cell] = each if known is None else known.with_more(each.figures)
            if len(cells) > _HELD:
                yield from cells.values()
                cells = {}
        yield from cells.values()

    def _labelled(self, group: Group, head: Head) -> _Labelled:
        values = dict(zip(group.by, group.labels, strict=True))
        said = self.labels({**values, **dict.fromkeys(head.zero, _SOMEBODY)})
        figures = Figures(group.records, group.lines, group.amounts, group.without)
        return _Labelled(group.by, values, said, figures)

    def _rows_of(self, group: _Labelled) -> Iterator[tuple[RowKey, str, Figures]]:
        """The rows that a group is part of, with S9's own key where it is of one."""
        said, values = group.said, group.values
        currency = _said(said, measures_of(self.shape).currency)
        for dimension, names in _dimensions(self.shape.name, group.by):
            key = RowKey(
                dimension.name, _cut(_said(said, dimension.attribute), dimension), currency
            )
            s9_key = str(values[column_of(dimension.attribute)]) if names else ""
            yield key, s9_key, group.figures

    def _into(self, parts: _Parts, facts: Mapping[str, Any], sign: int, *, lines: int = 0) -> None:
        """Add a record (or take it out) in every row in which it is, with some `lines` more."""
        figures = self._figures(facts)
        no_amounts = Figures.none(self.rows.amounts)
        figures += Figures(0, lines, no_amounts.amounts, no_amounts.without)
        for key in self._keys(facts):
            text = key.as_text()
            part = figures if sign > 0 else -figures
            parts[text] = parts[text] + part if text in parts else part

    def _figures(self, facts: Mapping[str, Any]) -> Figures:
        amounts: list[Decimal | None] = []
        for name in measures_of(self.shape).amounts:
            text = facts.get(name)
            amounts.append(amount_of(text.encode()) if isinstance(text, str) else None)
        return Figures(
            1,
            int(facts["lines"]),
            tuple(each or ZERO for each in amounts),
            tuple(int(each is None) for each in amounts),
        )

    def _keys(self, facts: Mapping[str, Any]) -> Iterator[RowKey]:
        measures = measures_of(self.shape)
        currency = facts.get(measures.currency)
        for dimension in measures.dimensions:
            label = _cut(facts.get(dimension.attribute), dimension)
            yield RowKey(dimension.name, label, currency)


@cache
def _dimensions(entity: str, by: tuple[str, ...]) -> list[tuple[Dimension, bool]]:
    """The dimensions of which a group of these columns has the values (each is of one group), and
    whether they name other records."""
    shape = shape_of(entity)
    first = columns_by(shape)[0]
    named = {each.attribute for each in shape.references}
    return [
        (each, each.attribute in named)
        for each in measures_of(shape).dimensions
        if (column := column_of(each.attribute)) in by and (by == first or column not in first)
    ]


@cache
def _longest(entity: str, attribute: str) -> int | None:
    """How many characters of an attribute's values count in any row; None: all."""
    dimensions = measures_of(shape_of(entity)).dimensions
    lengths = [each.length for each in dimensions if each.attribute == attribute]
    return max(lengths) if all(lengths) and lengths else None


@dataclass
class FileRecord:
    """A record of a transformed file: S9's key, the line that opens it, and how many follow."""

    key: int
    line: bytes
    lines: int = 0

    def facts(self, shape: Shape) -> Mapping[str, Any]:
        """Its facts, as the file of differences has them."""
        return facts_json(self.facts_text(shape), self.lines, shape.name) or {}

    def facts_text(self, shape: Shape) -> bytes:
        """The same as the text that is added up."""
        return facts_of(attributes_of_line(self.line), shape.name)


def records_of(transformed: Path) -> Iterator[FileRecord]:
    """The records of a transformed file, in its order."""
    record: FileRecord | None = None
    for line in lines_of(transformed):
        if starts_record(line):
            if record is not None:
                yield record
            record = FileRecord(source_key_of(line) or 0, line)
        elif record is not None:
            record.lines += 1
    if record is not None:
        yield record


def _explained(record: RecordDifference) -> tuple[str, dict[str, int]]:
    """The column that explains the item that opens a record, and how many lines more (or less)
    there are for what other columns explain."""
    columns = {_column(each.how) for each in record.items}
    head = [_column(each.how) for each in record.items if each.sk == _RECORD_SK]
    order = (APPLICATION, KEPT, SINCE, REFUSED, DAMAGE)
    column = head[0] if head else next((each for each in order if each in columns), DAMAGE)
    lines: dict[str, int] = {}
    if record.expected is not None and record.found is not None:
        for item in record.items:
            other = _column(item.how)
            if item.sk != _RECORD_SK and other != column:
                lines[other] = lines.get(other, 0) + _LINES_MORE.get(item.how, 0)
    return column, lines


def _is_deleted(record: RecordDifference) -> bool:
    return any(each.how == DELETED and each.sk == _RECORD_SK for each in record.items)


def _column(how: str) -> str:
    return _COLUMN_OF.get(how, DAMAGE)


def _said(labels: Mapping[str, str | None], attribute: str) -> Label:
    label = labels[attribute]
    return UNCONVERTIBLE if label is None else label


def _cut(label: Label, dimension: Dimension) -> Label:
    if dimension.length and isinstance(label, str):
        return label[: dimension.length]
    return label


def _as_label(fact: str | OtherType | None) -> Label:
    return {"type": fact.kind} if isinstance(fact, OtherType) else fact
