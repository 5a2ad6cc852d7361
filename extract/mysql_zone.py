"""UTC to local time in SQL, for servers whose time zone tables are empty, as they often are."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

_FIRST, _LAST = dt.datetime(1970, 1, 1), dt.datetime(2038, 1, 20)  # what a TIMESTAMP can hold
_STEP = dt.timedelta(days=7)  # no zone changes its offset twice within a week


def local_time(reference: str, timezone: str) -> str:
    """The SQL of the local time in `timezone` (IANA name) of a UTC time: a search in the zone's
    changes, halving them at every step. MySQL's zero date stays what it is."""
    zero = "'0000-00-00 00:00:00'"
    converted = _searched(reference, _changes(ZoneInfo(timezone)))
    return f"IF({reference} = {zero}, {reference}, {converted})"


def _searched(reference: str, changes: list[tuple[dt.datetime, int]]) -> str:
    if len(changes) == 1:
        return f"({reference} + INTERVAL {changes[0][1]} SECOND)"
    middle = len(changes) // 2
    return (
        f"IF({reference} < '{changes[middle][0]}', {_searched(reference, changes[:middle])}, "
        f"{_searched(reference, changes[middle:])})"
    )


def _changes(zone: ZoneInfo) -> list[tuple[dt.datetime, int]]:
    """From when (UTC) which offset (seconds) holds."""
    changes, moment = [(_FIRST, _offset(zone, _FIRST))], _FIRST
    while moment < _LAST:
        following = moment + _STEP
        if _offset(zone, following) != changes[-1][1]:
            at = _change_between(zone, moment, following)
            changes.append((at, _offset(zone, at)))
        moment = following
    return changes


def _change_between(zone: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first second of the new offset."""
    while after - before > dt.timedelta(seconds=1):
        middle = before + dt.timedelta(seconds=int((after - before).total_seconds()) // 2)
        if _offset(zone, middle) == _offset(zone, before):
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, utc: dt.datetime) -> int:
    local = utc.replace(tzinfo=dt.timezone.utc).astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
