"""Whether what was read from a file has the types that a dataclass declares.

A file that somebody has edited, or a disk has spoilt, may be JSON and still not what was written.
That is said when it is read, and not found out by whoever uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def fits(value: object, hint: Any) -> bool:
    """Whether `value` is of the type that `hint` says, inside as well."""
    if hint is Any:
        return True
    if get_origin(hint):
        return _fits_all(value, get_origin(hint), get_args(hint))
    if hint is int:
        return type(value) is int  # which true is not
    if hint is None or not is_dataclass(hint):
        return value is None if hint is None else isinstance(value, hint)
    kind: Any = hint
    hints = _hints(kind)
    return isinstance(value, hint) and all(  # type: ignore[arg-type]
        fits(getattr(value, each.name), hints[each.name]) for each in fields(hint)
    )


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits_all(value: object, origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in inner)
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) and fits(each, inner[1]) for key, each in value.items()
        )
    assert issubclass(origin, Sequence), origin
    return isinstance(value, origin) and all(fits(each, inner[0]) for each in value)
