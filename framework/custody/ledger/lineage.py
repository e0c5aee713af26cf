"""Which records are a model's, though it was renamed: a name and a part of the ledger, and what it was called before.

A name that is free again may be another model's later, so that a name alone does not say which model is meant: its
records are those behind the last rename away from it, and before them those of the name that it took over from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_END = 2**62


@dataclass(frozen=True, slots=True)
class Rename:
    """A rename at a position of the ledger's landing order."""

    position: int
    was: str
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """The records of `name` behind the position `after` and before `before`."""

    name: str
    after: int = -1
    before: int = _END


def spans(name: str, renames: Sequence[Rename]) -> tuple[Span, ...]:
    """Return where the records of a model are that is called `name` now, newest first; `renames` are in order."""
    found: list[Span] = []
    before = _END
    while True:
        after = max((item.position for item in renames if item.was == name and item.position < before), default=-1)
        found.append(Span(name, after, before))
        came = [item for item in renames if item.name == name and after < item.position < before]
        if not came:
            return tuple(found)
        name, before = came[-1].was, came[-1].position


def name_now(name: str, position: int, renames: Sequence[Rename]) -> str:
    """Return what a model is called now that was called `name` at a position."""
    for item in renames:
        if item.position > position and item.was == name:
            name = item.name
    return name


def clause(found: Sequence[Span], table: str) -> tuple[str, tuple[str | int, ...]]:
    """Return the SQL that takes the rows of these spans from `table`, and its values."""
    parts: list[str] = []
    values: list[str | int] = []
    for span in found:
        parts.append(f"({table}.model = ? AND {table}.position > ? AND {table}.position < ?)")
        values += [span.name, span.after, span.before]
    return f"({' OR '.join(parts)})", tuple(values)
