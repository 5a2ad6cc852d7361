"""The form of an item's text: every attribute in its place, and a slot for each value.

The attributes of a form are declared in whatever order reads best, and written in the order of
utils/dynamodb/item_content.py. An attribute that may be absent, or whose text is made elsewhere,
is a slot as a whole: it is filled with the text of the attribute and the comma before it, or with
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import AnyStr, Generic

from utils.dynamodb.item_content import written_order

_SLOT = re.compile(r"<(\w+)>")
_KEY = "PK"


class ItemForm(Generic[AnyStr]):
    """The form of one kind of item, for a reader of texts of one type (str or bytes)."""

    def __init__(
        self,
        text: Callable[[str], AnyStr],
        attributes: Mapping[str, str],
        values: Sequence[str],
    ) -> None:
        """`text` makes a text of the reader's type. `attributes` has the text of each attribute's
        value, in which `<name>` is the slot of a value; those of `values` that stand in none are
        texts of attributes, each in the place of the attribute whose name it has. With such a text
        others may come that follow it immediately."""
        whole: set[str] = set(values).difference(*map(_SLOT.findall, attributes.values()))
        parts: list[str] = []
        for name in written_order([*attributes, *whole]):
            comma = "" if name == _KEY else ","
            parts.append(f"<{name}>" if name in whole else f'{comma}"{name}":{attributes[name]}')
        form = "".join(parts)
        self._text: AnyStr = text('{"Item":{' + _SLOT.sub("%s", form) + "}}")
        self._in_places = itemgetter(*map(values.index, _SLOT.findall(form)))

    def filled(self, values: tuple[object, ...]) -> AnyStr:
        """The text of an item with these values (texts of the reader's type), in the order in which
        they are declared."""
        item: AnyStr = self._text % self._in_places(values)
        return item
