"""Windows of time: hours, days, weeks and months as the clocks of a time zone show them. Pure.

Windows of one kind follow one another without gap or overlap, whatever the clocks do: a day may have 23 or 25 hours,
a day that a zone leaves out has no window, and the second of two equal hours is named with a `b`: `2012-10-28T02b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from custody.domain.monitoring import Window
from custody.domain.monitors import Every

LENGTH = {Every.HOUR: 3600.0, Every.DAY: 86400.0, Every.WEEK: 7 * 86400.0, Every.MONTH: 30 * 86400.0}
"""About how many seconds a window lasts."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_NAME = re.compile(r"(\d{4})-(?:W(\d\d)|(\d\d)(?:-(\d\d)(?:T(\d\d)(b?))?)?)")
_QUARTERS = (0, 15, 30, 45, 59)


def window_of(moment: datetime, every: Every, zone: tzinfo) -> Window:
    """Return the window that holds `moment`; raises ValueError for a moment without offset or beyond the calendar."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no offset from UTC")
    try:
        start, end = (_hour if every is Every.HOUR else _days)(moment.astimezone(UTC), every, zone)
    except OverflowError as error:
        raise ValueError(f"{moment.isoformat()} lies beyond the calendar") from error
    return Window(_name(start, every), every, start.isoformat(), end.isoformat())


def windows(start: datetime, end: datetime, every: Every, zone: tzinfo) -> Iterator[Window]:
    """Yield the whole windows that cover [start, end), in order; raises ValueError as `window_of`."""
    moment = start
    while moment < end:
        window = window_of(moment, every, zone)
        yield window
        moment = datetime.fromisoformat(window.end)


def window_named(name: str, zone: tzinfo) -> Window:
    """Return the window `2012-01-05T07`, `2012-01-05`, `2012-W05` or `2012-01`; ValueError where there is none."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} names no window: expected 2012-01, 2012-W05, 2012-01-05 or 2012-01-05T07")
    every, moments = _meant(found, zone)
    for moment in moments:
        if (window := window_of(moment, every, zone)).name == name:
            return window
    raise ValueError(f"there is no {every} {name} in the time zone {zone}")


def before(window: Window, zone: tzinfo) -> Window:
    """Return the window that ends where `window` starts."""
    return window_of(datetime.fromisoformat(window.start) - timedelta(microseconds=1), window.every, zone)


def _meant(found: re.Match[str], zone: tzinfo) -> tuple[Every, tuple[datetime, ...]]:
    year, week, month, day, hour, second = found.groups()
    if week is not None:
        return Every.WEEK, (_midnight(date.fromisocalendar(int(year), int(week), 1), zone),)
    first = date(int(year), int(month), int(day or 1))
    if hour is None:
        return Every.MONTH if day is None else Every.DAY, (_midnight(first, zone),)
    times = [time(int(hour), minute, fold=bool(second)) for minute in _QUARTERS]
    return Every.HOUR, tuple(datetime.combine(first, at, zone) for at in times)


def _name(start: datetime, every: Every) -> str:
    match every:
        case Every.HOUR:
            return f"{start:%Y-%m-%dT%H}{'b' if start.fold else ''}"
        case Every.WEEK:
            year, week, _ = start.date().isocalendar()
            return f"{year:04}-W{week:02}"
        case _:
            return start.date().isoformat()[: 10 if every is Every.DAY else 7]


def _days(moment: datetime, every: Every, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the bounds of a window of whole days; clocks put back over midnight do not open a day again."""
    first = _first(moment.astimezone(zone).date(), every)
    start, end = _midnight(first, zone), _midnight(_next(first, every), zone)
    while end <= moment:
        first = _next(first, every)
        start, end = end, _midnight(_next(first, every), zone)
    return start, end


def _first(day: date, every: Every) -> date:
    match every:
        case Every.WEEK:
            return day - timedelta(days=day.weekday())
        case Every.MONTH:
            return day.replace(day=1)
        case _:
            return day


def _next(first: date, every: Every) -> date:
    match every:
        case Every.WEEK:
            return first + 7 * _DAY
        case Every.MONTH:
            return (first + 31 * _DAY).replace(day=1)
        case _:
            return first + _DAY


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return when `day` begins: the first of two midnights, or the moment at which clocks leap over it."""
    return datetime.combine(day, time(), zone).astimezone(UTC).astimezone(zone)


def _hour(moment: datetime, _: Every, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the bounds of an hour; cut short where a zone moves its clocks by a part of one."""
    local = moment.astimezone(zone)
    start = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = start + _HOUR
    if _part(start, zone) != (part := _part(moment, zone)):
        start = _change(start, moment, zone)
    if _part(end - timedelta(microseconds=1), zone) != part:
        end = _change(moment, end, zone)
    return start.astimezone(zone), end.astimezone(zone)


def _part(moment: datetime, zone: tzinfo) -> timedelta:
    """Return by what part of an hour the clocks differ from UTC."""
    return (moment.astimezone(zone).utcoffset() or timedelta()) % _HOUR


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the second between the two from which on the clocks differ from UTC as they do at `high`."""
    first, last = int(low.timestamp()), int(high.timestamp())
    part = _part(high, zone) if _part(high, zone) != _part(low, zone) else None
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if _part(datetime.fromtimestamp(middle, UTC), zone) == part else (middle, last)
    return datetime.fromtimestamp(last, UTC)
