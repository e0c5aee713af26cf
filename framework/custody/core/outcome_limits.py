"""Limits on outcomes: the declared ones, and `auto` from what the reference reached and how its blocks vary. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from custody.core.gates import LOWER_IS_BETTER
from custody.core.intervals import Estimate
from custody.core.measures import Answers
from custody.domain.monitors import AUTO, OutcomeLimit, Outcomes
from custody.domain.outcome import OutcomeBase

MAX_DROP, MAX_DROP_R2 = 0.05, 0.10
"""How far a metric may fall below the base where nothing is declared."""
MAX_RISE = 0.10
"""The part of itself by which an error may rise where nothing is declared: errors have the target's unit."""
MARGIN = 1.25
"""How far beyond the worst block of the reference a bias must be."""
BIAS_SHARE, BIAS_SD = 0.05, 0.1
"""The least `auto` limit of a bias: of a probability, and of a number in standard deviations of what was observed."""
_NEUTRAL = frozenset({"selection_rate", "bias"})


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a metric: from below (`floor`) or from above; `why` says where it comes from."""

    value: float
    floor: bool
    why: str

    def past(self, value: float) -> bool:
        return value < self.value if self.floor else value > self.value

    def beyond(self, found: Estimate, value: float) -> bool:
        """Whether the whole interval is on the bad side of `value`."""
        return found.high < value if self.floor else found.low > value


def rules(outcomes: Outcomes, found: Answers) -> tuple[OutcomeLimit, ...]:
    """Return the declared metrics, or the one that is usual for the task."""
    if outcomes.metrics:
        return outcomes.metrics
    return (OutcomeLimit(usual(found)),)


def usual(found: Answers) -> str:
    """Return the metric that is judged where none is declared."""
    if found.regression:
        return "r2"
    return "roc_auc" if found.positive is not None and found.probabilities is not None else "accuracy"


def limits(rule: OutcomeLimit, base: OutcomeBase | None) -> tuple[Limit, ...]:
    """Return the limits of a metric; none where it is `auto` and the reference has no value of it."""
    reached = base.metrics.get(rule.metric) if base else None
    lower = rule.metric in LOWER_IS_BETTER
    made: list[Limit] = []
    if rule.min is not None:
        made.append(Limit(rule.min, floor=True, why="the declared min"))
    if rule.max is not None:
        made.append(Limit(rule.max, floor=False, why="the declared max"))
    if rule.max_drop is not None and reached is not None:
        value = reached + rule.max_drop if lower else reached - rule.max_drop
        made.append(Limit(value, floor=not lower, why=f"{reached:.3g} in training and max_drop {rule.max_drop:g}"))
    if is_auto(rule) and reached is not None:
        made += _auto(rule.metric, reached, base.worst.get(rule.metric) if base else None)
    return tuple(_strictest(made))


def is_auto(rule: OutcomeLimit) -> bool:
    """Whether nothing is declared of the metric."""
    return rule.min is None and rule.max is None and rule.max_drop is None


def slice_limits(rule: OutcomeLimit, known: Mapping[str, float]) -> tuple[Limit, ...]:
    """Return the limit of a metric in a slice: what the slice itself reached in training, less what may be lost."""
    reached = known.get(rule.metric)
    if reached is None or rule.metric in _NEUTRAL:
        return ()
    if rule.max_drop is None:
        return tuple(_auto(rule.metric, reached, None))
    return limits(OutcomeLimit(rule.metric, max_drop=rule.max_drop), OutcomeBase({rule.metric: reached}))


def bias_limit(declared: str | float, found: Answers, base: OutcomeBase | None) -> float | None:
    """Return how far observed and predicted may be apart on average; None where `auto` has nothing to go by."""
    if declared != AUTO:
        return float(declared)
    if found.regression:
        if base is None or not base.sd > 0:
            return None
        least = BIAS_SD * base.sd
    else:
        least = BIAS_SHARE
    return max(least, MARGIN * base.bias) if base else least


def slice_bias_limit(declared: str | float, limit: float, known: Mapping[str, float]) -> float:
    """Return the limit of a slice's bias, whose `auto` knows that the slice was off in training already."""
    return limit if declared != AUTO else max(limit, MARGIN * abs(known.get("bias", 0.0)))


def _auto(metric: str, reached: float, worst: float | None) -> list[Limit]:
    """Return the limit for what reached so much, and in its worst block so little."""
    if metric in _NEUTRAL:
        return []
    lower = metric in LOWER_IS_BETTER
    drop = MAX_RISE * abs(reached) if lower else MAX_DROP_R2 if metric == "r2" else MAX_DROP
    value = reached + drop if lower else reached - drop
    why = f"{reached:.3g} in training and {drop:.2g} to lose"
    if worst is not None and np.isfinite(worst) and (worst > value if lower else worst < value):
        value, why = worst, "the worst of the reference's own blocks"
    return [Limit(value, floor=not lower, why=why)]


def _strictest(made: list[Limit]) -> list[Limit]:
    floors = [limit for limit in made if limit.floor]
    ceilings = [limit for limit in made if not limit.floor]
    kept = [max(floors, key=lambda limit: limit.value)] if floors else []
    return kept + ([min(ceilings, key=lambda limit: limit.value)] if ceilings else [])
