"""Metrics of predictions: by task, and None for what cannot be computed. NaN never leaves this module."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit.frame import text_of


@dataclass(frozen=True, slots=True)
class Predictions:
    """Truth and prediction, an entry a row. Of a classification, labels; `probabilities` has a column a class.

    `scores` ranks the rows of a binary classification by how positive they are, where there are no probabilities.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None

    def where(self, rows: NDArray[np.bool_]) -> Predictions:
        """Return those of the rows that `rows` marks."""
        cut = [None if item is None else item[rows] for item in (self.probabilities, self.scores)]
        return Predictions(self.truth[rows], self.predicted[rows], *cut)


def positive_class(classes: Sequence[Any], declared: Any) -> Any:
    """Return the positive label: the declared one, else the last of the sorted classes (True of booleans).

    None where there are not two classes. Raises ContractError for a declared one that is no class.
    """
    if len(classes) != 2:  # noqa: PLR2004
        return None
    if declared is None:
        return classes[-1]
    for label in classes:
        if text_of(label) == text_of(declared):
            return label
    known = ", ".join(text_of(label) for label in classes)
    raise ContractError(f"positive is {text_of(declared)}, the classes are {known}")


def measure(predictions: Predictions, task: str, classes: Sequence[Any] = (), positive: Any = None) -> dict[str, Any]:
    """Return all metrics of the task by name, floats or None."""
    if task == "regression":
        table = _regression(predictions)
    elif len(classes) == 2:  # noqa: PLR2004
        table = _binary(predictions, classes, positive)
    else:
        table = _multiclass(predictions, classes)
    if len(predictions.truth) == 0:
        return dict.fromkeys(table)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {name: _finite(function) for name, function in table.items()}


def _finite(function: Callable[[], Any]) -> float | None:
    try:
        value = function()
    except (ValueError, ZeroDivisionError):
        return None
    return float(value) if value is not None and math.isfinite(value) else None


def _regression(found: Predictions) -> Mapping[str, Callable[[], Any]]:
    truth, error = found.truth, found.predicted - found.truth
    spread = truth - truth.mean() if len(truth) else truth
    return {
        "rmse": lambda: np.sqrt(np.mean(error**2)),
        "mae": lambda: np.mean(np.abs(error)),
        "r2": lambda: 1 - np.sum(error**2) / np.sum(spread**2) if np.any(spread) else None,
        "median_ae": lambda: np.median(np.abs(error)),
        "max_error": lambda: np.max(np.abs(error)),
        "bias": lambda: np.mean(error),
    }


def _binary(found: Predictions, classes: Sequence[Any], positive: Any) -> Mapping[str, Callable[[], Any]]:
    from sklearn import metrics

    truth, said = found.truth == positive, found.predicted == positive
    hits = int((truth & said).sum())
    chance = None if found.probabilities is None else found.probabilities[:, list(classes).index(positive)]
    scores = found.scores if chance is None else chance
    mixed = scores is not None and truth.any() and not truth.all()
    return {
        "accuracy": lambda: np.mean(found.truth == found.predicted),
        "balanced_accuracy": lambda: np.mean(_recalls(found, classes)),
        "precision": lambda: hits / int(said.sum()),
        "recall": lambda: hits / int(truth.sum()),
        "f1": lambda: 2 * hits / (int(said.sum()) + int(truth.sum())),
        "roc_auc": lambda: metrics.roc_auc_score(truth, scores) if mixed else None,
        "average_precision": lambda: metrics.average_precision_score(truth, scores) if mixed else None,
        "log_loss": lambda: _log_loss(found, classes),
        "brier": lambda: None if chance is None else np.mean((chance - truth) ** 2),
        "selection_rate": lambda: np.mean(said),
    }


def _multiclass(found: Predictions, classes: Sequence[Any]) -> Mapping[str, Callable[[], Any]]:
    return {
        "accuracy": lambda: np.mean(found.truth == found.predicted),
        "balanced_accuracy": lambda: np.mean(_recalls(found, classes)),
        "f1_macro": lambda: np.mean(_per_class(found, classes, "f1")),
        "precision_macro": lambda: np.mean(_per_class(found, classes, "precision")),
        "recall_macro": lambda: np.mean(_recalls(found, classes)),
        "log_loss": lambda: _log_loss(found, classes),
        "roc_auc_ovr": lambda: _roc_auc_ovr(found, classes),
    }


def _recalls(found: Predictions, classes: Sequence[Any]) -> list[float]:
    """The recall of each class that occurs."""
    rows = [found.truth == label for label in classes]
    return [float(np.mean(found.predicted[mask] == found.truth[mask])) for mask in rows if mask.any()]


def _per_class(found: Predictions, classes: Sequence[Any], name: str) -> list[float]:
    """The precision or f1 of each class that occurs or is predicted; 0 for one that is never hit, as is usual."""
    values = []
    for label in classes:
        truth, said = int((found.truth == label).sum()), int((found.predicted == label).sum())
        hits = int(((found.truth == label) & (found.predicted == label)).sum())
        if truth or said:
            values.append(2 * hits / (truth + said) if name == "f1" else hits / max(said, 1))
    return values


def _log_loss(found: Predictions, classes: Sequence[Any]) -> Any:
    if found.probabilities is None:
        return None
    places = np.array([list(classes).index(label) for label in found.truth.tolist()])
    chance = found.probabilities[np.arange(len(places)), places]
    return -np.mean(np.log(np.clip(chance, np.finfo(np.float64).eps, 1)))


def _roc_auc_ovr(found: Predictions, classes: Sequence[Any]) -> Any:
    """The mean of each class against the rest; None where a class does not occur."""
    from sklearn import metrics

    if found.probabilities is None:
        return None
    rows = [found.truth == label for label in classes]
    if not all(mask.any() and not mask.all() for mask in rows):
        return None
    return np.mean([metrics.roc_auc_score(mask, found.probabilities[:, place]) for place, mask in enumerate(rows)])
