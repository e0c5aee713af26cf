"""Profiles of windows: how they add up, and the one line of text that a column of one is stored as. Pure.

Counts add exactly, so 24 hours make the day. Columns that one profile has and another lacks count as null there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from custody.digest import digest
from custody.domain.monitoring import Counts, Edges, Profile

_BESIDE = ("nulls", "new", "text", "below", "above", "mode")


def edges_digest(edges: Mapping[str, Edges]) -> str:
    """Return the digest that names these edges: profiles add up only under the same."""
    return digest({name: item.to_dict() for name, item in edges.items()})


def empty(edges: Mapping[str, Edges]) -> Profile:
    """Return the profile of no rows, which changes no sum."""
    columns = {name: Counts((0,) * item.cells) for name, item in edges.items()}
    return Profile(edges_digest(edges), 0, columns, tuple(edges))


def add(a: Profile, b: Profile) -> Profile:
    """Return the profile of the rows of both; raises ValueError where they were counted over different edges."""
    if a.edges != b.edges or a.columns.keys() != b.columns.keys():
        raise ValueError(f"profiles over different edges do not add up: {a.edges[:12]} and {b.edges[:12]}")
    columns = {name: add_counts(counts, b.columns[name]) for name, counts in a.columns.items()}
    missing = tuple(name for name in a.missing if name in b.missing)
    return Profile(a.edges, a.rows + b.rows, columns, missing, tuple(sorted({*a.unknown, *b.unknown})))


def total(profiles: Iterable[Profile]) -> Profile:
    """Return the sum of one profile or more; raises TypeError for none, ValueError as `add`."""
    return reduce(add, profiles)


def total_counts(parts: Iterable[Counts]) -> Counts:
    """Return the sum of the counts of one part or more; raises TypeError for none, ValueError as `add_counts`."""
    return reduce(add_counts, parts)


def subtract(whole: Profile, part: Profile) -> Profile:
    """Return the profile of the rows of `whole` that are not in `part`; least and greatest stay those of the whole.

    Raises ValueError where the edges differ or `part` holds more than `whole`.
    """
    if whole.edges != part.edges or whole.columns.keys() != part.columns.keys():
        raise ValueError("profiles over different edges cannot be subtracted")
    columns = {name: subtract_counts(counts, part.columns[name]) for name, counts in whole.columns.items()}
    return replace(whole, rows=whole.rows - part.rows, columns=columns)


def add_counts(a: Counts, b: Counts) -> Counts:
    """Return the counts of the rows of both; raises ValueError where they have not as many cells."""
    return Counts(
        tuple([x + y for x, y in zip(a.cells, b.cells, strict=True)]),
        a.nulls + b.nulls,
        a.new + b.new,
        a.text + b.text,
        a.below + b.below,
        a.above + b.above,
        a.mode + b.mode,
        _either(min, a.least, b.least),
        _either(max, a.greatest, b.greatest),
    )


def encode(counts: Counts) -> str:
    """Return counts as text: `412 420 398|3 0 0 0 0 57|0.02 0.97`, see `Counts.to_text`."""
    return counts.to_text()


def decode(text: str) -> Counts:
    """Read what `encode` wrote; raises ValueError for anything else."""
    return Counts.from_text(text)


def subtract_counts(a: Counts, b: Counts) -> Counts:
    """Return the counts of the rows of `a` that are not in `b`; least and greatest stay those of `a`.

    Raises ValueError where `b` holds more than `a`, or other cells.
    """
    cells = tuple(x - y for x, y in zip(a.cells, b.cells, strict=True))
    beside = [getattr(a, name) - getattr(b, name) for name in _BESIDE]
    if min(*cells, *beside) < 0:
        raise ValueError("the part holds more than the whole")
    nulls, new, text, below, above, mode = beside
    return Counts(cells, nulls, new, text, below, above, mode, a.least, a.greatest)


def holds_one(counts: Counts, edges: Edges) -> bool:
    """Whether all known values of a column are one and the same, as far as its counts tell."""
    if counts.new or counts.text or not counts.known or edges.hidden:
        return False
    if edges.values is not None:
        return max(counts.cells[:-1], default=0) == counts.known
    if counts.least is None:
        return max(counts.cells) == counts.known and edges.kind == "boolean"
    return counts.least == counts.greatest


def total_of_texts(texts: Sequence[str]) -> Counts:
    """Return the sum of one encoded counts or more, as far as distances need it: cells, least and greatest."""
    parts = [text.split("|") for text in texts]
    cells = [map(int, part[0].split()) for part in parts]
    bounds = [float(bound) for part in parts for bound in (part[2].split() if len(part) > 2 else ())]  # noqa: PLR2004
    ends = (min(bounds), max(bounds)) if bounds else (None, None)
    return Counts(tuple(map(sum, zip(*cells, strict=True))), least=ends[0], greatest=ends[1])


def texts(profile: Profile) -> dict[str, str]:
    """Return the profile as a window's record holds it: each column as text."""
    return {name: encode(counts) for name, counts in profile.columns.items()}


def from_texts(columns: Mapping[str, str], rows: int, edges: str) -> Profile:
    """Read a profile back from what a record holds; raises ValueError for what are no counts."""
    return Profile(edges, rows, {name: decode(text) for name, text in columns.items()})


def _either(choose: Callable[[float, float], float], a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return choose(a, b)
