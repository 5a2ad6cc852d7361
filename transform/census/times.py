"""Whether S9's times look like those of another time zone than the configured one.

Nobody can know that from the times alone, so what is said is a suspicion, with the figures that it
comes from. Three things give a wrong zone away:

- times after the moment at which S9 was read: the zone of the times is ahead of the configured one;
- a working day at night: most records created between eight in the evening and six in the morning;
- a working day that moves with summer time. People begin to work at the same hour of their clock
  all year round. In times that are UTC, or of a zone without summer time, their day begins an hour
  earlier from June to August than from December to February.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from transform.census.tally import Tally
from utils.wording.figures import counted

_NIGHT = frozenset({20, 21, 22, 23, 0, 1, 2, 3, 4, 5})
_NIGHT_SHARE = 0.6  # spread over all hours evenly it would be 10 of 24
_LEAST = 200  # times from which anything can be said
_WINTER, _SUMMER = ("12", "01", "02"), ("06", "07", "08")
_AN_HOUR = (0.6, 1.4)  # what counts as one
_SURE = 5  # standard errors: what is further off is not by chance
_CLOCKS_DIFFER = dt.timedelta(minutes=5)  # between S9's rows and the moment of the snapshot


def times_of(tally: Tally, timezone: str, read_at: str) -> dict[str, Any]:
    """What is said of an entity's times: how many there are for each hour of S9's clock, the
    latest in UTC, and what is suspicious. `read_at` is when S9 was read (ISO, UTC)."""
    found = (
        _in_the_future(tally.latest, read_at, timezone),
        _at_night(tally.hours, timezone),
        _moves_with_summer(tally.hours, timezone),
    )
    return {
        "timezone": timezone,
        "byHour": [_sum(tally.hours, (hour,)) for hour in range(24)],
        "latest": tally.latest or None,
        "suspicions": [sentence for sentence in found if sentence],
    }


def _in_the_future(latest: str, read_at: str, timezone: str) -> str:
    try:
        last, read = (dt.datetime.fromisoformat(_zoned(text)) for text in (latest, read_at))
    except ValueError:
        return ""
    ahead = last - read
    if ahead <= _CLOCKS_DIFFER:
        return ""
    if ahead > dt.timedelta(hours=14):  # further ahead is no zone
        return f"the latest time is {latest}, and S9 was read at {read_at}: a clock is wrong"
    hours = math.ceil(ahead / dt.timedelta(hours=1))
    return (
        f"the latest time is {latest}, {_minutes(ahead)} after S9 was read: S9's times may be of a "
        f"zone that is ahead of {timezone} by {counted(hours, 'hour')}"
    )


def _zoned(text: str) -> str:
    moment = text.strip().replace("Z", "+00:00")
    return moment if "+" in moment[10:] or "-" in moment[10:] else f"{moment}+00:00"


def _minutes(span: dt.timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours}:{minutes:02} hours"


def _at_night(hours: Mapping[str, int], timezone: str) -> str:
    total, at_night = sum(hours.values()), _sum(hours, _NIGHT)
    if total < _LEAST or at_night < _NIGHT_SHARE * total:
        return ""
    return (
        f"{at_night:,} of {counted(total, 'record was', 'records were')} created between 20:00 and "
        f"06:00 by the clock of {timezone}: S9's times may be of a zone far from it"
    )


def _moves_with_summer(hours: Mapping[str, int], timezone: str) -> str:
    if not _has_summer_time(timezone):
        return ""
    winter, summer = ({h: n for h, n in hours.items() if h[:2] in of} for of in (_WINTER, _SUMMER))
    if min(sum(winter.values()), sum(summer.values())) < _LEAST:
        return ""
    (in_winter, winter_error), (in_summer, summer_error) = map(_mean, (winter, summer))
    earlier = in_winter - in_summer
    by_chance = math.hypot(winter_error, summer_error)
    if earlier < _SURE * by_chance or not _AN_HOUR[0] <= earlier <= _AN_HOUR[1]:
        return ""
    return (
        f"by these times S9's day is {earlier:.1f} hours earlier from June to August (on average "
        f"at {_clock(in_summer)}) than from December to February ({_clock(in_winter)}): they may "
        f"be UTC, and not {timezone}"
    )


def _has_summer_time(timezone: str) -> bool:
    zone = ZoneInfo(timezone)
    january, july = (dt.datetime(2024, month, 15, tzinfo=zone).utcoffset() for month in (1, 7))
    return january != july


def _mean(hours: Mapping[str, int]) -> tuple[float, float]:
    """The average hour, and its standard error. The day is taken to begin at four."""
    total = sum(hours.values())
    shifted = [((int(key[2:]) - 4) % 24, count) for key, count in hours.items()]
    mean = sum(hour * count for hour, count in shifted) / total
    spread = sum((hour - mean) ** 2 * count for hour, count in shifted) / total
    return mean + 4.5, math.sqrt(spread / total)


def _clock(hour: float) -> str:
    whole, minutes = divmod(round(hour * 60), 60)
    return f"{whole % 24}:{minutes:02}"


def _sum(hours: Mapping[str, int], wanted: Any) -> int:
    return sum(count for key, count in hours.items() if int(key[2:]) in wanted)
