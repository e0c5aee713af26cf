"""Two stored evaluations side by side: what differs, how sure that is, and which single predictions flipped. Pure.

Intervals are paired percentile bootstraps (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 13):
test rows are drawn with replacement, both models are scored on the same draw, and the middle 95 % of the differences
is the interval. It tells what another test set of this size might have said, nothing of another training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.core.gates import LOWER_IS_BETTER, NEARER_ZERO_IS_BETTER
from custody.core.measures import Answers, Floats, measures
from custody.core.resampling import weightings

RESAMPLES = 2_000
LEVEL = 0.95
NEUTRAL = frozenset({"selection_rate"})
"""Metrics of which neither more nor less is better."""
_SEED = 20_120_501
_DRAWS = 20_000_000
"""Rows drawn in all, so that a comparison takes seconds; beyond ten thousand test rows there are fewer resamples."""
_FEWEST = 200
_TOLERANCE = 0.1
"""Of a regression, the part of the mean absolute error before by which a row's error must change to be counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two runs. `low` and `high` bound the difference, `least` and `most` the value after it, at 95 %.

    The bounds are None where the runs were not scored on the same rows or the metric cannot be computed again.
    """

    metric: str
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def change(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def unclear(self) -> bool:
        """Whether the interval holds zero: no clear difference."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high

    @property
    def words(self) -> str:
        """`better`, `worse`, `differs`, `equal`, `no clear difference`; nothing without two values and an interval."""
        change = self.change
        if change is None or self.low is None or self.before is None or self.after is None:
            return ""
        if change == 0 and self.low == 0 == self.high:
            return "equal"
        if self.unclear:
            return "no clear difference"
        if self.metric in NEUTRAL:
            return "differs"
        if self.metric in NEARER_ZERO_IS_BETTER:
            return "better" if abs(self.after) < abs(self.before) else "worse"
        return "better" if (change < 0) == (self.metric in LOWER_IS_BETTER) else "worse"


@dataclass(frozen=True, slots=True)
class Flips:
    """Predictions that changed sides among `rows`: right before and wrong now, wrong before and right now.

    `moved` are wrong answers that became another wrong answer. Of a regression (`tolerance` is set) those whose
    error grew or shrank by more than `tolerance`, in the target's unit.
    """

    rows: int
    newly_wrong: int
    fixed: int
    moved: int = 0
    tolerance: float | None = None

    @property
    def total(self) -> int:
        return self.newly_wrong + self.fixed + self.moved

    @property
    def share(self) -> float:
        """Of all rows, from 0 to 1."""
        return self.total / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """One metric and the flips in the rows where `column` is `value`; `rows` is how many there are now."""

    column: str
    value: str
    rows: int
    difference: Difference
    flips: Flips | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs' metrics, as recorded, and what the predictions tell beyond them. `note` says why they tell nothing."""

    metrics: tuple[Difference, ...]
    slices: tuple[SliceDifference, ...] = ()
    flips: Flips | None = None
    rows: int = 0
    resamples: int = 0
    note: str = ""

    @property
    def paired(self) -> bool:
        """Whether both were scored on the same test rows."""
        return self.resamples > 0

    def metric(self, name: str) -> Difference | None:
        """Return the difference in one metric."""
        return next((item for item in self.metrics if item.metric == name), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is recorded of one run's evaluation: the facts `{metrics, n, slices}`."""

    facts: Mapping[str, Any]

    def metric(self, name: str) -> float | None:
        return _number(self.facts.get("metrics", {}).get(name))

    def sliced(self, column: str, value: str, metric: str) -> float | None:
        return _number(self.facts.get("slices", {}).get(column, {}).get(value, {}).get(metric))


def values_only(before: Measured | None, after: Measured, slices: Mapping[str, str], note: str) -> Comparison:
    """Return the recorded values side by side without intervals; `slices` maps a column to its metric."""
    old = before or Measured({})
    metrics = tuple(Difference(name, old.metric(name), after.metric(name)) for name in _names(old, after))
    sliced = tuple(_sliced(old, after, slices))
    return Comparison(metrics, sliced, rows=int(after.facts.get("n") or 0), note=note)


def compare(
    recorded: tuple[Measured, Measured],
    answers: tuple[Answers, Answers],
    slices: Mapping[str, str],
    groups: Mapping[str, NDArray[Any]],
) -> Comparison:
    """Compare two runs by their recorded facts and their predictions, (before, after) in both pairs.

    `groups` maps a slice column to the text of its value in each row of the first answers. Predictions on other rows,
    or with other truths, are not paired: then only the values are given, and why.
    """
    plain = values_only(*recorded, slices, "")
    paired = pair(*answers)
    if isinstance(paired, str):
        return values_only(*recorded, slices, paired)
    before, after, order = paired
    cut = {column: values[order] for column, values in groups.items()}
    wanted = [(item, _mask(item, cut, len(order))) for item in plain.slices]
    bounds = _bounds(before, after, [item.metric for item in plain.metrics], wanted)
    metrics = tuple(_bounded(item, bounds.get(("", "", item.metric))) for item in plain.metrics)
    sliced = tuple(
        SliceDifference(
            item.column,
            item.value,
            item.rows,
            _bounded(item.difference, bounds.get((item.column, item.value, item.difference.metric))),
            None if mask is None else flips(before.take(mask), after.take(mask), _tolerance(before)),
        )
        for item, mask in wanted
    )
    return Comparison(metrics, sliced, flips(before, after, _tolerance(before)), len(order), resamples(len(order)))


def pair(before: Answers, after: Answers) -> tuple[Answers, Answers, NDArray[np.int64]] | str:
    """Return both answers in one order of rows, and that order of the first; or why they cannot be paired."""
    if before.classes != after.classes or before.positive != after.positive:
        return "other classes; not paired"
    if len(before.ids) == 0 or before.ids.dtype.kind != after.ids.dtype.kind:
        return "other test rows; not paired"
    one, two = np.argsort(before.ids, kind="stable"), np.argsort(after.ids, kind="stable")
    first, second = before.take(one), after.take(two)
    if len(one) != len(two) or not np.array_equal(first.ids, second.ids) or _repeats(first.ids):
        return "other test rows; not paired"
    if not np.array_equal(first.truth, second.truth):
        return "the same test rows with other truths; not paired"
    return first, second, one


def flips(before: Answers, after: Answers, tolerance: float) -> Flips:
    """Count what flipped between two paired answers; `tolerance` is for regressions, in the target's unit."""
    rows = len(before.truth)
    if before.regression:
        grown = np.abs(after.predicted - after.truth) - np.abs(before.predicted - before.truth)
        return Flips(rows, int((grown > tolerance).sum()), int((grown < -tolerance).sum()), tolerance=tolerance)
    was, now = before.predicted == before.truth, after.predicted == after.truth
    moved = ~was & ~now & (before.predicted != after.predicted)
    return Flips(rows, int((was & ~now).sum()), int((~was & now).sum()), int(moved.sum()))


def resamples(rows: int) -> int:
    """Return how many resamples are drawn of so many rows."""
    return int(min(RESAMPLES, max(_FEWEST, _DRAWS // max(rows, 1))))


def draws(rows: int) -> Iterator[Floats]:
    """Yield weightings, a row each, how often every test row was drawn."""
    return weightings(rows, resamples(rows), _SEED)


_Bounds = tuple[float, float, float, float]


def _bounds(
    before: Answers,
    after: Answers,
    names: list[str],
    slices: list[tuple[SliceDifference, NDArray[np.bool_] | None]],
) -> dict[tuple[str, str, str], _Bounds]:
    """Return the bounds of the difference and of the value after, by (column, value, metric)."""
    asked: list[tuple[tuple[str, str, str], NDArray[np.bool_] | None, Answers, Answers, str]]
    asked = [(("", "", name), None, before, after, name) for name in names]
    asked += [
        (
            (item.column, item.value, item.difference.metric),
            mask,
            before.take(mask),
            after.take(mask),
            item.difference.metric,
        )
        for item, mask in slices
        if mask is not None and mask.any()
    ]
    functions = [(key, mask, measures(old).get(name), measures(new).get(name)) for key, mask, old, new, name in asked]
    found: dict[tuple[str, str, str], list[Floats]] = {}
    with np.errstate(all="ignore"):
        for weights in draws(len(before.truth)):
            for key, mask, old, new in functions:
                if old is None or new is None:
                    continue
                part = weights if mask is None else weights[:, mask]
                value = new(part)
                found.setdefault(key, []).append(np.array([value - old(part), value]))
    cut = {key: _percentiles(np.concatenate(parts, axis=1)) for key, parts in found.items()}
    return {key: bounds for key, bounds in cut.items() if bounds}


def _percentiles(values: Floats) -> _Bounds | None:
    kept = values[:, np.isfinite(values).all(axis=0)]
    if kept.shape[1] * 2 < values.shape[1]:
        return None  # undefined in most of the draws: no interval is better than one of the rest
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(kept, [tail, 100 - tail], axis=1)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _bounded(item: Difference, bounds: _Bounds | None) -> Difference:
    if bounds is None or item.change is None:
        return item
    return Difference(item.metric, item.before, item.after, *bounds)


def _sliced(before: Measured, after: Measured, slices: Mapping[str, str]) -> Iterator[SliceDifference]:
    for column, metric in slices.items():
        for value, facts in after.facts.get("slices", {}).get(column, {}).items():
            difference = Difference(metric, before.sliced(column, value, metric), _number(facts.get(metric)))
            yield SliceDifference(column, value, int(facts.get("n") or 0), difference)


def _mask(item: SliceDifference, groups: Mapping[str, NDArray[Any]], rows: int) -> NDArray[np.bool_] | None:
    values = groups.get(item.column)
    return None if values is None or len(values) != rows else np.equal(values, item.value)


def _tolerance(before: Answers) -> float:
    if not before.regression or not len(before.truth):
        return 0.0
    return float(_TOLERANCE * np.mean(np.abs(before.predicted - before.truth)))


def _names(before: Measured, after: Measured) -> list[str]:
    names = (*after.facts.get("metrics", {}), *before.facts.get("metrics", {}))
    return list(dict.fromkeys(str(name) for name in names))


def _repeats(ordered: NDArray[Any]) -> bool:
    return bool(len(ordered) > 1 and (ordered[1:] == ordered[:-1]).any())


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None
