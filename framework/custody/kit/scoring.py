"""What a loaded model says of live rows, or what they say that it said: the same form for both.

Of a classification, answers are places in its classes; what is watched of them is one number a row (a regression's
answer, or the chance of the positive one of two classes), else the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit import frame, lenient
from custody.kit.evaluation import Question, predict

WATCHED = "prediction"
"""The name of the one column of what is watched of answers."""
_BINARY = 2


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """The answers for some rows. `known` tells which rows have one; of a classification they are places of classes."""

    answers: NDArray[Any]
    chances: NDArray[np.float64] | None
    known: NDArray[np.bool_]


def score(estimator: Any, table: pa.Table, features: Sequence[str], kinds: Sequence[str], question: Question) -> Said:
    """Score rows with a loaded model. Raises ContractError where they cannot be: whatever the model raises."""
    values = frame.matrix(table, features, kinds)
    try:
        found = predict(estimator, values, np.zeros(len(values)), question)
    except (ContractError, MemoryError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ContractError(f"the model cannot score the rows: {type(error).__name__}: {first[:120]}") from error
    known = np.ones(len(values), dtype=bool)
    if question.task == "regression":
        return Said(np.asarray(found.predicted, dtype=np.float64), None, known)
    return Said(places_of(found.predicted.tolist(), question), found.probabilities, known)


def read(table: pa.Table, column: str, probabilities: str | None, question: Question) -> Said:
    """Take what rows say that the model said: `column` holds a number, a class, or the chance of the positive class.

    `probabilities` is what the names of the columns with the chance of each class begin with, where there are such.
    """
    values = table.column(column)
    if question.task == "regression":
        numbers = _numbers(values)
        return Said(np.nan_to_num(numbers), None, np.isfinite(numbers))
    classes = [frame.text_of(label) for label in question.classes]
    names = [f"{probabilities}{label}" for label in classes] if probabilities is not None else []
    if names and all(name in table.column_names for name in names):
        chances = np.column_stack([_numbers(table.column(name)) for name in names])
        known = np.isfinite(chances).all(axis=1)
        chances[~known] = 0.0
        answers = labels(values, question)
        return Said(np.maximum(answers, 0), chances, known & (answers >= 0))
    answers = labels(values, question)
    if (answers >= 0).any() or len(classes) != _BINARY or question.positive is None:
        return Said(np.maximum(answers, 0), None, answers >= 0)
    return _of_chances(_numbers(values), question)


def labels(column: pa.ChunkedArray, question: Question) -> NDArray[np.int64]:
    """Return the places of the classes that a column holds, -1 for what is no class."""
    first = question.classes[0]
    kind = frame.BOOLEAN if isinstance(first, bool) else frame.TEXT if isinstance(first, str) else frame.NUMBER
    taken = lenient.take(column, kind).column
    return places_of(taken.to_pylist(), question)


def places_of(values: Sequence[Any], question: Question) -> NDArray[np.int64]:
    """Return the place of each value in the classes, -1 for what is no class."""
    places = {frame.text_of(label): place for place, label in enumerate(question.classes)}
    return np.array([places.get(frame.text_of(value), -1) for value in values], dtype=np.int64)


def watched(said: Said, question: Question) -> pa.Table:
    """Return what is watched of the answers that are known, as a table of one column."""
    answers = said.answers[said.known]
    if question.task == "regression":
        column = pa.array(answers)
    elif said.chances is not None and question.positive is not None:
        column = pa.array(said.chances[said.known][:, list(question.classes).index(question.positive)])
    else:
        names = np.array([frame.text_of(label) for label in question.classes], dtype=object)
        column = pa.array(names[answers].tolist(), pa.string())
    return pa.table({WATCHED: column})


def _of_chances(chance: NDArray[np.float64], question: Question) -> Said:
    positive = list(question.classes).index(question.positive)
    known = (chance >= 0) & (chance <= 1)
    chance = np.where(known, chance, 0.0)
    both = np.column_stack([1 - chance, chance] if positive else [chance, 1 - chance])
    return Said(np.where(chance >= 0.5, positive, 1 - positive), both, known)  # noqa: PLR2004


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers = lenient.take(column, frame.NUMBER).column.fill_null(float("nan"))
    return np.array(numbers.to_numpy(), dtype=np.float64)
