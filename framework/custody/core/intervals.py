"""Intervals of measured values: Wilson's for rates, DeLong's for AUC, a bootstrap of days for the rest. numpy alone.

Rows of one day are alike, so whole days are drawn; only where there are too few of them, rows. Each interval is made
for 95 % and widened where many are looked at together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.core.measures import Answers, Floats, Measure, measures
from custody.core.resampling import weightings

LEVEL = 0.95
DRAWS = 200
FEWEST_DAYS = 5
"""Days below which their bootstrap says nothing, and rows are drawn instead."""
_BOUNDED = frozenset({"roc_auc", "average_precision", "f1", "balanced_accuracy"})
_ROWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the bounds of its interval, and the rows behind it."""

    value: float
    low: float
    high: float
    n: int

    def widened(self, together: int) -> Estimate:
        """Return it with the interval that holds for one of `together` looked at at once (Bonferroni)."""
        if together <= 1:
            return self
        factor = quantile(together) / quantile(1)
        low, high = (self.value + (bound - self.value) * factor for bound in (self.low, self.high))
        return Estimate(self.value, low, high, self.n)


def quantile(together: int = 1) -> float:
    """Return how many standard errors a two-sided 95 % interval is wide to each side, shared among `together`."""
    return NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / together)


def interval(metric: str, found: Answers, days: NDArray[Any], seed: int) -> Estimate | None:
    """Return a metric of `found` with its interval; None where it has no value. `days` numbers the day of each row."""
    measure = measures(found).get(metric)
    if measure is None or not len(found.truth):
        return None
    with np.errstate(all="ignore"):
        value = float(measure(np.ones((1, len(found.truth))))[0])
        if not math.isfinite(value):
            return None
        bounds = _rate(metric, found) or _area(metric, found, value) or _drawn(measure, days, seed)
    low, high = bounds or (value, value)
    if metric in _BOUNDED:
        low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(value, min(low, value), max(high, value), len(found.truth))


def wilson(hits: float, total: float, z: float | None = None) -> tuple[float, float]:
    """Return Wilson's interval of a share; (0, 1) of nothing. `z` None: 95 %."""
    if total <= 0:
        return 0.0, 1.0
    z = quantile() if z is None else z
    share, width = hits / total, z * z / total
    middle = (share + width / 2) / (1 + width)
    reach = z * math.sqrt(share * (1 - share) / total + width / (4 * total)) / (1 + width)
    return max(min(middle - reach, share), 0.0), min(max(middle + reach, share), 1.0)


def mean(values: Floats, days: NDArray[Any]) -> Estimate:
    """Return the mean of `values` with its interval, from the spread of whole days where there are enough of them."""
    value = float(values.mean())
    away = values - value
    groups = _groups(days)
    parts = np.bincount(groups, weights=away) if groups is not None else away
    spare = len(parts) / (len(parts) - 1) if len(parts) > 1 else 0.0
    error = math.sqrt(float(parts @ parts) * spare) / len(values)
    reach = quantile() * error
    return Estimate(value, value - reach, value + reach, len(values))


def _rate(metric: str, found: Answers) -> tuple[float, float] | None:
    if metric == "accuracy":
        return wilson(float((found.truth == found.predicted).sum()), len(found.truth))
    if found.positive is None:
        return None
    truth, said = found.truth == found.positive, found.predicted == found.positive
    hits = float((truth & said).sum())
    match metric:
        case "precision":
            return wilson(hits, float(said.sum()))
        case "recall":
            return wilson(hits, float(truth.sum()))
        case "selection_rate":
            return wilson(float(said.sum()), len(said))
        case _:
            return None


def _area(metric: str, found: Answers, value: float) -> tuple[float, float] | None:
    """DeLong, DeLong and Clarke-Pearson, 1988: the variance from each row's share of pairs in order."""
    if metric != "roc_auc" or found.probabilities is None or found.positive is None:
        return None
    truth = found.truth == found.positive
    scores = found.probabilities[:, found.positive]
    yes, no = np.sort(scores[truth]), np.sort(scores[~truth])
    if len(yes) < 2 or len(no) < 2:  # noqa: PLR2004
        return 0.0, 1.0
    above = _below(no, yes) / len(no)
    under = 1 - _below(yes, no) / len(yes)
    error = math.sqrt(float(above.var(ddof=1)) / len(yes) + float(under.var(ddof=1)) / len(no))
    return value - quantile() * error, value + quantile() * error


def _below(ordered: Floats, values: Floats) -> Floats:
    """Return how many of `ordered` lie below each value, equal ones by half."""
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((left + right) / 2)


def _drawn(measure: Measure, days: NDArray[Any], seed: int) -> tuple[float, float] | None:
    groups = _groups(days)
    if groups is None:
        groups = np.arange(len(days))
    at_once = max(1, _ROWS_AT_ONCE // len(groups))
    found: list[Floats] = []
    for weights in weightings(int(groups.max()) + 1, DRAWS, seed):
        found += [measure(weights[start : start + at_once][:, groups]) for start in range(0, len(weights), at_once)]
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if len(values) * 2 < DRAWS:
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def _groups(days: NDArray[Any]) -> NDArray[np.int64] | None:
    """Number the days from 0; None where there are too few to be drawn."""
    names, groups = np.unique(days, return_inverse=True)
    return None if len(names) < FEWEST_DAYS else np.asarray(groups, dtype=np.int64)
