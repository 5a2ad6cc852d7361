"""Items as the text that is written, put together without a dictionary between.

Sales and their lines are nine tenths of what is migrated. Where values come back, what becomes of
them is remembered as the finished text of the attribute, name and all, so that most attributes of
most items are one look-up. The text is what orjson would write of the item, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson

from transform.items.attributes import Attribute, AttributeValue, Item, Row, fill, single
from transform.rejections import Rejections, Unconvertible
from transform.values.memo import remembered


class Texts:
    """A table of attributes, and the texts that columns become by it.

    The text of an attribute is `,"name":{"S":"..."}`; that of an absent one is empty.
    """

    def __init__(
        self, attributes: Iterable[Attribute], path: str = "", *, remember: bool | None = None
    ) -> None:
        """`path` stands before the columns' names in rejections, as it does for `fill`.

        `remember` says whether texts are remembered, where it is not the columns' word whether
        their values come back.
        """
        self._attributes = tuple(attributes)
        self._path = path
        self._columns = tuple(each.column for each in self._attributes)
        self._steps = tuple(
            (
                _text_of(each, remember=each.repeats if remember is None else remember),
                written(each.name, each.default) if each.default else "",
            )
            for each in self._attributes
        )
        self._required = [each.column for each in self._attributes if each.required]

    def of(self, row: Row, rejections: Rejections) -> list[str]:
        """Return the texts of all attributes in their order, as converted from `row`.

        What cannot be converted is noted, and its text is empty.
        """
        get = row.get
        try:
            if None in map(get, self._required):
                raise _MissingError
            values = zip(map(get, self._columns), self._steps, strict=True)
            return [
                text(value) if value is not None else absent for value, (text, absent) in values
            ]
        except (Unconvertible, TypeError, _MissingError):  # TypeError: a list has no hash
            return self._one_by_one(row, rejections)

    def _one_by_one(self, row: Row, rejections: Rejections) -> list[str]:
        """The same with the attribute's own rules for what is wrong or missing."""
        texts = []
        for attribute in self._attributes:
            item: Item = {}
            fill(item, row, (attribute,), rejections, self._path)
            texts.append("".join(written(name, value) for name, value in item.items()))
        return texts


class SingleText:
    """One attribute of type String that an item is made of in several places."""

    def __init__(self, attribute: Attribute) -> None:
        self._attribute = attribute
        self._known = remembered(attribute.convert)

    def of(self, row: Row, rejections: Rejections) -> str:
        """Return the String itself; "" when it is absent or refused (then it is noted)."""
        value = row.get(self._attribute.column)
        try:
            if value is not None and (found := self._known(value)):
                text: str = found["S"]
                return text
        except (Unconvertible, TypeError):
            pass
        single_value: str = single(row, (self._attribute,), rejections)["S"]
        return single_value


def written(name: str, value: AttributeValue) -> str:
    """Return the text of an attribute within an item, with the comma before it."""
    return f',"{name}":{orjson.dumps(value).decode()}'


class _MissingError(Exception):
    """A required value is not there: the record is refused."""


def _text_of(attribute: Attribute, *, remember: bool) -> Callable[[object], str]:
    """The function from a column's value, which is not NULL, to the text of its attribute."""
    convert, dumps = attribute.convert, orjson.dumps
    before = f',"{attribute.name}":'
    absent = written(attribute.name, attribute.default) if attribute.default else ""

    def text(value: object) -> str:
        converted = convert(value)
        if converted is not None:
            return before + dumps(converted).decode()
        if attribute.required:
            raise _MissingError
        return absent

    return remembered(text) if remember else text
