"""Times that look like those of another time zone are suspected, and others are not."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from random import Random
from zoneinfo import ZoneInfo

import pytest

from transform.census.tally import Tally
from transform.census.times import times_of

READ_AT = "2026-01-30T12:00:00.000Z"


def office(zone: str, written_in: str, count: int = 4_000, seed: int = 1) -> Tally:
    """The times of an office that works from eight to six by its own clock, as they stand in a
    column that is `written_in` another zone."""
    chance, hours = Random(seed), Counter[str]()
    for _ in range(count):
        day = dt.datetime(2024, 1, 1) + dt.timedelta(days=chance.randrange(366))
        local = day.replace(hour=chance.choice([8, 9, 9, 10, 11, 12, 14, 15, 16, 17]))
        written = local.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo(written_in))
        hours[f"{written:%m%H}"] += 1
    return Tally(hours=hours, latest="2026-01-30T11:00:00.000Z")


def suspicions(tally: Tally, timezone: str = "Europe/Rome") -> list[str]:
    found: list[str] = times_of(tally, timezone, READ_AT)["suspicions"]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_an_office_by_its_own_clock_is_not_suspicious(seed: int) -> None:
    assert suspicions(office("Europe/Rome", "Europe/Rome", seed=seed)) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("written_in", ["UTC", "Asia/Dubai"])
def test_a_day_that_moves_with_summer_time_is(written_in: str, seed: int) -> None:
    (sentence,) = suspicions(office("Europe/Rome", written_in, seed=seed))
    assert "from June to August" in sentence and "Europe/Rome" in sentence


def test_a_day_at_night_is() -> None:
    found = suspicions(office("Europe/Rome", "Pacific/Auckland"))
    assert any("between 20:00 and 06:00" in sentence for sentence in found)


def test_without_summer_time_nothing_moves() -> None:
    assert suspicions(office("Asia/Dubai", "Asia/Dubai"), "Asia/Dubai") == []


def test_few_times_say_nothing() -> None:
    assert suspicions(office("Europe/Rome", "UTC", count=150)) == []
    assert suspicions(office("Europe/Rome", "Pacific/Auckland", count=150)) == []


def test_hours_at_random_say_nothing() -> None:
    chance = Random(3)
    keys = [f"{chance.randrange(1, 13):02}{chance.randrange(24):02}" for _ in range(5_000)]
    assert suspicions(Tally(hours=Counter(keys))) == []


@pytest.mark.parametrize(
    ("latest", "words"),
    [
        ("2026-01-30T12:04:00.000Z", ""),
        ("2026-01-30T13:02:00.000Z", "1:02 hours after S9 was read"),
        ("2026-03-30T13:02:00.000Z", "a clock is wrong"),
        ("", ""),
    ],
)
def test_times_after_s9_was_read_are(latest: str, words: str) -> None:
    found = suspicions(Tally(latest=latest))
    assert [words in sentence for sentence in found] == [True] * bool(words)


def test_the_hours_add_up() -> None:
    tally = office("Europe/Rome", "Europe/Rome", count=100)
    said = times_of(tally, "Europe/Rome", READ_AT)
    assert sum(said["byHour"]) == 100 and len(said["byHour"]) == 24
    assert said["latest"] == tally.latest
