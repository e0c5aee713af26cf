"""Curves of one model's stored predictions, ready to be drawn: few points, each with its meaning. numpy alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from custody.core.measures import Answers, Floats

Points = tuple[tuple[float, float], ...]
_MOST = 200
_BINS = 10
_DOTS = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """`points` of a plot called `title`; `x` and `y` name the axes. `line`: joined in order, else dots."""

    title: str
    x: str
    y: str
    points: Points
    line: bool = True
    unit: bool = True
    """Whether both axes go from 0 to 1."""


def curves(found: Answers) -> tuple[Curve, ...]:
    """Return the curves that the predictions allow: of two classes with probabilities, or of a regression."""
    return tuple(_curves(found))


def _curves(found: Answers) -> Iterator[Curve]:
    if not len(found.truth):
        return
    if found.regression:
        yield _residuals(found)
    elif found.positive is not None and found.probabilities is not None:
        truth = (found.truth == found.positive).astype(np.float64)
        score = found.probabilities[:, found.positive]
        if 0 < truth.sum() < len(truth):
            yield from _ranked(truth, score)
        yield _reliability(truth, score)


def _ranked(truth: Floats, score: Floats) -> Iterator[Curve]:
    """Yield what follows from going through the rows by falling score, those of equal score at once."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.concatenate((np.diff(score[order]) != 0, [True])))
    hits = np.cumsum(truth[order])[ends]
    taken = ends + 1.0
    recall, false = hits / truth.sum(), (taken - hits) / (len(truth) - truth.sum())
    yield Curve("ROC", "false positive rate", "true positive rate", _thinned([0.0, *false], [0.0, *recall]))
    precision = hits / taken
    yield Curve("Precision and recall", "recall", "precision", _thinned([0.0, *recall], [precision[0], *precision]))


def _reliability(truth: Floats, score: Floats) -> Curve:
    place = np.clip((score * _BINS).astype(np.int64), 0, _BINS - 1)
    bins = [place == number for number in range(_BINS)]
    points = [(float(score[rows].mean()), float(truth[rows].mean())) for rows in bins if rows.any()]
    return Curve("Calibration", "predicted probability", "observed share", tuple(points))


def _residuals(found: Answers) -> Curve:
    keep = np.unique(np.linspace(0, len(found.truth) - 1, min(_DOTS, len(found.truth))).astype(np.int64))
    predicted = found.predicted[keep].astype(np.float64)
    points = tuple(zip(predicted.tolist(), (predicted - found.truth[keep]).tolist(), strict=True))
    return Curve("Residuals", "predicted", "predicted less true", points, line=False, unit=False)


def _thinned(x: list[float], y: list[float]) -> Points:
    """Return at most so many points as a drawing can show, first and last among them."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(_MOST, len(x))).astype(np.int64))
    return tuple((float(x[at]), float(y[at])) for at in keep)
