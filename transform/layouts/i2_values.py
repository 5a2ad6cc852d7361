"""Single values of layout i2_speedex, as the transforms know them."""

from __future__ import annotations

import datetime as dt
import re

from transform.rejections import Unconvertible
from transform.values.money import number, whole_number
from transform.values.text import clean, quoted

_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})").fullmatch
_STATUSES = {"new": True, "online": True, "offline": False, "deleted": False}
_NEW_NUMBERING = 2018


def day(value: object) -> str | None:
    """Return the day YYYYMMDD (a whole number) as YYYY-MM-DD, None for 0.

    Raises Unconvertible (`invalid-date`) for all else, and for a day that no calendar has.
    """
    whole = number_or_none(value)
    if whole == 0 or (isinstance(value, str) and not value.strip()):
        return None
    if whole is not None and (match := _DAY(str(whole))):
        try:
            return dt.date(*map(int, match.groups())).isoformat()
        except ValueError:
            pass  # as below
    raise Unconvertible("invalid-date", f"{quoted(value)} is not a day of the form YYYYMMDD")


def hundredfold(value: object) -> str | None:
    """Return a fraction as percent: the exact decimal, two places further to the left.

    None when NULL or blank. Raises Unconvertible as transform.values.money does.
    """
    fraction = number(value)
    if fraction is None:
        return None
    whole, rest = divmod(abs(fraction.units) * 100, 10**fraction.scale)
    sign = "-" if fraction.units < 0 else ""
    return f"{sign}{whole}.{rest:0{fraction.scale}}" if rest else f"{sign}{whole}"


def is_active(value: object) -> bool:
    """Return whether a party's status is one of those in use.

    Raises Unconvertible (`unknown-status`): an unknown or empty status never becomes a default.
    """
    word = clean(value).lower()
    if word not in _STATUSES:
        problem = "not known" if word else "empty"
        raise Unconvertible(
            "unknown-status", f"status {quoted(value, words=True)} is {problem}: fix it in S9"
        )
    return _STATUSES[word]


def shown_number(number: int | None, year: int | None) -> tuple[str | None, int | None]:
    """Return a sale's number as documents show it, and the number after the T, if there is one.

    It is YYYY/TNNN since 2018 and N/YYYY before; nothing is shown of a sale without a number.
    """
    if not number or not year:
        return None, None
    if year >= _NEW_NUMBERING:
        return f"{year}/T{number:03}", number
    return f"{number}/{year}", None


def number_or_none(value: object) -> int | None:
    """Return a whole number; None also for what is none, which others refuse."""
    try:
        return whole_number(value)
    except Unconvertible:
        return None
