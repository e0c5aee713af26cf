"""Scores of rows that the model was not fitted on: a clone of its pipeline is fitted on all other stretches of time.

What a model says of the rows it learnt from is too good to compare anything with.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.errors import ContractError, CustodyError
from custody.kit.evaluation import Question, predict
from custody.kit.metrics import Predictions

FOLDS = 12
"""The most fits; beyond it neighbouring blocks are left out together."""


def out_of_fold(
    pipeline: Any,
    values: NDArray[Any],
    truth: NDArray[Any],
    blocks: NDArray[Any],
    question: Question,
    folds: int = FOLDS,
) -> Predictions:
    """Return what clones of `pipeline` predict for rows of the blocks that each was not fitted on, in the rows' order.

    `blocks` numbers the stretch of each row. Raises ContractError where there are fewer than two, or a clone cannot be
    fitted; runs the model's own code, so only in a step process.
    """
    names, places = np.unique(blocks, return_inverse=True)
    if len(names) < 2:  # noqa: PLR2004
        raise ContractError("the reference is one block: there are no other rows to fit on")
    fold = places * min(folds, len(names)) // len(names)
    parts = [(rows, _scored(pipeline, values, truth, rows, question)) for rows in (fold == k for k in np.unique(fold))]
    return _together(parts, truth)


def _scored(
    pipeline: Any, values: NDArray[Any], truth: NDArray[Any], rows: NDArray[np.bool_], question: Question
) -> Predictions:
    from sklearn.base import clone

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = clone(pipeline).fit(values[~rows], truth[~rows])
    except (CustodyError, MemoryError):
        raise
    except Exception as error:
        raise ContractError(f"the pipeline cannot be fitted without a part of its rows: {_line(error)}") from error
    return predict(fitted, values[rows], truth[rows], question)


def _together(parts: list[tuple[NDArray[np.bool_], Predictions]], truth: NDArray[Any]) -> Predictions:
    predicted = np.empty(len(truth), dtype=np.result_type(*(part.predicted.dtype for _, part in parts)))
    chances = [part.probabilities for _, part in parts]
    widths = {None if chance is None else chance.shape[1] for chance in chances}
    width = widths.pop() if len(widths) == 1 else None
    probabilities = None if width is None else np.empty((len(truth), width))
    for (rows, part), chance in zip(parts, chances, strict=True):
        predicted[rows] = part.predicted
        if probabilities is not None and chance is not None:
            probabilities[rows] = chance
    return Predictions(truth, predicted, probabilities)


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
