"""Schedules in cron's five fields, strictly, and when one has fired last. The day is local, the answer is a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {
    "month": {name: number for number, name in enumerate(_MONTHS, 1)},
    "day of the week": {name: number for number, name in enumerate(_WEEKDAYS)},
}
_RANGES = {"minute": (0, 59), "hour": (0, 23), "day of the month": (1, 31), "month": (1, 12), "day of the week": (0, 7)}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LONGEST = 8 * 366 + 1
"""Days between two 29ths of February around a year such as 2100."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The values of each field; `either`: a day of one of the two kinds suffices, as both are restricted."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def last(self, now: datetime, zone: tzinfo) -> datetime | None:
        """Return when it has fired last, at or before `now`; a time that a change of clocks leaves out fires after it.

        None where it has not for eight years.
        """
        today = now.astimezone(zone).date()
        times = [time(hour, minute) for hour in sorted(self.hours, reverse=True) for minute in self._minutes()]
        for back in range(_LONGEST):
            day = today - timedelta(days=back)
            for at in times if self._falls_on(day.month, day.day, day.isoweekday() % 7) else ():
                if (moment := datetime.combine(day, at, zone)).timestamp() <= now.timestamp():
                    return moment
        return None

    def _minutes(self) -> list[int]:
        return sorted(self.minutes, reverse=True)

    def _falls_on(self, month: int, day: int, weekday: int) -> bool:
        kinds = (day in self.days, weekday in self.weekdays)
        return month in self.months and (any(kinds) if self.either else all(kinds))


def parse_cron(text: str) -> Cron:
    """Read minute, hour, day of the month, month and day of the week; raises ValueError that says what is wrong."""
    fields = text.split(" ")
    if len(fields) != len(_RANGES) or not all(fields):
        raise ValueError(f"expected five fields with one space between, found {len(text.split())}")
    minutes, hours, days, months, weekdays = (
        frozenset(_values(field, name)) for field, name in zip(fields, _RANGES, strict=True)
    )
    weekdays = frozenset(day % 7 for day in weekdays)
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    if not either and min(days) > max(_DAYS[month - 1] for month in months):
        raise ValueError(f"it never fires: no such month has a day {min(days)}")
    return Cron(minutes, hours, days, months, weekdays, either)


def _values(field: str, name: str) -> Iterator[int]:
    least, greatest = _RANGES[name]
    for part in field.split(","):
        span, stepped, step = part.partition("/")
        first, ranged, last = span.partition("-")
        if span == "*":
            start, end = least, min(greatest, 6) if name == "day of the week" else greatest
        else:
            start = _number(first, name)
            end = _number(last, name) if ranged else start
        if stepped and (span != "*" and not ranged):
            raise ValueError(f"{name} {part!r} steps through no range: write */{step} or a range")
        width = _number(step, name, bound=greatest + 1) if stepped else 1
        if start > end or width < 1:
            raise ValueError(f"{name} {part!r} is empty")
        yield from range(start, end + 1, width)


def _number(text: str, name: str, bound: int | None = None) -> int:
    least, greatest = _RANGES[name] if bound is None else (1, bound)
    named = _NAMES.get(name, {}) if bound is None else {}
    value = named.get(text.lower(), int(text) if text.isascii() and text.isdigit() and len(text) < 3 else -1)  # noqa: PLR2004
    if not least <= value <= greatest:
        raise ValueError(f"{name} {text!r} is not {least} to {greatest}")
    return value
