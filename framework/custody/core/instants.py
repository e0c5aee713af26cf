"""Moments as they are compared and counted: texts with offset, instants, microseconds since 1970. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

MICROS = 1_000_000
"""Microseconds of a second: times of rows are counted in them."""


def instant(text: str) -> datetime:
    """Return a time in UTC; one without offset is. Raises ValueError where it is none."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def utc(text: str) -> str:
    """Return a time with offset as UTC, so that times compare as text. Raises ValueError where it is none."""
    return instant(text).isoformat()


def micros(moment: datetime) -> int:
    """Return the microseconds since 1970."""
    return round(moment.timestamp() * MICROS)


def of_micros(count: int) -> datetime:
    """Return the moment in UTC that lies so many microseconds after the beginning of 1970."""
    return datetime.fromtimestamp(count / MICROS, UTC)
