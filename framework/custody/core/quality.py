"""Faults of a window's data that need no statistics of drift: what each column shows, from its counts alone. Pure.

Shares are judged by the lower bound of Wilson's interval, widened for the number of columns: small windows do not fire
by luck. A fault that no luck explains opens an incident at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from custody.core.calibration import LUCK
from custody.core.drift import brief
from custody.core.intervals import wilson
from custody.core.profiles import holds_one
from custody.core.quantiles import normal
from custody.domain.monitoring import Counts, Profile, Signal
from custody.domain.monitors import Level, Quality
from custody.domain.reference import Known, Reference

NEW, OUTSIDE, TEXT = 0.01, 0.01, 0.001
"""Shares of new categories, of values out of range, of values that are no numbers, above which they are told."""
_NEARLY_ALL, _HALF = 0.95, 0.5
_OTHER_KINDS = {"date": "dates", "timestamp": "times", "text": "texts"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a window beside what the reference knows of it; `luck` is its part of the chance."""

    name: str
    counts: Counts
    known: Known
    luck: float

    @property
    def least_share(self) -> float:
        """How few standard errors are taken off a share before it is believed."""
        return normal(self.luck)


def quality_signals(rules: Quality, reference: Reference, profile: Profile) -> Iterator[Signal]:
    """Yield the faults of a window with rows: of its columns as a whole, then of each."""
    yield from _schema(rules, profile)
    luck = LUCK / max(1, len(reference.columns))
    for name, known in reference.columns.items():
        if name in profile.missing:
            continue
        column = Column(name, profile.columns[name], known, luck)
        for rule in (_nulls, _text, _constant, _range, _categories, _mode):
            yield from map(_rounded, rule(rules, column))


def _schema(rules: Quality, profile: Profile) -> Iterator[Signal]:
    if rules.schema is Level.OFF:
        return
    for name in profile.missing:
        yield Signal(
            "schema", rules.schema, f"column {name} is not there", name, "missing", n=profile.rows, at_once=True
        )
    for name in profile.unknown:
        text = f"column {name} is not in the training data"
        yield Signal("schema", Level.WARN, text, name, "unknown", n=profile.rows, at_once=True)


def _nulls(rules: Quality, column: Column) -> Iterator[Signal]:
    nulls, n, base = column.counts.nulls, column.counts.rows, column.known.nulls
    if rules.nulls is None or not n or nulls <= n * (base + rules.nulls):
        return
    share, limit, surely = nulls / n, base + rules.nulls, wilson(nulls, n, column.least_share)[0]
    if surely > limit:
        at_once = surely > limit + rules.nulls or (share >= _NEARLY_ALL and base < _HALF)
        text = f"{column.name} is null in {_percent(share)} of {n:,} rows, {_percent(base)} at most in training"
        yield Signal(
            "nulls", Level.ALERT, text, column.name, "share", share, limit, wilson(nulls, n), n, at_once=at_once
        )


def _text(rules: Quality, column: Column) -> Iterator[Signal]:
    """Numbers and dates that are none: another type, a unit in the cell, another format."""
    text, n = column.counts.text, column.counts.rows
    base = column.known.counts.text / max(1, column.known.counts.rows)
    if not text or text / n <= base + TEXT or wilson(text, n)[0] <= base:
        return
    what = _OTHER_KINDS.get(column.known.edges.kind)
    monitor, level = ("schema", rules.schema) if what else ("text_number", rules.text_number)
    if level is not Level.OFF:
        words = f"{column.name}: {text:,} of {n:,} values are no {what or 'numbers'}"
        hint = ", the format may have changed" if what in {"dates", "times"} else ""
        yield Signal(monitor, level, words + hint, column.name, "share", text / n, base + TEXT, n=n, at_once=True)


def _constant(rules: Quality, column: Column) -> Iterator[Signal]:
    counts, known = column.counts, column.known
    if rules.constant is Level.OFF:
        return
    if known.constant:
        others = counts.new + counts.below + counts.above + sum(counts.cells[1:])
        if others:
            text = f"{column.name} held one value in training, {others:,} of {counts.rows:,} rows hold another"
            yield Signal(
                "constant", rules.constant, text, column.name, "rows", others, 0.0, n=counts.rows, at_once=True
            )
    elif _stuck(column):
        text = f"{column.name} varied in training and holds one value in all {counts.known:,} rows"
        yield Signal("constant", rules.constant, text, column.name, "stuck", 1.0, None, n=counts.known, at_once=True)


def _stuck(column: Column) -> bool:
    """Whether a column that varies holds one value, and in more rows than luck allows."""
    counts, known = column.counts, column.known
    if known.steady or known.constant or not holds_one(counts, known.edges):
        return False
    usual = known.mode if known.mode is not None else max(known.counts.cells) / max(1, known.counts.known)
    return usual**counts.known < column.luck


def _range(rules: Quality, column: Column) -> Iterator[Signal]:
    counts, known = column.counts, column.known
    if rules.range is Level.OFF:
        return
    if known.least is not None and counts.least is not None and counts.least < known.least:
        text = f"{column.name} is {counts.least:g} at least, declared is {known.least:g} or more"
        yield Signal(
            "range", Level.ALERT, text, column.name, "min", counts.least, known.least, n=counts.known, at_once=True
        )
    if known.greatest is not None and counts.greatest is not None and counts.greatest > known.greatest:
        text = f"{column.name} is {counts.greatest:g} at most, declared is {known.greatest:g} or less"
        value, limit = counts.greatest, known.greatest
        yield Signal("range", Level.ALERT, text, column.name, "max", value, limit, n=counts.known, at_once=True)
    outside, n = _outside(column), counts.known
    if known.constant or outside <= n * OUTSIDE or wilson(outside, n, column.least_share)[0] <= OUTSIDE:
        return
    low, high = known.edges.low or 0.0, known.edges.high or 0.0
    text = f"{column.name} is outside {low:g} to {high:g}, as in training, in {_percent(outside / n)} of {n:,} rows"
    yield Signal("range", rules.range, text, column.name, "outside", outside / n, OUTSIDE, n=n)


def _outside(column: Column) -> int:
    """Return how many values are outside the range of training, and farther than the next window may reach."""
    counts, (low, high) = column.counts, column.known.reach or (math.inf, -math.inf)
    below = counts.below if counts.least is not None and counts.least < low else 0
    above = counts.above if counts.greatest is not None and counts.greatest > high else 0
    dated = column.known.edges.kind in {"date", "timestamp"}  # time goes on: later is nothing odd
    return below + (0 if dated else above)


def _categories(rules: Quality, column: Column) -> Iterator[Signal]:
    counts, known = column.counts, column.known
    values, n = known.edges.values, counts.known + counts.new
    if rules.categories is Level.OFF or not values or not n or known.constant:
        return
    if counts.new and (known.closed or (counts.new >= NEW * n and counts.new > 1)):
        level, share = Level.ALERT if known.closed else rules.categories, counts.new / n
        text = f"{column.name} holds categories that {'are not declared' if known.closed else 'training did not know'}"
        words = f"{text} in {_percent(share)} of {n:,} rows"
        yield Signal("categories", level, words, column.name, "new", share, NEW, n=n, at_once=True)
    total = max(1, known.counts.known)
    gone = [
        values[cell]
        for cell in known.always
        if not counts.cells[cell] and (1 - known.counts.cells[cell] / total) ** n < column.luck
    ]
    if gone and not _stuck(column):
        listed = ", ".join(gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")  # noqa: PLR2004
        text = f"{column.name} is never {listed} in {n:,} rows"
        yield Signal("categories", rules.categories, text, column.name, "gone", float(len(gone)), 0.0, n=n)


def _mode(rules: Quality, column: Column) -> Iterator[Signal]:
    """The commonest value is far commoner: means filled in, or a sensor that is stuck now and then."""
    counts, usual, limit = column.counts, column.known.mode, column.known.commonest
    off = rules.mode is Level.OFF or column.known.constant or column.known.steady or _stuck(column)
    if off or usual is None or limit is None or not counts.known:
        return
    share = counts.mode / counts.known
    if share > limit and wilson(counts.mode, counts.known, column.least_share)[0] > usual:
        text = f"{column.name} is {_value(column)} in {_percent(share)} of {counts.known:,} rows, "
        words = f"{text}{_percent(usual)} at most in training"
        yield Signal("mode", rules.mode, words, column.name, "share", share, limit, n=counts.known)


def _rounded(signal: Signal) -> Signal:
    value, limit = (None if number is None else brief(number) for number in (signal.value, signal.limit))
    interval = signal.interval and (brief(signal.interval[0]), brief(signal.interval[1]))
    return replace(signal, value=value, limit=limit, interval=interval)


def _value(column: Column) -> str:
    mode = column.known.edges.mode
    return f"{mode:g}" if isinstance(mode, float) else str(mode)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
