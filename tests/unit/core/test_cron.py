"""Schedules: strict to read, and the last time they fired whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.cron import Cron, parse_cron

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "now", "last"),
    [
        ("0 2 * * 1", "2026-11-24T10:00+00:00", "2026-11-23T02:00+00:00"),
        ("0 2 * * 1", "2026-11-23T02:00+00:00", "2026-11-23T02:00+00:00"),
        ("0 2 * * 1", "2026-11-23T01:59+00:00", "2026-11-16T02:00+00:00"),
        ("*/20 * * * *", "2026-11-24T10:59+00:00", "2026-11-24T10:40+00:00"),
        ("5-9/2,30 8 * * mon-fri", "2026-11-22T10:00+00:00", "2026-11-20T08:30+00:00"),
        ("0 0 1 jan *", "2026-11-24T10:00+00:00", "2026-01-01T00:00+00:00"),
        ("0 0 13 * 5", "2026-11-24T10:00+00:00", "2026-11-20T00:00+00:00"),
        ("0 0 * * 7", "2026-11-24T10:00+00:00", "2026-11-22T00:00+00:00"),
        ("0 0 29 2 *", "2026-11-24T10:00+00:00", "2024-02-29T00:00+00:00"),
        ("0 0 29 2 *", "2104-02-28T10:00+00:00", "2096-02-29T00:00+00:00"),
    ],
)
def test_it_has_fired_last(text: str, now: str, last: str) -> None:
    assert parse_cron(text).last(datetime.fromisoformat(now), UTC) == datetime.fromisoformat(last)


@pytest.mark.parametrize(
    ("text", "now", "last"),
    [
        ("0 2 * * *", "2026-07-01T00:30+00:00", "2026-07-01T00:00+00:00"),
        ("30 2 * * *", "2026-03-29T01:29+00:00", "2026-03-28T01:30+00:00"),  # there is no 2:30 on that day
        ("30 2 * * *", "2026-03-29T01:30+00:00", "2026-03-29T01:30+00:00"),
        ("30 2 * * *", "2026-10-25T01:45+00:00", "2026-10-25T00:30+00:00"),  # there are two: the first one fires
    ],
)
def test_the_local_clock_counts_also_when_it_is_changed(text: str, now: str, last: str) -> None:
    found = parse_cron(text).last(datetime.fromisoformat(now), BERLIN)
    assert found is not None
    assert found.astimezone(UTC) == datetime.fromisoformat(last)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 2 * *", "found 4"),
        ("0  2 * * 1", "one space"),
        ("60 2 * * 1", "minute '60' is not 0 to 59"),
        ("0 24 * * *", "hour '24'"),
        ("0 0 0 * *", "day of the month '0'"),
        ("0 0 * foo *", "month 'foo'"),
        ("0 0 * * 8", "day of the week '8'"),
        ("0 0 * * mon#1", "day of the week"),
        ("5/10 * * * *", "write \\*/10"),
        ("*/0 * * * *", "minute '0' is not 1"),
        ("9-5 * * * *", "is empty"),
        ("0,, * * * *", "minute ''"),
        ("-1 * * * *", "minute ''"),
        ("٣ * * * *", "minute"),
        ("0 0 31 feb,apr *", "it never fires"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_cron(text)


def _texts(least: int, greatest: int) -> st.SearchStrategy[str]:
    number = st.integers(least, greatest)
    spans = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.tuples(st.just("*") | spans, st.integers(1, greatest)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.just("*") | number.map(str) | spans | steps


@given(
    st.tuples(_texts(0, 59), _texts(0, 23), _texts(1, 28), st.just("*"), _texts(0, 6)).map(" ".join),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_it_fired_at_the_last_minute_that_each_field_has(text: str, now: datetime) -> None:
    cron = parse_cron(text)
    last = cron.last(now, UTC)
    if last is None:
        return
    assert _fires(cron, last)
    assert last <= now
    minute = now.replace(second=0, microsecond=0)
    between = (
        minute - timedelta(minutes=back) for back in range(min(int((minute - last).total_seconds() // 60), 3000))
    )
    assert not any(_fires(cron, moment) for moment in between if moment > last)


def _fires(cron: Cron, moment: datetime) -> bool:
    day, weekday = moment.day in cron.days, moment.isoweekday() % 7 in cron.weekdays
    on = (day or weekday) if cron.either else (day and weekday)
    return on and moment.month in cron.months and moment.hour in cron.hours and moment.minute in cron.minutes
