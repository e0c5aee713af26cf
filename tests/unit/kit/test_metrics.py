"""Metrics against scikit-learn's own, and None where there is nothing to compute."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from custody.domain.metrics import BINARY, MULTICLASS, REGRESSION
from custody.errors import ContractError
from custody.kit.metrics import Predictions, measure, positive_class


def found(truth: list[object], predicted: list[object], chances: object = None, scores: object = None) -> Predictions:
    numbers = [None if item is None else np.array(item, dtype=float) for item in (chances, scores)]
    return Predictions(np.array(truth), np.array(predicted), *numbers)


def test_binary_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, chance = rng.random(200) < 0.4, rng.random(200)
    said = chance > 0.5
    values = measure(found(truth, said, np.column_stack([1 - chance, chance])), "classification", (False, True), True)
    expected = {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "precision": metrics.precision_score(truth, said),
        "recall": metrics.recall_score(truth, said),
        "f1": metrics.f1_score(truth, said),
        "roc_auc": metrics.roc_auc_score(truth, chance),
        "average_precision": metrics.average_precision_score(truth, chance),
        "log_loss": metrics.log_loss(truth, chance),
        "brier": metrics.brier_score_loss(truth, chance),
        "selection_rate": said.mean(),
    }
    assert values == pytest.approx(expected)
    assert tuple(values) == BINARY


def test_multiclass_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    classes = ("a", "b", "c")
    truth, chances = rng.choice(classes, 200), rng.dirichlet([1, 1, 1], 200)
    said = np.array(classes)[chances.argmax(axis=1)]
    values = measure(found(truth, said, chances), "classification", classes)
    expected = {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "f1_macro": metrics.f1_score(truth, said, average="macro"),
        "precision_macro": metrics.precision_score(truth, said, average="macro"),
        "recall_macro": metrics.recall_score(truth, said, average="macro"),
        "log_loss": metrics.log_loss(truth, chances),
        "roc_auc_ovr": metrics.roc_auc_score(truth, chances, multi_class="ovr"),
    }
    assert values == pytest.approx(expected)
    assert tuple(values) == MULTICLASS


def test_regression_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=100)
    said = truth + rng.normal(0.5, 1, 100)
    values = measure(found(truth, said), "regression")
    expected = {
        "rmse": metrics.root_mean_squared_error(truth, said),
        "mae": metrics.mean_absolute_error(truth, said),
        "r2": metrics.r2_score(truth, said),
        "median_ae": metrics.median_absolute_error(truth, said),
        "max_error": metrics.max_error(truth, said),
        "bias": (said - truth).mean(),
    }
    assert values == pytest.approx(expected)
    assert tuple(values) == REGRESSION


def test_scores_rank_where_there_are_no_probabilities() -> None:
    values = measure(found([0, 0, 1, 1], [0, 0, 1, 0], None, [-2, -1, 3, -0.5]), "classification", (0, 1), 1)
    assert (values["roc_auc"], values["log_loss"], values["brier"]) == (1.0, None, None)
    plain = measure(found([0, 1], [0, 1]), "classification", (0, 1), 1)
    assert (plain["roc_auc"], plain["average_precision"], plain["accuracy"]) == (None, None, 1.0)


def test_the_positive_label_may_be_either() -> None:
    truth, said = ["no", "no", "yes"], ["no", "yes", "yes"]
    assert measure(found(truth, said), "classification", ("no", "yes"), "no")["recall"] == 0.5
    assert measure(found(truth, said), "classification", ("no", "yes"), "yes")["recall"] == 1.0
    assert positive_class((False, True), None) is True
    assert positive_class(("no", "yes"), None) == "yes"
    assert positive_class((1, 2), "1") == 1
    assert positive_class(("a", "b", "c"), None) is None
    with pytest.raises(ContractError, match="positive is maybe, the classes are no, yes"):
        positive_class(("no", "yes"), "maybe")


def test_what_cannot_be_computed_is_none() -> None:
    one = measure(found([True, True], [False, False], [[0.9, 0.1]] * 2), "classification", (False, True), True)
    assert (one["roc_auc"], one["average_precision"], one["precision"], one["recall"]) == (None, None, None, 0.0)
    none = measure(found([False], [False], [[1.0, 0.0]]), "classification", (False, True), True)
    assert (none["recall"], none["f1"], none["accuracy"], none["selection_rate"]) == (None, None, 1.0, 0.0)
    assert measure(found([2.0], [3.0]), "regression")["r2"] is None
    empty = measure(found([], []), "regression")
    assert empty == dict.fromkeys(REGRESSION)
    missing = measure(found(["a", "b"], ["a", "b"], [[1, 0, 0], [0, 1, 0]]), "classification", ("a", "b", "c"))
    assert (missing["roc_auc_ovr"], missing["accuracy"]) == (None, 1.0)


LABELS = st.sampled_from(["a", "b", "c"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LABELS, LABELS), max_size=12), st.integers(2, 3))
def test_no_metric_is_ever_nan_or_warns(pairs: list[tuple[str, str]], count: int) -> None:
    classes = ("a", "b", "c")[:count]
    kept = [pair for pair in pairs if set(pair) <= set(classes)]
    truth, said = [pair[0] for pair in kept], [pair[1] for pair in kept]
    chances = np.full((len(kept), count), 1 / count)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = measure(found(truth, said, chances), "classification", classes, classes[-1])
    assert all(value is None or math.isfinite(value) for value in values.values())
