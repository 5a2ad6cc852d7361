"""Dates and timestamps of S9.

S9 writes local time without a zone. It becomes UTC in milliseconds: further digits are cut, never
rounded, so that no event moves past midnight or past a later one. The hour that the end of summer
time repeats is taken as its first occurrence; an hour that its start skips takes the offset from
before the change (both are `fold=0` of PEP 495).

What has a zone in S9 arrives as an instant, with `Z` or an offset behind it: it is exact, and no
rule of local time touches it.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from transform.rejections import Unconvertible
from transform.values.memo import Memo
from transform.values.text import quoted

_LOCAL = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
).fullmatch
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}(?::[0-9]{2}){0,2})"
).fullmatch
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]00:00:00(?:\.0{1,9})?)?").fullmatch

_DAY_LENGTH = len("2019-03-04")
_HOUR_LENGTH = len("2019-03-04T10")
_SECOND_LENGTH = len("2019-03-04T10:11:12")
_MILLIS_LENGTH = len(".123")
_LONGEST_FRACTION = len(".123456789")
_SECONDS = frozenset(f":{m:02}:{s:02}" for m in range(60) for s in range(60))

_ZERO_DAY = "0000-00-00"

_HOURS = {f"{mark}{hour:02}": hour for mark in "T " for hour in range(24)}
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)

# The business hours of twenty years, in a few megabytes.
REMEMBERED_HOURS = 65_536


class LocalClock:
    """Reads the wall clock of one time zone. Zone rules are asked once for every day."""

    def __init__(self, timezone: str) -> None:
        """`timezone` is an IANA name; raises zoneinfo.ZoneInfoNotFoundError for any other."""
        self._zone = ZoneInfo(timezone)
        self._utc_hours = Memo(self.utc_hour, limit=REMEMBERED_HOURS)
        self._offsets = Memo(self._find_offset)

    def to_utc(self, value: object) -> str | None:
        """Return `YYYY-MM-DDTHH:mm:ss.sssZ` of a timestamp; None when NULL, blank or zero.

        `value` is `YYYY-MM-DDTHH:MM:SS[.ffffff]`, with a blank for the T just as well: local time,
        or with `Z` or `±HH:MM` behind it an instant, which is taken exactly. Raises Unconvertible
        (`invalid-timestamp`) for all else: infinity, years before Christ, days that no calendar
        has, and times that are outside the years 1 to 9999 in UTC.
        """
        if not isinstance(value, str):
            if value is None:
                return None
            raise _not_a_timestamp(value)
        seconds = value[_HOUR_LENGTH:_SECOND_LENGTH]
        fraction = value[_SECOND_LENGTH:]
        # Slices and look-ups, since every line of every sale comes here: a pattern is slower.
        if seconds not in _SECONDS or (
            fraction
            and not (
                fraction[0] == "."
                and fraction[1:].isdigit()
                and fraction.isascii()
                and len(fraction) <= _LONGEST_FRACTION
            )
        ):
            return self._to_utc_unusual(value)
        hour = value[:_HOUR_LENGTH]
        utc_hour = self._utc_hours[hour]
        if not utc_hour and _is_zero(value):
            return None
        utc = utc_hour + seconds if utc_hour else self._exact_utc(hour + seconds)
        return utc + (fraction + "00")[:_MILLIS_LENGTH] + "Z" if fraction else utc + ".000Z"

    def _to_utc_unusual(self, value: object) -> str | None:
        if isinstance(value, str):
            stripped = value.strip()
            if not stripped:
                return None
            if stripped != value:
                return self.to_utc(stripped)
            if match := _INSTANT(value):
                return None if _is_zero(value) else _instant(value, match)
        raise _not_a_timestamp(value)

    def date(self, value: object) -> dict[str, Any] | None:
        """Return the String attribute of a calendar day, as `date` below; of an instant, it is the
        day that begins then on this clock. Raises Unconvertible (`invalid-date`) for an instant
        that is no midnight here."""
        match = _INSTANT(value.strip()) if isinstance(value, str) else None
        if match is None:
            return date(value)
        if _is_zero(match[0]):
            return None
        try:
            utc = dt.datetime.fromisoformat(_instant(match[0], match)[: -len("Z")])
            local = utc.replace(tzinfo=dt.timezone.utc).astimezone(self._zone).replace(tzinfo=None)
        except (Unconvertible, ValueError, OverflowError):
            raise _not_a_date(value) from None
        if local.time() != dt.time() or (match[3] or "").strip(".0"):
            raise _not_a_date(value)
        return {"S": local.date().isoformat()}

    def utc_hour(self, value: object) -> str:
        """Return the UTC hour that a whole local hour falls into, or "" when it does not.

        Both are `YYYY-MM-DDTHH`, the local one with a blank for the T just as well. There is none
        where the offset has minutes or changes within the day, or where there is no such hour.
        """
        hour = str(value)
        local = _HOURS.get(hour[_DAY_LENGTH:])
        offset = self._offsets[hour[:_DAY_LENGTH]]
        if local is None or offset is None:
            return ""
        days, utc = divmod(local - offset, 24)
        day = dt.date.fromisoformat(hour[:_DAY_LENGTH])
        try:
            return f"{(day + days * _DAY).isoformat()}T{utc:02}" if days else f"{day}T{utc:02}"
        except OverflowError:  # out of the years that a calendar has
            return ""

    def _find_offset(self, day: object) -> int | None:
        """Return by how many hours local time is ahead of UTC: None unless it is the same number
        of whole hours from the first second of a day to the last."""
        try:
            if not _LOCAL(f"{day}T00:00:00"):
                return None
            midnight = dt.datetime.fromisoformat(f"{day}T00:00:00")
        except ValueError:
            return None
        moments = [midnight + hour * _HOUR for hour in range(24)]
        moments.append(moments[-1].replace(minute=59, second=59))
        offset, *others = set(map(self._zone.utcoffset, moments))
        if others or offset is None or offset % _HOUR:
            return None
        return offset // _HOUR

    def _exact_utc(self, text: str) -> str:
        if not _LOCAL(text):
            raise _not_a_timestamp(text)
        try:
            local = dt.datetime.fromisoformat(text)
            utc = local.replace(tzinfo=self._zone).astimezone(dt.timezone.utc)
        except (ValueError, OverflowError):
            raise _not_a_timestamp(text) from None
        return utc.replace(tzinfo=None).isoformat()


@cache
def local_clock(timezone: str) -> LocalClock:
    """The clock of a time zone: one for all, since it learns as it is asked."""
    return LocalClock(timezone)


def instant_hour(hour: object) -> str:
    """Return the whole hour `YYYY-MM-DDTHH` of UTC as it is, "" when no calendar has it."""
    match = _INSTANT(f"{hour}:00:00Z")
    try:
        return _instant(str(hour), match)[:_HOUR_LENGTH] if match else ""
    except Unconvertible:
        return ""


def _instant(value: str, match: re.Match[str]) -> str:
    """Return the UTC text of an instant, given its match. Raises Unconvertible."""
    day, time, fraction, zone = match.groups()
    offset = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone}:00"
    try:
        zoned = dt.datetime.fromisoformat(f"{day}T{time}{offset}")
        utc = zoned.astimezone(dt.timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _not_a_timestamp(value) from None
    return utc.isoformat() + ((fraction or ".") + "000")[:_MILLIS_LENGTH] + "Z"


def date(value: object) -> dict[str, Any] | None:
    """Return the String attribute of a calendar day, or None when it is NULL, blank or zero.

    `value` is `YYYY-MM-DD`, or a timestamp at midnight. Raises Unconvertible (`invalid-date`) for
    all else: a time of day would be lost, and a day that no calendar has was never meant.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise _not_a_date(value)
    stripped = value.strip()
    if not stripped:
        return None
    match = _DATE(stripped)
    if match is None:
        raise _not_a_date(value)
    if _is_zero(stripped):
        return None
    try:
        day = dt.date(*map(int, match.groups()))
    except ValueError:
        raise _not_a_date(value) from None
    return {"S": day.isoformat()}


def _is_zero(value: str) -> bool:
    """Whether this is MySQL's zero date, which stands for none where a column may not be NULL."""
    return value.startswith(_ZERO_DAY) and not value[_DAY_LENGTH:].strip("T :.0Z+")


def _not_a_timestamp(value: object) -> Unconvertible:
    return Unconvertible(
        "invalid-timestamp", f"{quoted(value)} is not a time between the years 1 and 9999"
    )


def _not_a_date(value: object) -> Unconvertible:
    return Unconvertible("invalid-date", f"{quoted(value)} is not a day of the form YYYY-MM-DD")
