"""Rows in the form in which nearly all of them are extracted, read by their bytes.

A pattern for the columns of a file in their order, each with a form that is what the database
writes or narrower. What matches is taken apart by that one look, and most cells are in the form in
which they go into an item; that costs a fraction of parsing the row and writing its values again.
What does not match is no worse for it: it is read the slower way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import orjson

_INSIDE = r'[^"\\\x00-\x1f]'  # nothing that JSON escapes
# Nothing that transform/values/text.py takes away at the ends: visible ASCII, or a letter of
# Latin-1.
_EDGE = r"(?:[!#-\[\]-~]|\xc3[\x80-\xbf])"
# Not a digit more before the point: what follows the canonical form is only zeros behind it.
_DECIMAL = r"0|-?(?:[1-9][0-9]{0,19}(?![0-9])(?:\.[0-9]{0,11}[1-9]|)|0\.[0-9]{0,11}[1-9])"

# Each form captures a cell; a NULL (and an empty text) is captured as None.
TEXT = rf'(?:("{_EDGE}(?:{_INSIDE}*{_EDGE}|)")|null|"")'  # with its quotation marks
INTEGER = r"(?:null|(0|-?[1-9][0-9]{0,14}))"  # within 2^53
KEY = r"(0|-?[1-9][0-9]{0,17})"
POSITION = r"([1-9][0-9]{0,14})"
DECIMAL = rf'(?:null|"({_DECIMAL})(?:\.0+|0*)")'  # in canonical form (transform/values/money.py)
# A moment, without its quotation marks; its parts stand at fixed places, and Z ends an instant.
MOMENT = (
    r'(?:null|"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9}|)Z?)")'
)
OBJECT = r"(\{[^{}\\\x00-\x1f]*\})"
VALUE = rf'(?:null|("{_INSIDE}*"|true|false|0|-?[1-9][0-9]{{0,17}}))'  # any, as JSON
_UNSEEN = rf'(?:"{_INSIDE}*"|null|true|false|-?[0-9]+(?:\.[0-9]+)?)'


class RowPattern:
    """The pattern of rows (JSON objects) that have the columns `names` in this order.

    `forms` has the forms of the columns that are wanted. `end` is the pattern of what follows the
    last of them; its groups are cells, too.
    """

    def __init__(self, names: Sequence[str], forms: Mapping[str, str], end: str) -> None:
        parts = [
            f"{re.escape(orjson.dumps(name).decode())}:{forms.get(name, _UNSEEN)}" for name in names
        ]
        # The last group never takes part, so that it is None.
        pattern = re.compile((r"\{" + ",".join(parts) + end + "(?:|(.))").encode())
        wanted = (name for name in names if name in forms)
        self._places = {name: group for group, name in enumerate(wanted, start=1)}
        self._nothing = pattern.groups
        self._ending = range(len(self._places) + 1, self._nothing)
        self.match = pattern.match
        """`match(data, place)`: the match of the row that begins there; None if it is unusual."""

    def places(self, columns: Iterable[str]) -> tuple[int, ...]:
        """What `match.group(*places)` takes to give the cells of `columns`, in their order, and
        then those of the end. A column that the rows do not have is NULL in all of them."""
        return (*(self._places.get(name, self._nothing) for name in columns), *self._ending)
