"""Days and local times of the sample data: Europe/Rome, without a zone, as S9 keeps them."""

from __future__ import annotations

import random
from datetime import date, timedelta

FIRST_DAY = date(2015, 1, 2)
LAST_DAY = date(2026, 1, 30)
DAYS = (LAST_DAY - FIRST_DAY).days


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


# On these Sundays 02:00 becomes 03:00 (03:00 becomes 02:00): the hour from 02:00 does not exist
# (comes twice).
SPRING_SUNDAYS = tuple(_last_sunday(year, 3) for year in range(2015, 2026))
AUTUMN_SUNDAYS = tuple(_last_sunday(year, 10) for year in range(2015, 2026))
_CHANGES = frozenset((*SPRING_SUNDAYS, *AUTUMN_SUNDAYS))
_EDGES = ("01:59:59.999", "03:00:00", "01:30:00", "03:00:00.000001")


def local_time(rng: random.Random, day: date) -> str:
    """A time of that day as PostgreSQL reads it: in office hours, with a fraction now and then;
    on a day when the clock changes, right before or after the change."""
    if day in _CHANGES:
        return f"{day} {rng.choice(_EDGES)}"
    second = rng.randrange(7 * 3600, 19 * 3600)
    text = f"{day} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    if rng.random() < 0.2:
        return f"{text}.{rng.randrange(1, 1_000_000):06d}"
    return text


def later(rng: random.Random, day: date, days: int) -> date:
    """A day at most `days` days later, and not after the last one."""
    return min(day + timedelta(days=rng.randrange(days + 1)), LAST_DAY)
