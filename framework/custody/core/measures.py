"""Metrics of weighted rows, for many weightings at once: what a bootstrap asks two thousand times. numpy alone.

A weighting says how often each row was drawn. The names and meanings are those of the evaluated metrics; where a
weighting has no value (no positive row, say) the answer is NaN. The recorded numbers are not made here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BINARY = 2


@dataclass(frozen=True, slots=True)
class Answers:
    """One model's predictions on its test rows: `ids` name the rows, `probabilities` have a column for each class.

    Of a classification `truth` and `predicted` are places in `classes`; `positive` is one too, of two classes.
    """

    ids: NDArray[Any]
    truth: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: Floats | None = None
    classes: tuple[str, ...] = ()
    positive: int | None = None

    @property
    def regression(self) -> bool:
        return not self.classes

    def take(self, rows: NDArray[Any]) -> Answers:
        """Return the rows at these places, or those that a mask marks."""
        chance = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.ids[rows], self.truth[rows], self.predicted[rows], chance, self.classes, self.positive)


Measure = Callable[[Floats], Floats]
"""From weightings (a row each) to one value for each of them."""


def measures(found: Answers) -> dict[str, Measure]:
    """Return the metrics that can be computed again from `found`, by name."""
    if found.regression:
        return _regression(found)
    if len(found.classes) == _BINARY and found.positive is not None:
        return _binary(found, found.positive)
    return _multiclass(found)


def _regression(found: Answers) -> dict[str, Measure]:
    truth = found.truth.astype(np.float64)
    error = found.predicted.astype(np.float64) - truth
    away = truth - (truth.mean() if len(truth) else 0.0)  # centred first, so that the sums below lose no digits
    size = np.abs(error)
    order = np.argsort(size, kind="stable")

    def r2(weights: Floats) -> Floats:
        spread = weights @ away**2 - (weights @ away) ** 2 / _total(weights)
        return 1 - (weights @ error**2) / np.where(spread > 0, spread, np.nan)

    def median(weights: Floats) -> Floats:
        drawn, total = np.cumsum(weights[:, order], axis=1), _total(weights)
        low = np.argmax(drawn >= np.floor((total + 1) / 2)[:, None], axis=1)
        high = np.argmax(drawn >= np.floor(total / 2 + 1)[:, None], axis=1)
        return np.asarray((size[order][low] + size[order][high]) / 2)

    return {
        "rmse": lambda weights: np.sqrt(_mean(weights, error**2)),
        "mae": lambda weights: _mean(weights, size),
        "r2": r2,
        "median_ae": median,
        "max_error": lambda weights: np.max(np.where(weights > 0, size, -np.inf), axis=1),
        "bias": lambda weights: _mean(weights, error),
    }


def _binary(found: Answers, positive: int) -> dict[str, Measure]:
    truth, said = found.truth == positive, found.predicted == positive
    hits = truth & said
    made = {
        "accuracy": _share(truth == said),
        "balanced_accuracy": _balanced(found),
        "precision": _ratio(hits, said),
        "recall": _ratio(hits, truth),
        "f1": _ratio(2.0 * hits, truth.astype(np.float64) + said),
        "selection_rate": _share(said),
    }
    if found.probabilities is None:
        return made
    chance = found.probabilities[:, positive]
    ranks = _Ranks.of(truth, chance)
    brier = (chance - truth) ** 2
    return {
        **made,
        "roc_auc": ranks.area,
        "average_precision": ranks.precision,
        "log_loss": _log_loss(found, found.probabilities),
        "brier": lambda weights: _mean(weights, brier),
    }


def _multiclass(found: Answers) -> dict[str, Measure]:
    made = {
        "accuracy": _share(found.truth == found.predicted),
        "balanced_accuracy": _balanced(found),
        "recall_macro": _balanced(found),
        "f1_macro": _macro(found, f1=True),
        "precision_macro": _macro(found, f1=False),
    }
    if found.probabilities is None:
        return made
    ranks = [_Ranks.of(found.truth == place, found.probabilities[:, place]) for place in range(len(found.classes))]

    def against_rest(weights: Floats) -> Floats:
        return np.asarray(np.mean([one.area(weights) for one in ranks], axis=0))

    return {**made, "log_loss": _log_loss(found, found.probabilities), "roc_auc_ovr": against_rest}


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Rows in order of score, with where each group of equal scores starts."""

    order: NDArray[np.int64]
    truth: Floats
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[np.bool_], scores: Floats) -> _Ranks:
        order = np.argsort(scores, kind="stable")
        ordered = scores[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        return cls(order, truth[order].astype(np.float64), starts)

    def area(self, weights: Floats) -> Floats:
        """The area under the ROC curve: the share of pairs in order, ties by half (Mann and Whitney)."""
        yes, no = self._groups(weights)
        below = np.cumsum(no, axis=1) - no / 2
        pairs = yes.sum(axis=1) * no.sum(axis=1)
        return np.asarray((yes * below).sum(axis=1) / np.where(pairs > 0, pairs, np.nan))

    def precision(self, weights: Floats) -> Floats:
        """The average precision: precision at each threshold, weighted by what recall gains there."""
        yes, no = (part[:, ::-1] for part in self._groups(weights))
        right = np.cumsum(yes, axis=1)
        chosen = right + np.cumsum(no, axis=1)
        total = right[:, -1]
        gained = yes * right / np.where(chosen > 0, chosen, 1)
        return np.asarray(gained.sum(axis=1) / np.where((total > 0) & (chosen[:, -1] > total), total, np.nan))

    def _groups(self, weights: Floats) -> tuple[Floats, Floats]:
        ordered = weights[:, self.order]
        every = np.add.reduceat(ordered, self.starts, axis=1)
        yes = np.add.reduceat(ordered * self.truth, self.starts, axis=1)
        return yes, every - yes


def _log_loss(found: Answers, probabilities: Floats) -> Measure:
    chance = probabilities[np.arange(len(found.truth)), found.truth]
    loss = -np.log(np.clip(chance, np.finfo(np.float64).eps, 1))
    return lambda weights: _mean(weights, loss)


def _balanced(found: Answers) -> Measure:
    """The mean recall of the classes that occur."""

    def value(weights: Floats) -> Floats:
        recalls = []
        for place in range(len(found.classes)):
            here = found.truth == place
            total = weights @ here
            recalls.append((weights @ (here & (found.predicted == place))) / np.where(total > 0, total, np.nan))
        return _nanmean(np.array(recalls))

    return value


def _macro(found: Answers, *, f1: bool) -> Measure:
    """The mean f1 or precision of the classes that occur or are predicted."""

    def value(weights: Floats) -> Floats:
        values = []
        for place in range(len(found.classes)):
            here, said = found.truth == place, found.predicted == place
            truth, chosen, hits = weights @ here, weights @ said, weights @ (here & said)
            one = 2 * hits / np.maximum(truth + chosen, 1) if f1 else hits / np.maximum(chosen, 1)
            values.append(np.where(truth + chosen > 0, one, np.nan))
        return _nanmean(np.array(values))

    return value


def _nanmean(values: Floats) -> Floats:
    there = ~np.isnan(values)
    return np.asarray(np.where(there, values, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1))


def _share(rows: NDArray[np.bool_]) -> Measure:
    marked = rows.astype(np.float64)
    return lambda weights: _mean(weights, marked)


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Measure:
    top, bottom = above.astype(np.float64), below.astype(np.float64)

    def value(weights: Floats) -> Floats:
        total = weights @ bottom
        return np.asarray((weights @ top) / np.where(total > 0, total, np.nan))

    return value


def _mean(weights: Floats, values: Floats) -> Floats:
    return np.asarray((weights @ values) / _total(weights))


def _total(weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    return np.asarray(np.where(total > 0, total, np.nan))
