"""What the target calls what S9's columns say: the labels under which amounts are added up.

S9 adds up its own columns by their own values (extract/sums); what these are called in the target
is said here, by the very functions that make the attributes of items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from transform.items.adapter_notes import Notes
from transform.items.attributes import Row
from transform.items.placeholders import put_placeholders
from transform.layout import Adapter, layout_of
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.ids import record_id
from transform.values.memo import Memo
from transform.values.money import whole_number
from transform.values.statuses import sale_status, sale_status_words
from transform.values.timestamps import local_clock
from transform.values.vocabularies import currency
from utils.entities import Reference, column_of, shape_of

Label = Callable[[object], str]
"""The label of a column's value. Raises Unconvertible where it has none: then there is no item."""


class _PartOfRow(dict[str, Any]):
    """Some columns of a row: it has no value in the others, and no adapter stumbles over that."""

    def __missing__(self, column: str) -> None:
        return None


class Labels:
    """Says of the columns of an entity with amounts what the target calls their values."""

    def __init__(self, entity: str, rules: TransformRules) -> None:
        self._entity = entity
        self._rules = rules
        self._adapter = layout_of(rules.layout).adapter(entity)
        shape = shape_of(entity)
        labels = _labels(rules)
        named = {each.attribute: _party(each, rules) for each in shape.references}
        grouping = shape.measures.grouping if shape.measures else ()
        self._labels = {
            column_of(name): (name, Memo(partial(_said, {**labels, **named}[name])))
            for name in grouping
        }
        plain = self._adapter == Adapter() and not rules.placeholders
        self._row_of = dict if plain else self._adapted

    def __reduce__(self) -> tuple[type[Labels], tuple[str, TransformRules]]:
        """Labels are made anew in another process."""
        return Labels, (self._entity, self._rules)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        """The labels by attribute, given (some of) the columns of a row as the extracted file has
        them. None for a value with which there is no item: its record is refused.

        What a record copies of others (as `buyer`) need be there only where a key of 0 is one's.
        """
        row = self._row_of(values)
        found = {}
        for column in values:
            if column in self._labels:
                attribute, said = self._labels[column]
                value = row[column]
                found[attribute] = None if isinstance(value, (list, dict)) else said[value]
        return found

    def _adapted(self, values: Mapping[str, Any]) -> Row:
        """The row as the transform sees it: as the layout means it, with the configured parties."""
        row, notes = _PartOfRow(_copy(values)), Notes(Rejections())
        for column, convert in self._adapter.values.items():
            if row.get(column) is not None:
                try:
                    row[column] = convert(row[column])
                except Unconvertible:
                    row[column] = _REFUSED
        with suppress(Unconvertible):  # of a column that says nothing of these
            self._adapter.adapt(row, notes, self._rules)
        put_placeholders(self._entity, row, notes, self._rules)
        return row


_REFUSED = object()


def _copy(values: Mapping[str, Any]) -> Row:
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}


def _labels(rules: TransformRules) -> dict[str, Label]:
    words = sale_status_words(rules.status_mapping)
    return {
        "saleDate": _text_of(local_clock(rules.timezone).date),
        "status": lambda value: sale_status(value, words)[0],
        "currency": _text_of(currency, rules.default_currency),
    }


def _text_of(convert: Callable[[object], Mapping[str, Any] | None], default: str = "") -> Label:
    def label(value: object) -> str:
        found = None if value is None else convert(value)
        text = found["S"] if found else default
        if not text:
            raise Unconvertible("required", "it is missing")
        return str(text)

    return label


def _party(reference: Reference, rules: TransformRules) -> Label:
    kind = shape_of(reference.entity).singular

    def label(value: object) -> str:
        key = whole_number(value)
        if key is None:
            raise Unconvertible("required", "it is missing")
        return record_id(kind, key, rules.generate_ids, rules.id_scope)

    return label


def _said(label: Label, value: object) -> str | None:
    if value is _REFUSED:
        return None
    try:
        return label(value)
    except Unconvertible:
        return None
