"""Local time to UTC, and calendar days."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values.timestamps import LocalClock, date

ROME = LocalClock("Europe/Rome")
ZONES = ("Europe/Rome", "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "UTC")
CLOCKS = {zone: LocalClock(zone) for zone in ZONES}

moments = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))
recent = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2037, 12, 31))


def by_zoneinfo(local: dt.datetime, zone: str) -> str:
    utc = local.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2019-03-04T10:11:12.5", "2019-03-04T09:11:12.500Z"),
        ("2019-07-04T10:11:12", "2019-07-04T08:11:12.000Z"),
        ("2019-07-04 10:11:12.123456", "2019-07-04T08:11:12.123Z"),
        (" 2019-07-04T10:11:12 ", "2019-07-04T08:11:12.000Z"),
        ("2019-01-01T00:30:00", "2018-12-31T23:30:00.000Z"),
        # cut, not rounded: rounding would lead into the next year
        ("2018-12-31T23:59:59.999999", "2018-12-31T22:59:59.999Z"),
        # the start of summer time skips 02:00 to 03:00
        ("2024-03-31T01:59:59", "2024-03-31T00:59:59.000Z"),
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00.000Z"),
        ("2024-03-31T03:00:00", "2024-03-31T01:00:00.000Z"),
        # its end repeats 02:00 to 03:00: the first time
        ("2024-10-27T01:59:59", "2024-10-26T23:59:59.000Z"),
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00.000Z"),
        ("2024-10-27T03:00:00", "2024-10-27T02:00:00.000Z"),
        # before the railways, Rome was 49 minutes and 56 seconds ahead
        ("0001-01-01T00:50:00", "0001-01-01T00:00:04.000Z"),
        ("9999-12-31T23:59:59", "9999-12-31T22:59:59.000Z"),
    ],
)
def test_local_time_of_rome_becomes_utc(local: str, utc: str) -> None:
    assert ROME.to_utc(local) == utc


@given(moments | recent, st.sampled_from(ZONES))
@example(dt.datetime(1893, 11, 1, 0, 5), "Europe/Rome")
@example(dt.datetime(2024, 4, 7, 1, 45), "Australia/Lord_Howe")
@example(dt.datetime(2006, 10, 29, 0, 0, 30), "America/St_Johns")
def test_every_moment_is_where_zoneinfo_puts_it(local: dt.datetime, zone: str) -> None:
    assert CLOCKS[zone].to_utc(local.isoformat()) == by_zoneinfo(local, zone)


@given(st.integers(0, 3 * 24 * 3600 * 10))
def test_every_moment_around_the_clock_changes_is_where_zoneinfo_puts_it(tenths: int) -> None:
    for start in (dt.datetime(2024, 3, 30), dt.datetime(2024, 10, 26)):
        local = start + dt.timedelta(milliseconds=tenths * 100)
        assert ROME.to_utc(local.isoformat()) == by_zoneinfo(local, "Europe/Rome")


@given(recent, recent)
def test_apart_from_the_end_of_summer_time_order_is_kept(a: dt.datetime, b: dt.datetime) -> None:
    first, second = sorted([a, b])
    if second - first > dt.timedelta(hours=1):
        before, after = ROME.to_utc(first.isoformat()), ROME.to_utc(second.isoformat())
        assert before is not None
        assert after is not None
        assert before <= after


@given(recent)
def test_the_form_is_always_the_same(local: dt.datetime) -> None:
    utc = ROME.to_utc(local.isoformat())
    assert utc is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc)


@pytest.mark.parametrize(
    "absent",
    [None, "", "  ", "0000-00-00 00:00:00", "0000-00-00T00:00:00", "0000-00-00T00:00:00.000000"],
)
def test_null_blank_and_mysqls_zero_are_no_timestamp(absent: object) -> None:
    assert ROME.to_utc(absent) is None


@pytest.mark.parametrize(
    "value",
    [
        "infinity",
        "-infinity",
        "0044-03-15T12:00:00 BC",
        "0001-01-01T00:00:00",  # still the year 0 in UTC
        "10000-01-01T00:00:00",
        "0000-00-00 10:00:00",
        "2024-00-00T00:00:00",
        "0000-00-00",
        "2023-02-29T10:00:00",
        "2023-02-28T24:00:00",
        "2023-02-28T10:60:00",
        "2023-02-28T10:00:60",
        "2023-02-28T10:00",
        "2023-02-28",
        "2023-02-28T10:00:00.",
        "2023-02-28T10:00:00,5",
        "2023-02-28T10:00:00.12345678901",
        "2023-02-28T10:00:00.²",
        "2023-02-28T10:00:00+01:00 CET",
        "2023-02-28T10:00:00+1:00",
        "2023-02-28T10:00Z",
        "2023-02-29T10:00:00Z",
        "2023-02-28T24:00:00Z",
        "2023-02-28T10:00:00.Z",
        "2023-02-28T10:00:00+25:00",
        "0001-01-01T00:30:00+01:00",
        "0044-03-15T12:00:00Z BC",
        "28/02/2023 10:00:00",
        "２023-02-28T10:00:00",
        1677578400,
        True,
    ],
)
def test_what_is_no_local_time_is_refused(value: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        ROME.to_utc(value)
    assert refused.value.rule == "invalid-timestamp"


@pytest.mark.parametrize(
    ("instant", "utc"),
    [
        # both times that a clock in Rome shows 02:30 on that day, and the hour that it skips
        ("2026-10-25T00:30:00.5Z", "2026-10-25T00:30:00.500Z"),
        ("2026-10-25T01:30:00Z", "2026-10-25T01:30:00.000Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00.000Z"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00.000Z"),
        ("2024-03-31T02:30:00Z", "2024-03-31T02:30:00.000Z"),
        # cut, not rounded
        ("2018-12-31T23:59:59.999999Z", "2018-12-31T23:59:59.999Z"),
        ("2018-12-31 23:59:59.12+05:45", "2018-12-31T18:14:59.120Z"),
        ("2018-12-31 23:59:59-03", "2019-01-01T02:59:59.000Z"),
        ("1890-01-01 00:49:56+00:49:56", "1890-01-01T00:00:00.000Z"),
        (" 2019-07-04T10:11:12Z ", "2019-07-04T10:11:12.000Z"),
        ("0000-00-00T00:00:00Z", None),
        ("0000-00-00 00:00:00+00:00", None),
    ],
)
def test_an_instant_with_its_zone_is_exact(instant: str, utc: str | None) -> None:
    """C13."""
    assert ROME.to_utc(instant) == utc


@given(moments | recent, st.integers(-14 * 60, 14 * 60), st.sampled_from(ZONES))
def test_no_clock_moves_an_instant(moment: dt.datetime, minutes: int, zone: str) -> None:
    utc = moment.isoformat(timespec="milliseconds") + "Z"
    there = moment.replace(tzinfo=dt.timezone.utc).astimezone(
        dt.timezone(dt.timedelta(minutes=minutes))
    )
    assert CLOCKS[zone].to_utc(moment.isoformat() + "Z") == utc
    assert CLOCKS[zone].to_utc(there.isoformat()) == utc


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-10-24T22:00:00Z", "2026-10-25"),
        ("2026-10-25T23:00:00.000000Z", "2026-10-26"),
        ("2026-01-05T00:00:00+01:00", "2026-01-05"),
        ("0000-00-00T00:00:00Z", None),
        ("2026-01-05", "2026-01-05"),
        ("2026-01-05T00:00:00", "2026-01-05"),
    ],
)
def test_an_instant_at_local_midnight_is_that_day(instant: str, day: str | None) -> None:
    assert ROME.date(instant) == (day and {"S": day})


@pytest.mark.parametrize(
    "instant",
    [
        "2026-01-05T00:00:00Z",  # 01:00 in Rome
        "2026-10-25T22:00:00Z",  # 23:00 there, after the end of summer time
        "2026-01-04T23:00:00.001Z",
        "2026-01-04T23:00:00.0000001Z",
        "2026-02-30T23:00:00Z",
        "9999-12-31T23:00:00Z",
        "2026-01-05T10:00:00",
    ],
)
def test_an_instant_at_another_time_of_day_is_no_day(instant: str) -> None:
    with pytest.raises(Unconvertible) as refused:
        ROME.date(instant)
    assert refused.value.rule == "invalid-date"


@given(st.dates())
def test_every_calendar_day_is_carried(day: dt.date) -> None:
    assert date(day.isoformat()) == {"S": day.isoformat()}
    assert date(f" {day.isoformat()}T00:00:00.000 ") == {"S": day.isoformat()}
    assert date(f"{day.isoformat()} 00:00:00") == {"S": day.isoformat()}


@pytest.mark.parametrize("absent", [None, "", " ", "0000-00-00", "0000-00-00T00:00:00"])
def test_null_blank_and_mysqls_zero_are_no_day(absent: object) -> None:
    assert date(absent) is None


@pytest.mark.parametrize(
    "value",
    [
        "2023-02-29",
        "0000-00-01",
        "2024-02-00",
        "2023-1-5",
        "20230105",
        "05/01/2023",
        "infinity",
        "0044-03-15 BC",
        "10000-01-01",
        "2023-01-05T10:00:00",
        "2023-01-05T00:00:00.001",
        "2023-01-05T00:00:00Z",
        20230105,
        [],
        "2023-01-05T00:00:00+01:00:",
    ],
)
def test_what_is_no_calendar_day_is_refused(value: object) -> None:
    with pytest.raises(Unconvertible) as refused:
        date(value)
    assert refused.value.rule == "invalid-date"


def test_more_hours_than_are_remembered_change_nothing() -> None:
    clock = LocalClock("Europe/Rome")
    start = dt.datetime(2010, 1, 1, 8)
    for day in range(0, 4000, 7):
        local = start + dt.timedelta(days=day)
        assert clock.to_utc(local.isoformat()) == by_zoneinfo(local, "Europe/Rome")
