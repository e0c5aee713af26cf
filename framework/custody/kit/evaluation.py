"""Scoring a loaded model on the test rows: metrics as a whole and by slice, and the predictions themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit.frame import text_of
from custody.kit.metrics import Predictions, measure, positive_class

FORMAT = 1
MAX_SLICES = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model: its task, the sorted classes, the positive label, the columns to slice by."""

    task: str
    classes: tuple[Any, ...]
    positive: Any
    slices: tuple[str, ...]

    @classmethod
    def of(cls, task: str, classes: Sequence[Any], declared: Any, slices: Sequence[str]) -> Question:
        """Settle the positive label; raises ContractError for one that is no class."""
        positive = positive_class(classes, declared) if task == "classification" else None
        return cls(task, tuple(classes), positive, tuple(dict.fromkeys(slices)))


def predict(model: Any, values: NDArray[Any], truth: NDArray[Any], question: Question) -> Predictions:
    """Return the model's answers for `values`; raises ContractError where one is not finite or not of its classes."""
    predicted = np.asarray(model.predict(values))
    if predicted.shape != truth.shape:
        raise ContractError(f"the model predicts {predicted.shape} for {len(truth):,} rows")
    if question.task == "regression":
        odd = int((~np.isfinite(predicted.astype(np.float64))).sum())
        if odd:
            raise ContractError(f"the model predicts no finite number for {odd:,} of {len(truth):,} rows")
        return Predictions(truth, predicted.astype(np.float64))
    return Predictions(truth, predicted, *_confidence(model, values, question))


def summary(found: Predictions, table: pa.Table, question: Question) -> dict[str, Any]:
    """Return `{n, metrics, slices, classes}`; `table` holds the rows of `found`, for its slices.

    Raises ContractError for a slice column that is missing or has too many values.
    """
    slices = {column: _slices(found, table, column, question) for column in question.slices}
    return {
        "n": len(found.truth),
        "metrics": measure(found, question.task, question.classes, question.positive),
        "slices": slices,
        "classes": list(question.classes),
    }


def evaluation(facts: Mapping[str, Any], question: Question, predictions: Mapping[str, str]) -> dict[str, Any]:
    """Return the stored evaluation: `facts` with the task, the positive label and the predictions' reference."""
    head = {"format": FORMAT, "task": question.task, "positive": question.positive}
    return {**head, **facts, "predictions": dict(predictions)}


def predictions_table(
    found: Predictions, rows: NDArray[np.int64], key: pa.ChunkedArray | None, question: Question
) -> pa.Table:
    """Return the predictions as a table: `row` (from 0 in the dataset), its key, truth, prediction, probabilities."""
    columns: dict[str, Any] = {"row": pa.array(rows)}
    if key is not None:
        columns["key"] = key
    columns["truth"] = pa.array(found.truth.tolist())
    columns["prediction"] = pa.array(found.predicted.tolist())
    if found.probabilities is not None:
        for place, label in enumerate(question.classes):
            columns[f"probability.{text_of(label)}"] = pa.array(np.ascontiguousarray(found.probabilities[:, place]))
    return pa.table(columns)


def _confidence(model: Any, values: NDArray[Any], question: Question) -> tuple[Any, Any]:
    """Return (probabilities, None), (None, scores of a binary classification) or (None, None)."""
    if hasattr(model, "predict_proba"):
        return _aligned(np.asarray(model.predict_proba(values), dtype=np.float64), _classes(model), question), None
    if question.positive is None or not hasattr(model, "decision_function"):
        return None, None
    scores = np.asarray(model.decision_function(values), dtype=np.float64)
    if scores.ndim != 1:
        return None, None
    return None, scores if _classes(model)[-1] == question.positive else -scores


def _classes(model: Any) -> list[Any]:
    return list(np.asarray(model.classes_).tolist())


def _aligned(found: NDArray[np.float64], own: Sequence[Any], question: Question) -> NDArray[np.float64]:
    """Return the probabilities with a column for every class; one that was never trained on has probability 0."""
    strange = [label for label in own if label not in question.classes]
    if strange or found.shape[1:] != (len(own),):
        raise ContractError(f"the model knows the classes {own}, the data have {list(question.classes)}")
    if not np.isfinite(found).all():
        odd = int((~np.isfinite(found).all(axis=1)).sum())
        raise ContractError(f"the model gives no finite probability for {odd:,} of {len(found):,} rows")
    aligned = np.zeros((len(found), len(question.classes)))
    for place, label in enumerate(own):
        aligned[:, question.classes.index(label)] = found[:, place]
    return aligned


def _slices(found: Predictions, table: pa.Table, column: str, question: Question) -> dict[str, dict[str, Any]]:
    if column not in table.column_names:
        raise ContractError(f"the slice column {column} is not in the table")
    texts = np.array([text_of(value) for value in table.column(column).to_pylist()], dtype=np.str_)
    values = np.unique(texts).tolist()
    if len(values) > MAX_SLICES:
        raise ContractError(f"slice column {column} has {len(values):,} values, at most {MAX_SLICES} are slices")
    parts = {value: found.where(texts == value) for value in values}
    return {
        value: {"n": len(part.truth), **measure(part, question.task, question.classes, question.positive)}
        for value, part in parts.items()
    }
