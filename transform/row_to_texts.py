"""How a row becomes the lines of a transformed file: by the transform of its entity, with the
adapter of its layout before and after it, or the quick way where that knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple, Protocol

import orjson

from transform.census.tally import Tally
from transform.fast.sales import fast_sales
from transform.items.adapter_notes import Notes
from transform.items.attributes import ColumnTargets, Item, Row, fill, targets_of
from transform.items.legacy import legacy_of
from transform.items.parties import PartyKind
from transform.items.placeholders import put_placeholders
from transform.items.sale_parties import copied_targets
from transform.layout import Layout, Values, complete_already, layout_of
from transform.rejections import RejectedRecord, Rejections, Unconvertible
from transform.rules import TransformRules
from transform.transform_buyers import buyer_targets, buyer_to_items
from transform.transform_producers import producer_targets, producer_to_items
from transform.transform_sales import line_targets, sale_targets, sale_to_items, sale_to_texts
from utils.dynamodb.item_content import line_of
from utils.entities import part_of, shape_of

Transform = Callable[[Row, TransformRules], list[Item]]
Texts = Callable[[Row, TransformRules], list[str]]

_HERE = "transform/row_to_texts.py"
TRANSFORMS: dict[str, Transform] = {
    "buyers": buyer_to_items,
    "producers": producer_to_items,
    "sales": sale_to_items,
}
_TARGETS: dict[str, Callable[[TransformRules], ColumnTargets]] = {
    "buyers": buyer_targets,
    "producers": producer_targets,
    "sales": sale_targets,
    "lines": line_targets,
}

_COPIES: tuple[PartyKind, ...] = ("buyer", "producer")


def column_targets(entity: str, rules: TransformRules) -> ColumnTargets:
    """The attributes that the canonical columns of an entity (or of lines) become, by the rules'
    layout. A column that is not there has no place in the target."""
    further = targets_of(layout_of(rules.layout).adapter(entity).further)
    return {**part_of(_TARGETS, entity, _HERE)(rules), **further}


def all_targets(entity: str, rules: TransformRules) -> dict[str, ColumnTargets]:
    """The same for every part of an entity's rows: its own, its children's, and those of the
    parties that it copies, by their kind."""
    shape = shape_of(entity)
    parts = [entity, *([shape.children.name] if shape.children else [])]
    targets = {part: column_targets(part, rules) for part in parts}
    named = [shape_of(name).singular for name in shape.needs]
    return {**targets, **{str(kind): copied_targets(kind) for kind in _COPIES if kind in named}}


@lru_cache(maxsize=16)
def transform_of(entity: str, rules: TransformRules) -> Transform:
    """The function that turns extracted rows of an entity into items, by the rules' layout."""
    layout = layout_of(rules.layout)
    transform = part_of(TRANSFORMS, entity, _HERE)
    if layout.is_plain and not rules.placeholders:
        return transform
    return _Adapted(layout, entity, rules).items


@lru_cache(maxsize=16)
def texts_of(entity: str, rules: TransformRules) -> Texts:
    """The same function, but it gives lines of a transformed file (without their line breaks)."""
    transform = transform_of(entity, rules)
    if transform is sale_to_items:
        return sale_to_texts
    if transform is TRANSFORMS[entity]:
        return _texts_by(transform)
    return _Adapted(layout_of(rules.layout), entity, rules).texts


def as_transformed(to_texts: Texts, row: Row) -> tuple[Row, list[tuple[str, str]]]:
    """The row that `to_texts` has just transformed, in the form in which the transforms know it,
    with the adapted rows of its lines; and the rules of what the adapter was in doubt about, each
    with the kind of row."""
    adapted = getattr(to_texts, "__self__", None)
    return adapted.taken() if isinstance(adapted, _Adapted) else (row, [])


def _texts_by(transform: Transform) -> Texts:
    def texts(row: Row, rules: TransformRules) -> list[str]:
        return [_text_of(item) for item in transform(row, rules)]

    return texts


def _text_of(item: Item) -> str:
    return line_of(item).decode()


def fast_way_of(entity: str, rules: TransformRules, lines: Sequence[bytes]) -> FastWay:
    """The quick way from extracted lines to the same texts. `lines` are some that it is for."""
    if transform_of(entity, rules) is sale_to_items:
        usual = fast_sales(lines, rules)
        if usual is not None:
            return usual
    return _ALL_UNUSUAL


class FastWay(Protocol):
    """A way that knows only what is usual."""

    def texts(self, line: bytes) -> list[bytes] | None:
        """The texts that a line becomes; None for any line that is unusual."""

    def count_into(self, tally: Tally) -> None:
        """Add what was applied to the lines since the last time."""


class _AllUnusual:
    """The way of entities that have no quick one."""

    def texts(self, _line: bytes) -> list[bytes] | None:
        return None

    def count_into(self, _tally: Tally) -> None:
        return


_ALL_UNUSUAL = _AllUnusual()


class _Part(NamedTuple):
    """A row of a record (the record's own or a line's), adapted."""

    kind: str
    row: Row
    notes: Notes


class _Adapted:
    """The transform of one entity, with a layout's adapter before and after it."""

    def __init__(self, layout: Layout, entity: str, rules: TransformRules) -> None:
        self._entity = entity
        transform = TRANSFORMS[entity]
        self._transform = sale_to_texts if transform is sale_to_items else _texts_by(transform)
        shape = shape_of(entity)
        self._children = shape.children.name if shape.children else ""
        parts = (entity, self._children) if self._children else (entity,)
        self._adapters = {name: layout.adapter(name) for name in parts}
        self._copies = {shape_of(name).singular: layout.adapter(name) for name in shape.needs}
        self._known = {name: column_targets(name, rules) for name in self._adapters}
        self._carries = layout.carries
        self._last: list[_Part] = []

    def items(self, row: Row, rules: TransformRules) -> list[Item]:
        """Return a record's items. Raises RejectedRecord with all that is wrong with it."""
        return [orjson.loads(text)["Item"] for text in self.texts(row, rules)]

    def texts(self, row: Row, rules: TransformRules) -> list[str]:
        """The same as lines of a transformed file, without their line breaks. Of a sale with fifty
        thousand lines one item at a time is a dictionary."""
        rejections = Rejections()
        parts = self._parts(row, rejections, rules)
        try:
            texts = self._transform(parts[0].row, rules)
        except RejectedRecord as refused:
            rejections.add_others(refused.rejections)
            rejections.raise_if_any()
            raise
        if len(texts) != len(parts):
            raise ValueError("a record has as many items as it has rows")
        for position, part in enumerate(parts):
            if position:
                rejections.at_line(position, part.row.get("id"))
            item = orjson.loads(texts[position])["Item"]
            self._put_the_rest(item, part, rejections)
            texts[position] = _text_of(item)
        rejections.raise_if_any()
        for position, part in enumerate(parts):
            complete = self._adapters[part.kind].complete
            if complete is not complete_already:
                item = orjson.loads(texts[position])["Item"]
                with _refusing(rejections):
                    complete(item, part.row)
                texts[position] = _text_of(item)
        rejections.raise_if_any()
        self._last = parts
        return texts

    def taken(self) -> tuple[Row, list[tuple[str, str]]]:
        """The record that was transformed last (its row, adapted, holds those of its lines), and
        its doubts. Nothing of it is kept: a sale may have fifty thousand lines."""
        parts, self._last = self._last, []
        doubts = [
            (part.kind, doubt.partition(":")[0])
            for part in parts
            for doubt in part.notes.doubts.values()
        ]
        return parts[0].row, doubts

    def _put_the_rest(self, item: Item, part: _Part, rejections: Rejections) -> None:
        """Put in what the transform does not know of: further attributes, and `legacy`."""
        fill(item, part.row, self._adapters[part.kind].further, rejections)
        row = part.row if self._carries else {}
        if legacy := legacy_of(row, self._known[part.kind], part.notes, rejections):
            item["legacy"] = legacy

    def _parts(self, row: Row, rejections: Rejections, rules: TransformRules) -> list[_Part]:
        """The record's own row, adapted, and those of its lines, which it also holds."""
        row = {**row, **self._parties(row, rejections)}
        head = self._part(self._entity, row, rejections, rules)
        put_placeholders(self._entity, head.row, head.notes, rules)
        parts = [head]
        lines = row.get(self._children)
        if isinstance(lines, list) and all(isinstance(line, dict) for line in lines):
            for position, line in enumerate(lines, start=1):
                rejections.at_line(position, line.get("id"))
                parts.append(self._part(self._children, line, rejections, rules))
            rejections.at_record()
            head.row[self._children] = [part.row for part in parts[1:]]
        return parts

    def _parties(self, row: Row, rejections: Rejections) -> Row:
        """The copies of parties that a record carries, with their values converted."""
        return {
            kind: _converted(row[kind], adapter.values, rejections, f"{kind}.")
            for kind, adapter in self._copies.items()
            if isinstance(row.get(kind), dict)
        }

    def _part(self, kind: str, row: Row, rejections: Rejections, rules: TransformRules) -> _Part:
        adapter, notes = self._adapters[kind], Notes(rejections)
        adapted = _converted(row, adapter.values, rejections)
        with _refusing(rejections):
            adapter.adapt(adapted, notes, rules)
        return _Part(kind, adapted, notes)


def _converted(row: Row, values: Values, rejections: Rejections, path: str = "") -> Row:
    """A copy of a row with its values converted; what is refused is noted, and None."""
    converted = dict(row)
    for column, convert in values.items():
        if (value := row.get(column)) is not None:
            try:
                converted[column] = convert(value)
            except Unconvertible as problem:
                rejections.add_value(path + column, problem)
                converted[column] = None
    return converted


@contextmanager
def _refusing(rejections: Rejections) -> Iterator[None]:
    """What a layout's function finds unconvertible, of whichever column, refuses the record."""
    try:
        yield
    except Unconvertible as problem:
        rejections.add_value("", problem)
