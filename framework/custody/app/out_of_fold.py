"""The part of `reference` that is about answers: what clones of the model say of rows that they did not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.reference_rows import Rows
from custody.app.step import Work
from custody.core.measures import Answers
from custody.core.outcome_base import outcome_base, period
from custody.domain.monitors import Every, Monitors
from custody.kit import frame, lenient, scoring
from custody.kit.evaluation import Question
from custody.kit.metrics import Predictions
from custody.kit.outoffold import out_of_fold


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """The labelled rows with what clones said of them.

    `places` are theirs in the reference, `blocks` the windows of outcomes that they are of, `every` how long these are.
    """

    table: pa.Table
    places: NDArray[np.int64]
    every: Every
    blocks: NDArray[np.int64]
    question: Question
    truth: NDArray[Any]
    said: scoring.Said

    @property
    def watched(self) -> str:
        """The kind of what is watched of the answers."""
        column = scoring.watched(self.said, self.question).column(0)
        return frame.TEXT if pa.types.is_string(column.type) else frame.NUMBER


def labelled(work: Work, monitors: Monitors, rows: Rows) -> Labelled:
    """Fit clones on all but a stretch of time each; raises ContractError where that cannot be."""
    model = work.artifact("model")
    meta = model.meta
    question = Question.of(meta["task"], meta["classes"], meta.get("positive"), ())
    labels = frame.target(rows.table, meta["target"], meta["task"])
    declared = monitors.outcomes.every if monitors.outcomes else None
    every = declared or period(monitors.every, len(labels.values), rows.hours, monitors.min_rows)
    numbers, _ = rows.blocks(every)
    kept = np.flatnonzero(labels.known & (numbers >= 0))
    table = rows.table.take(pa.array(kept))
    truth = labels.values[(numbers >= 0)[labels.known]]
    values = frame.matrix(table, meta["features"], meta["kinds"])
    found = out_of_fold(model.estimator, values, truth, numbers[kept], question, work.settings["folds"])
    return Labelled(table, kept, every, numbers[kept], question, truth, _said(found, question))


def said_of(answers: Labelled) -> pa.Table:
    """Return what is watched of the answers, a row each."""
    return scoring.watched(answers.said, answers.question)


def outcomes_of(work: Work, monitors: Monitors, answers: Labelled) -> dict[str, Any]:
    """Return what outcomes are judged against, and how long their windows are; nothing where none are declared."""
    if monitors.outcomes is None:
        return {}
    question = answers.question
    regression = question.task == "regression"
    found = Answers(
        np.arange(len(answers.truth)),
        answers.truth if regression else scoring.places_of(answers.truth.tolist(), question),
        answers.said.answers,
        answers.said.chances,
        tuple(frame.text_of(label) for label in question.classes),
        None if question.positive is None else list(question.classes).index(question.positive),
    )
    slices = {
        name: np.array(lenient.take(answers.table.column(name), frame.TEXT).column.fill_null("(null)").to_pylist())
        for name in monitors.outcomes.slices
        if name in answers.table.column_names
    }
    evaluated = work.settings["metrics"] if work.settings["ordered"] or not work.inputs["time"] else None
    base = outcome_base(found, answers.blocks, monitors.min_rows, evaluated=evaluated, slices=slices)
    return {"every": str(answers.every), **base.to_dict()}


def _said(found: Predictions, question: Question) -> scoring.Said:
    known = np.ones(len(found.truth), dtype=bool)
    if question.task == "regression":
        return scoring.Said(np.asarray(found.predicted, dtype=np.float64), None, known)
    return scoring.Said(scoring.places_of(found.predicted.tolist(), question), found.probabilities, known)
