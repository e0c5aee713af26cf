"""What a classifier probably reaches, before any outcome is known: from its own scores, calibrated (CBPE). Pure.

Confidence-based performance estimation: a row that is positive with chance c, and predicted positive, is right with
chance c. It sees other rows than those of the reference; it sees neither another meaning of the rows (concept drift)
nor broken inputs. So it is an estimate, says so, opens a ticket at most, and is not shown while the data are broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from custody.core.intervals import Estimate, quantile
from custody.core.measures import Answers, Floats
from custody.core.outcome_limits import Limit, limits
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level, Monitors, OutcomeLimit
from custody.domain.outcome import OutcomeBase

_STEPS = 50
_FEWEST = 200

_NO_FAULT = frozenset({"drift", "prediction"})
"""Monitors of a window of inputs whose signals say nothing against its data."""

Measured = dict[str, tuple[float, float, float, int]]
Calibration = tuple[tuple[float, float], ...]
Counted = NDArray[np.int64]


def calibrate(found: Answers) -> Calibration:
    """Return how often rows up to a score were positive, by scores that the model gave to rows it was not fitted on.

    Isotonic regression over at most 50 groups of equal size: (greatest score, share), both ascending. Empty where
    there are no probabilities of two classes, or fewer than 200 rows.
    """
    if found.positive is None or found.probabilities is None or len(found.truth) < _FEWEST:
        return ()
    scores = found.probabilities[:, found.positive]
    order = np.argsort(scores, kind="stable")
    ordered, truth = scores[order], (found.truth[order] == found.positive).astype(np.float64)
    ends = np.unique(np.searchsorted(ordered, np.quantile(ordered, np.arange(1, _STEPS + 1) / _STEPS), side="right"))
    starts = np.concatenate(([0], ends[:-1]))
    groups = [
        (float(ordered[end - 1]), float(truth[at:end].sum()), int(end - at))
        for at, end in zip(starts, ends, strict=True)
    ]
    return tuple((float(f"{score:.6g}"), float(f"{share:.6g}")) for score, share in _pooled(groups))


def score_counts(scores: Floats, positive: NDArray[np.bool_], calibration: Calibration) -> Counted:
    """Return how many rows have a score of each step, those predicted negative and those predicted positive.

    Counts of parts add up to those of the whole.
    """
    tops = np.array([top for top, _ in calibration])
    places = np.minimum(np.searchsorted(tops, scores, side="left"), len(tops) - 1)
    parts = [np.bincount(places[rows], minlength=len(tops)) for rows in (~positive, positive)]
    return np.array(parts, dtype=np.int64)


def estimate(counts: Counted, calibration: Calibration) -> dict[str, Estimate]:
    """Return the metrics that so many rows of each step are expected to reach.

    The intervals say how far the metric of so many rows would vary if the chances are right, not whether they are.
    """
    chance = np.array([share for _, share in calibration])
    negative, positive = counts.astype(np.float64)
    rows = negative + positive
    n, said, total, hit = rows.sum(), positive.sum(), float(rows @ chance), float(positive @ chance)
    right = (hit + float(negative @ (1 - chance))) / n
    found = {"accuracy": (right, math.sqrt(float(rows @ (chance * (1 - chance)))) / n)}
    if said > 0:
        found["precision"] = (hit / said, _share_error(hit / said, said))
    if total > 0:
        found["recall"] = (hit / total, _share_error(hit / total, total))
        found["f1"] = (2 * hit / (total + said), _share_error(2 * hit / (total + said), total + said))
    yes, no = rows * chance, rows * (1 - chance)
    if total > 0 and total < n:
        area = float(yes @ (np.cumsum(no) - no / 2)) / (total * (n - total))
        found["roc_auc"] = (area, _area_error(area, total, n - total))
    return {name: _bounded(value, error, int(n)) for name, (value, error) in found.items()}


def judge_estimate(
    monitors: Monitors, base: OutcomeBase | None, counts: Sequence[Sequence[int]] | None, signals: Iterable[Signal]
) -> tuple[tuple[Signal, ...], Measured, tuple[str, ...]]:
    """Estimate the metrics of a window whose outcomes are not known yet: signals (never `alert`), measures, notes.

    `counts` are its `score_counts`, None where there are none. `signals` are those of its inputs: while one says that
    the data are at fault the scores mean nothing.
    """
    outcomes = monitors.outcomes
    if outcomes is None or not outcomes.estimate:
        return (), {}, ()
    if base is None or not base.calibration:
        return (), {}, ("nothing is estimated: that needs out-of-fold probabilities of two classes",)
    if any(map(_fault, signals)):
        return (), {}, ("nothing is estimated while the data are at fault",)
    counted = np.array(counts if counts is not None else [[], []], dtype=np.int64)
    if counted.sum() < monitors.min_rows:
        return (), {}, (f"nothing is estimated: {counted.sum():,} rows with a probability of {monitors.min_rows:,}",)
    values = estimate(counted, base.calibration)
    asked = [rule for rule in outcomes.metrics or (OutcomeLimit("roc_auc"),) if rule.metric in values]
    fired = [
        _signal(rule.metric, values[rule.metric], limit)
        for rule in asked
        for limit in limits(rule, base)
        if limit.beyond(values[rule.metric], limit.value)
    ]
    shown = {f"estimated_{rule.metric}": _rounded(values[rule.metric]) for rule in asked}
    return tuple(fired), shown, ()


def _fault(signal: Signal) -> bool:
    """Whether a signal says something against what the model was given; a column more than it knows does not."""
    unknown_column = signal.monitor == "schema" and signal.level == Level.WARN
    return signal.monitor not in _NO_FAULT and not unknown_column


def _bounded(value: float, error: float, n: int) -> Estimate:
    reach = quantile() * error
    return Estimate(value, max(value - reach, 0.0), min(value + reach, 1.0), n)


def _signal(metric: str, found: Estimate, limit: Limit) -> Signal:
    value, low, high, n = _rounded(found)
    side = "below" if limit.floor else "above"
    text = f"{metric} is estimated at {value:.3g} ({low:.3g} to {high:.3g}), {side} {limit.value:.3g}, {limit.why}"
    shown = float(f"{limit.value:.6g}")
    return Signal("estimate", Level.WARN, text, None, metric, value, shown, (low, high), n)


def _rounded(found: Estimate) -> tuple[float, float, float, int]:
    value, low, high = (float(f"{item:.6g}") for item in (found.value, found.low, found.high))
    return value, low, high, found.n


def _pooled(groups: list[tuple[float, float, int]]) -> list[tuple[float, float]]:
    """Pool neighbours until the shares ascend (the pool-adjacent-violators algorithm)."""
    stack: list[tuple[float, int, list[float]]] = []
    for score, positives, rows in groups:
        hits, n, tops = positives, rows, [score]
        while stack and stack[-1][0] / stack[-1][1] >= hits / n:
            before = stack.pop()
            hits, n, tops = before[0] + hits, before[1] + n, before[2] + tops
        stack.append((hits, n, tops))
    # of a pool its first and last score, so that it stays flat between them
    ends = [(sorted({tops[0], tops[-1]}), hits / n) for hits, n, tops in stack]
    return [(top, share) for tops, share in ends for top in tops]


def _area_error(area: float, yes: float, no: float) -> float:
    """Hanley and McNeil, 1982."""
    if yes < 1 or no < 1:
        return 1.0
    one, two = area / (2 - area), 2 * area * area / (1 + area)
    variance = area * (1 - area) + (yes - 1) * (one - area * area) + (no - 1) * (two - area * area)
    return math.sqrt(max(variance, 0.0) / (yes * no))


def _share_error(share: float, n: float) -> float:
    return math.sqrt(max(share * (1 - share), 0.0) / n)
