"""A bounded cache for conversions of recurring values: units, payment terms, dates."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import TypeVar

Result = TypeVar("Result")

_LIMIT = 16_384
_REMEMBERED = (str, bytes, NoneType)


class Memo(dict[object, Result]):
    """The results of a pure function of texts, `memo[text]`.

    It holds a bounded number of results and forgets them all when it is full: cheaper at each hit
    than keeping them in the order of their use. Only texts, also undecoded ones, and None are
    remembered: 1, 1.0 and True are one key.
    """

    __slots__ = ("_function", "_limit")

    def __init__(self, function: Callable[[object], Result], limit: int = _LIMIT) -> None:
        super().__init__()
        self._function = function
        self._limit = limit

    def __missing__(self, value: object) -> Result:
        result = self._function(value)
        if type(value) in _REMEMBERED:
            if len(self) >= self._limit:
                self.clear()
            self[value] = result
        return result


def remembered(function: Callable[[object], Result]) -> Callable[[object], Result]:
    """Return `function`, faster for texts that it has seen lately.

    Results are shared, so nobody may change one. A value without a hash (a list, an object) raises
    TypeError.
    """
    return Memo(function).__getitem__
