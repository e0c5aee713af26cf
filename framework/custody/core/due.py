"""Which windows of a model are to be judged: the complete ones that were not judged yet, or those asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from custody.core.cron import parse_cron
from custody.core.windows import window_named, windows
from custody.domain.monitoring import Judged, Window
from custody.domain.monitors import Every, Monitors

INPUTS, OUTCOMES = "inputs", "outcomes"
_AGAIN = 6
"""So many windows of outcomes are looked at again for outcomes that came late."""
_LONGER = (Every.HOUR, Every.DAY, Every.WEEK, Every.MONTH)
_HOURS = {Every.HOUR: 1, Every.DAY: 24, Every.WEEK: 168, Every.MONTH: 720}
_ENOUGH = 4
"""A window of outcomes holds so many times `min_rows`."""


@dataclass(frozen=True, slots=True)
class Due:
    """The windows to judge, each kind in order of time."""

    inputs: tuple[Window, ...] = ()
    outcomes: tuple[Window, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outcomes)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: one `window`, or all within [`start`, `end`); with neither, what is due by itself.

    `replay` counts outcomes as of when each window was mature, whatever came since.
    """

    window: Window | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def replay(self) -> bool:
        return self.start is not None


NOTHING, BY_ITSELF = Due(), Asked()


def start_of(window: Window) -> datetime:
    """Return when a window begins."""
    return datetime.fromisoformat(window.start)


def end_of(window: Window) -> datetime:
    """Return the moment before which a window ends."""
    return datetime.fromisoformat(window.end)


def judged_at(window: Window, what: str, monitors: Monitors) -> datetime:
    """Return when a window can be judged: its outcomes when the last of them is `delay` old."""
    delay = monitors.outcomes.delay if what == OUTCOMES and monitors.outcomes else 0.0
    return end_of(window) + timedelta(seconds=delay)


def outcomes_every(monitors: Monitors, rows_an_hour: float | None) -> Every:
    """Return how long a window of outcomes is: as declared, else the shortest that holds four times `min_rows`.

    Never shorter than a window of inputs; a month where nothing is long enough or the number of rows is not known.
    """
    if monitors.outcomes and monitors.outcomes.every:
        return monitors.outcomes.every
    longer = _LONGER[_LONGER.index(monitors.every) :]
    if rows_an_hour is None:
        return longer[-1]
    wanted = _ENOUGH * monitors.min_rows
    return next((every for every in longer if rows_an_hour * _HOURS[every] >= wanted), longer[-1])


def parse_span(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Read `FROM..TO`, both names of windows and both included: `2012-01..2012-12`; raises ValueError for others."""
    first, dots, last = text.partition("..")
    if not dots:
        raise ValueError(f"{text!r} is no FROM..TO, such as 2012-01-01..2012-12-31")
    start, end = start_of(window_named(first, zone)), end_of(window_named(last, zone))
    if start >= end:
        raise ValueError(f"{first} is after {last}")
    return start, end


def due(monitors: Monitors, every: Every, asked: Asked, history: Sequence[Judged], at: Moments) -> Due:
    """Return what is to be judged of one model; `every` is how long its windows of outcomes are.

    1. One window: it, if it is complete; as inputs or as outcomes, or both, by its length.
    2. A range: all complete windows that lie in it.
    3. Else all complete windows since the last judged one that the serving run took part in: missed ones too. The first
       of all begins after it came. Of outcomes also those that are ended and not mature, and the last ones judged: more
       may have come.
    """
    if asked.window is not None:
        one = (asked.window,) if end_of(asked.window) <= at.now else ()
        has = monitors.outcomes is not None and asked.window.every is every
        return Due(one if asked.window.every is monitors.every else (), one if has else ())
    if asked.start is not None and asked.end is not None:
        until = min(asked.end, at.now)
        inputs = _whole(asked.start, until, monitors.every, at.zone)
        return Due(inputs, _whole(asked.start, until, every, at.zone) if monitors.outcomes else ())
    seen = [item for item in history if item.what == INPUTS]
    inputs = _ended(seen, at, monitors.every)
    if monitors.outcomes is None:
        return Due(inputs)
    known = [item for item in history if item.what == OUTCOMES]
    fresh = _ended(known, at, every)
    again = [item.window for item in known if (item.joined or 0.0) < 1.0 and item.window.every is every]
    return Due(inputs, (*sorted(again, key=start_of)[-_AGAIN:], *fresh))


@dataclass(frozen=True, slots=True)
class Moments:
    """Since when the serving run serves, what time it is, and the time zone of windows."""

    since: datetime
    now: datetime
    zone: tzinfo


def fires(schedule: str | None, at: Moments, last: datetime | None) -> bool:
    """Whether a model is due by its schedule: it has fired since it was `last` judged. Without one: always."""
    if schedule is None:
        return True
    fired = parse_cron(schedule).last(at.now, at.zone)
    return fired is not None and (last is None or fired > last)


def _ended(judged: Sequence[Judged], at: Moments, every: Every) -> tuple[Window, ...]:
    """Return the windows that ended by now and were not judged."""
    after = max([at.since, *(end_of(item.window) for item in judged)])
    if after >= at.now:
        return ()
    found = (item for item in windows(after, at.now, every, at.zone) if after < end_of(item) <= at.now)
    return tuple(item for item in found if judged or start_of(item) >= at.since)


def _whole(start: datetime, end: datetime, every: Every, zone: tzinfo) -> tuple[Window, ...]:
    """Return the windows that lie in [start, end)."""
    if start >= end:
        return ()
    return tuple(item for item in windows(start, end, every, zone) if start <= start_of(item) and end_of(item) <= end)
