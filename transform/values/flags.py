"""Flags: boolean on PostgreSQL, 0 and 1 on MySQL."""

from __future__ import annotations

from typing import Any

from transform.rejections import Unconvertible
from transform.values.text import quoted

_WORDS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_TRUE: dict[str, Any] = {"BOOL": True}
_FALSE: dict[str, Any] = {"BOOL": False}


def boolean(value: object) -> bool | None:
    """Return a flag (a boolean, 0 or 1, or those as text), or None when it is NULL or blank.

    Raises Unconvertible (`invalid-boolean`).
    """
    if isinstance(value, bool) or value is None:
        return value
    word = str(value).strip().lower() if isinstance(value, (int, str)) else None
    if word == "":
        return None
    if word not in _WORDS:
        raise Unconvertible("invalid-boolean", f"{quoted(value)} is neither true nor false")
    return _WORDS[word]


def flag(value: object) -> dict[str, Any] | None:
    """Return the BOOL attribute of a flag; None when it is NULL or blank. Raises as `boolean`."""
    found = boolean(value)
    if found is None:
        return None
    return _TRUE if found else _FALSE
