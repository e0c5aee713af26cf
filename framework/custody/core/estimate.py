"""What a classifier probably reaches, before any outcome is known: from its own scores, calibrated (CBPE). Pure.

Confidence-based performance estimation: a row that is positive with chance c, and predicted positive, is right with
chance c. It sees other rows than those of the reference; it sees neither another meaning of the rows (concept drift)
nor broken inputs. So it is an estimate, says so, opens a ticket at most, and is not shown while the data are broken.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from custody.core.intervals import Estimate, quantile
from custody.core.measures import Answers, Floats
from custody.core.outcome_limits import Limit, limits, rules
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level, Monitors
from custody.domain.outcome import OutcomeBase

METRICS = ("accuracy", "roc_auc", "f1", "precision", "recall")
_STEPS = 50
_FEWEST = 200

Measured = dict[str, tuple[float, float, float, int]]


def calibrate(found: Answers) -> tuple[tuple[float, float], ...]:
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


def chances(scores: Floats, calibration: tuple[tuple[float, float], ...]) -> Floats:
    """Return the chance of being positive of each score, between the steps of a calibration linearly."""
    tops, shares = (np.array(part) for part in zip(*calibration, strict=True))
    return np.asarray(np.interp(scores, tops, shares))


def estimate(chance: Floats, positive: NDArray[np.bool_], scores: Floats) -> dict[str, Estimate]:
    """Return the metrics that rows with such chances are expected to reach; `positive` is what was predicted.

    The intervals say how far the metric of so many rows would vary if the chances are right, not whether they are.
    """
    n = len(chance)
    hit, said = float(chance[positive].sum()), float(positive.sum())
    total = float(chance.sum())
    right = np.where(positive, chance, 1 - chance)
    spread = math.sqrt(float((right * (1 - right)).sum())) / n
    found = {"accuracy": (float(right.mean()), spread)}
    if said > 0:
        found["precision"] = (hit / said, _share_error(hit / said, said))
    if total > 0:
        found["recall"] = (hit / total, _share_error(hit / total, total))
        found["f1"] = (2 * hit / (total + said), _share_error(2 * hit / (total + said), total + said))
    area = _area(chance, scores)
    if area is not None:
        found["roc_auc"] = (area, _area_error(area, total, n - total))
    z = quantile()
    bounded = {
        name: (value, max(value - z * error, 0.0), min(value + z * error, 1.0))
        for name, (value, error) in found.items()
    }
    return {name: Estimate(*bounds, n) for name, bounds in bounded.items()}


def judge_estimate(
    monitors: Monitors, base: OutcomeBase | None, found: Answers, *, red: bool
) -> tuple[tuple[Signal, ...], Measured, tuple[str, ...]]:
    """Estimate the metrics of predictions whose `truth` is not known yet: signals (never `alert`), measures, notes.

    `red`: a quality monitor fires in the same window, so that the inputs, and with them the scores, mean nothing.
    """
    outcomes = monitors.outcomes
    if outcomes is None or not outcomes.estimate:
        return (), {}, ()
    if found.positive is None or found.probabilities is None:
        return (), {}, ("nothing is estimated: that needs probabilities of two classes",)
    if base is None or not base.calibration:
        return (), {}, ("nothing is estimated: the reference has no out-of-fold scores",)
    if red:
        return (), {}, ("nothing is estimated while the data are at fault",)
    if len(found.predicted) < monitors.min_rows:
        return (), {}, (f"nothing is estimated: {len(found.predicted):,} rows of {monitors.min_rows:,}",)
    scores = found.probabilities[:, found.positive]
    values = estimate(chances(scores, base.calibration), found.predicted == found.positive, scores)
    asked = [rule for rule in rules(outcomes, found) if rule.metric in values]
    signals = [
        _signal(rule.metric, values[rule.metric], limit)
        for rule in asked
        for limit in limits(rule, base)
        if limit.beyond(values[rule.metric], limit.value)
    ]
    shown = {f"estimated_{rule.metric}": _rounded(values[rule.metric]) for rule in asked}
    return tuple(signals), shown, ()


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


def _area(chance: Floats, scores: Floats) -> float | None:
    """The expected share of pairs in order: each row counts as positive by its chance, as negative by the rest."""
    order = np.argsort(scores, kind="stable")
    yes, no, ordered = chance[order], 1 - chance[order], scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ups, downs = np.add.reduceat(yes, starts), np.add.reduceat(no, starts)
    pairs = float(ups.sum() * downs.sum())
    if pairs <= 0:
        return None
    return float((ups * (np.cumsum(downs) - downs / 2)).sum() / pairs)


def _area_error(area: float, yes: float, no: float) -> float:
    """Hanley and McNeil, 1982."""
    if yes < 1 or no < 1:
        return 1.0
    one, two = area / (2 - area), 2 * area * area / (1 + area)
    variance = area * (1 - area) + (yes - 1) * (one - area * area) + (no - 1) * (two - area * area)
    return math.sqrt(max(variance, 0.0) / (yes * no))


def _share_error(share: float, n: float) -> float:
    return math.sqrt(max(share * (1 - share), 0.0) / n)
