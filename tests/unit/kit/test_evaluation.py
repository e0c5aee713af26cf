"""Scoring loaded models: slices, predictions, probabilities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from custody.errors import ContractError
from custody.kit.evaluation import Question, evaluation, predict, predictions_table, summary

X = np.random.default_rng(0).normal(size=(80, 2))
YES = np.where(X[:, 0] > 0, "yes", "no")
BINARY = Question.of("classification", ("no", "yes"), None, ("group",))


def test_slices_are_by_the_text_of_their_values() -> None:
    found = predict(LogisticRegression().fit(X, YES), X, YES, BINARY)
    groups = pa.table({"group": [None if place < 10 else place % 2 == 0 for place in range(80)]})
    facts = summary(found, groups, BINARY)
    parts = facts["slices"]["group"]
    assert {name: part["n"] for name, part in parts.items()} == {"(null)": 10, "false": 35, "true": 35}
    hits = sum(part["accuracy"] * part["n"] for part in parts.values())
    assert hits / 80 == pytest.approx(facts["metrics"]["accuracy"])
    assert facts["classes"] == ["no", "yes"]
    stored = evaluation(facts, BINARY, {"kind": "predictions", "digest": "d", "object": "d"})
    assert (stored["format"], stored["positive"], stored["n"]) == (1, "yes", 80)


def test_slice_columns_must_be_there_and_few() -> None:
    found = predict(LogisticRegression().fit(X, YES), X, YES, BINARY)
    with pytest.raises(ContractError, match="slice column group is not in the table"):
        summary(found, pa.table({"x": range(80)}), BINARY)
    many = predict(LogisticRegression().fit(X, YES), np.tile(X, (2, 1)), np.tile(YES, 2), BINARY)
    with pytest.raises(ContractError, match="has 160 values, at most 100"):
        summary(many, pa.table({"group": range(160)}), BINARY)


def test_a_decision_function_ranks_for_either_positive() -> None:
    model = LinearSVC().fit(X, YES)
    for positive in ("yes", "no"):
        question = Question.of("classification", ("no", "yes"), positive, ())
        found = predict(model, X, YES, question)
        assert found.probabilities is None
        assert summary(found, pa.table({}), question)["metrics"]["roc_auc"] > 0.95


def test_a_class_that_was_never_trained_on_has_probability_nought() -> None:
    question = Question.of("classification", ("maybe", "no", "yes"), None, ())
    found = predict(LogisticRegression().fit(X, YES), X, YES, question)
    assert found.probabilities is not None
    assert found.probabilities.shape == (80, 3)
    assert found.probabilities[:, 0].tolist() == [0.0] * 80
    with pytest.raises(ContractError, match="the model knows the classes"):
        predict(LogisticRegression().fit(X, YES), X, YES, Question.of("classification", ("a", "b"), None, ()))


def test_predictions_are_a_table_with_key_and_probabilities() -> None:
    found = predict(LogisticRegression().fit(X, YES), X, YES, BINARY)
    keys = pa.chunked_array([[f"c{place}" for place in range(80)]])
    table = predictions_table(found, np.arange(80) * 2, keys, BINARY)
    assert table.column_names == ["row", "key", "truth", "prediction", "probability.no", "probability.yes"]
    assert table.slice(3, 1).to_pylist()[0]["row"] == 6
    total = np.array(table["probability.no"]) + np.array(table["probability.yes"])
    assert total == pytest.approx(np.ones(80))
    plain = predictions_table(predict(LinearSVC().fit(X, YES), X, YES, BINARY), np.arange(80), None, BINARY)
    assert plain.column_names == ["row", "truth", "prediction"]


class Odd(BaseEstimator):
    def __init__(self, answer: float = np.nan, rows: int = 0) -> None:
        self.answer = answer
        self.rows = rows

    def predict(self, values: np.ndarray) -> np.ndarray:
        return np.full(len(values) - self.rows, self.answer)


def test_answers_that_are_no_numbers_are_refused() -> None:
    question = Question.of("regression", (), None, ())
    with pytest.raises(ContractError, match="no finite number for 80 of 80 rows"):
        predict(Odd(), X, X[:, 0], question)
    with pytest.raises(ContractError, match=r"predicts \(79,\) for 80 rows"):
        predict(Odd(1.0, 1), X, X[:, 0], question)
