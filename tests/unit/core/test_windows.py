"""Windows follow one another whatever the clocks of a zone do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.windows import before, window_named, window_of, windows
from custody.domain.monitors import Every

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Monrovia",
)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """A moment within two hours of a change of clocks, where there is one in the year drawn."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    moment = draw(moments)
    offset = moment.astimezone(zone).utcoffset()
    for _ in range(200):
        moment += timedelta(days=2)
        if moment.astimezone(zone).utcoffset() != offset:
            break
    return moment - timedelta(minutes=draw(st.integers(0, 2 * 24 * 60))), zone


@given(near_changes() | st.tuples(moments, st.sampled_from(ZONES).map(ZoneInfo)), st.sampled_from(list(Every)))
def test_each_moment_is_in_one_window_that_its_name_finds(case: tuple[datetime, ZoneInfo], every: Every):
    moment, zone = case
    window = window_of(moment, every, zone)
    start, end = datetime.fromisoformat(window.start), datetime.fromisoformat(window.end)
    assert start <= moment < end
    assert window_named(window.name, zone) == window
    assert window_of(start, every, zone) == window
    assert window_of(end - timedelta(microseconds=1), every, zone) == window
    following = window_of(end, every, zone)
    assert following.start == window.end
    assert following.name > window.name
    assert before(following, zone) == window
    assert window.period == window.start[:7]


def test_what_windows_are_called_and_where_they_begin():
    berlin = ZoneInfo("Europe/Berlin")
    moment = datetime(2012, 1, 5, 7, 30, tzinfo=berlin)
    names = [window_of(moment, every, berlin).name for every in Every]
    assert names == ["2012-01-05T07", "2012-01-05", "2012-W01", "2012-01"]
    week = window_of(datetime(2012, 12, 31, tzinfo=berlin), Every.WEEK, berlin)
    assert (week.name, week.start, week.end) == ("2013-W01", "2012-12-31T00:00:00+01:00", "2013-01-07T00:00:00+01:00")


def test_days_of_23_and_25_hours_and_the_hour_that_comes_twice():
    berlin = ZoneInfo("Europe/Berlin")
    spring = list(windows(*_day(2012, 3, 25, berlin), Every.HOUR, berlin))
    autumn = list(windows(*_day(2012, 10, 28, berlin), Every.HOUR, berlin))
    assert [len(spring), len(autumn)] == [23, 25]
    assert [item.name[-3:] for item in spring[1:4]] == ["T01", "T03", "T04"]
    assert [item.name[10:] for item in autumn[1:5]] == ["T01", "T02", "T02b", "T03"]


def test_a_day_that_a_zone_left_out_has_no_window():
    apia = ZoneInfo("Pacific/Apia")
    found = windows(datetime(2011, 12, 29, tzinfo=apia), datetime(2012, 1, 1, tzinfo=apia), Every.DAY, apia)
    assert [item.name for item in found] == ["2011-12-29", "2011-12-31"]
    with pytest.raises(ValueError, match="no day 2011-12-30"):
        window_named("2011-12-30", apia)


def test_windows_cover_what_is_asked_for_and_nothing_else():
    start, end = datetime(2012, 1, 31, 12, tzinfo=UTC), datetime(2012, 3, 1, tzinfo=UTC)
    assert [item.name for item in windows(start, end, Every.MONTH, UTC)] == ["2012-01", "2012-02"]
    assert list(windows(end, end, Every.MONTH, UTC)) == []


@pytest.mark.parametrize("name", ["", "2012", "2012-13", "2012-W54", "2012-02-30", "2012-01-05T24", "2012-1-5", "x"])
def test_a_name_that_means_nothing_is_refused(name: str):
    with pytest.raises(ValueError, match=r"."):
        window_named(name, UTC)


def test_a_moment_needs_an_offset_and_a_place_in_the_calendar():
    with pytest.raises(ValueError, match="no offset"):
        window_of(datetime(2012, 1, 1), Every.DAY, UTC)  # noqa: DTZ001
    with pytest.raises(ValueError, match=r"beyond the calendar|out of range"):
        window_of(datetime(9999, 12, 31, tzinfo=UTC), Every.MONTH, ZoneInfo("Asia/Kathmandu"))


def _day(year: int, month: int, day: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return datetime(year, month, day, tzinfo=zone), datetime(year, month, day + 1, tzinfo=zone)
