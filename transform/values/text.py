"""Text of S9: freed of what surrounds it, never of what is in it.

NUL characters go (no S9 screen can have shown them, and PostgreSQL cannot even store them), so
does white space at both ends: blanks, no-break spaces, zero-width characters, byte order marks.
What is empty then is absent. Tabs and line breaks inside stay, and so does text that was decoded
twice: repairing it would change data on a guess, so it is left to validation to warn of it.
"""

from __future__ import annotations

import re
from typing import Any

from transform.rejections import Unconvertible
from utils.wording.masking import mask, veil

_WORD = re.compile(r"[^\W\d_]{4}")
_LAST_WHITE_SPACE = 0x3000
_ZERO_WIDTH = "\u180e\u200b\u200c\u200d\u2060\ufeff"
_EDGES = "".join(filter(str.isspace, map(chr, range(_LAST_WHITE_SPACE + 1)))) + _ZERO_WIDTH


def clean(value: object) -> str:
    """Return `value` without NUL and without white space at its ends; "" for None and blanks.

    An integer is taken as its digits: some installations number what others name. Raises
    Unconvertible (`invalid-text`) for anything else, and for half a surrogate pair, which no
    UTF-8 file can hold.
    """
    if isinstance(value, str):
        if "\0" in value:
            value = value.replace("\0", "")
        if value.isascii():
            return value.strip()
        _refuse_lone_surrogates(value)
        return value.strip(_EDGES)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Unconvertible("invalid-text", f"holds {type(value).__name__} where text is expected")


def text(value: object) -> dict[str, Any] | None:
    """Return the String attribute of `value`, or None when there is nothing in it."""
    if isinstance(value, str) and value.isascii() and "\0" not in value:
        cleaned = value.strip()  # most values, and one call less
    else:
        cleaned = clean(value)
    return {"S": cleaned} if cleaned else None


def quoted(value: object, *, words: bool = False) -> str:
    """Return a short quotation of a value that is not personal, for the reason of a rejection.

    What looks personal all the same (S9's columns hold all sorts of things) is masked: any word
    where no `words` are expected, and what has the form of an address, a code or a number.
    """
    if not words and isinstance(value, str) and _WORD.search(value):
        return mask(value)
    shown = veil(repr(value))
    return shown if len(shown) <= 42 else f"{shown[:40]}…"


def _refuse_lone_surrogates(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unconvertible(
            "invalid-text", "holds half a surrogate pair: the character was cut in S9"
        ) from None
