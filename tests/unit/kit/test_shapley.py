from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from custody.errors import ContractError
from custody.kit.shapley import Asked, Explained, Method, Scale, explain
from custody.kit.tabular import tabular

KINDS = ("number", "boolean", "text", "number", "text")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take ten times as long as one."""
    with threadpoolctl.threadpool_limits(1):
        yield


def mixed(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and texts, some of them missing; the answer hangs on what they are together."""
    values = np.empty((rows, 5), dtype=object)
    values[:, 0] = RNG.normal(size=rows)
    values[:, 1] = RNG.integers(0, 2, rows).astype(float)
    values[:, 2] = np.array(list("abcd"))[RNG.integers(0, 4, rows)]
    values[:, 3] = RNG.normal(size=rows)
    values[:, 4] = np.array(list("xy"))[RNG.integers(0, 2, rows)]
    truth = values[:, 0] * (values[:, 2] == "a") + values[:, 3] * values[:, 1] + (values[:, 4] == "x")
    values[::7, 3] = np.nan
    values[::9, 2] = None
    return values, truth.astype(float)


VALUES, TRUTH = mixed()


def fitted(model: Any, truth: np.ndarray, **options: Any) -> Pipeline:
    return Pipeline([("prepare", tabular(KINDS, options)), ("model", model)]).fit(VALUES, truth)


def by_definition(answer: Any, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The mean, over all orders of the features, of what the average answer changes by when a feature's turn comes."""
    chosen = [frozenset(some) for size in range(len(row) + 1) for some in combinations(range(len(row)), size)]
    masks = np.array([[feature in some for feature in range(len(row))] for some in chosen])
    answers = answer(np.where(masks[:, None], row, background).reshape(-1, len(row)))
    worth = dict(zip(chosen, answers.reshape(len(chosen), -1).mean(axis=1), strict=True))
    found = np.zeros(len(row))
    orders = list(permutations(range(len(row))))
    for order in orders:
        for place, feature in enumerate(order):
            before = frozenset(order[:place])
            found[feature] += worth[before | {feature}] - worth[before]
    return found / len(orders)


REGRESSORS = [
    (HistGradientBoostingRegressor(max_iter=10, random_state=0), {"impute": "none"}, Method.TREES),
    (RandomForestRegressor(5, random_state=0), {}, Method.TREES),
    (ExtraTreesRegressor(5, max_depth=4, random_state=0), {"impute": "none", "encode": "ordinal"}, Method.TREES),
    (GradientBoostingRegressor(n_estimators=8, random_state=0), {}, Method.TREES),
    (DecisionTreeRegressor(max_depth=5, random_state=0), {}, Method.TREES),
    (LinearRegression(), {}, Method.LINEAR),
    (PoissonRegressor(), {}, Method.COMBINATIONS),
]


@pytest.mark.parametrize(("model", "options", "method"), REGRESSORS, ids=lambda item: type(item).__name__)
def test_values_of_a_regression_are_the_definition(model: Any, options: dict[str, Any], method: Method) -> None:
    pipeline = fitted(model, np.abs(TRUTH), **options)
    row, background = VALUES[171], VALUES[:25]
    found = explain(Asked(pipeline), row, background, 1)
    assert (found.method, found.scale, found.errors, found.rows) == (method, Scale.VALUE, None, 25)
    assert found.score == pytest.approx(pipeline.predict(row[None])[0])
    assert found.base == pytest.approx(pipeline.predict(background).mean())
    assert found.contributions == pytest.approx(by_definition(pipeline.predict, row, background), abs=1e-9)


CLASSIFIERS = [
    (HistGradientBoostingClassifier(max_iter=6, random_state=0), Method.TREES, Scale.LOG_ODDS),
    (RandomForestClassifier(5, random_state=0, class_weight="balanced"), Method.TREES, Scale.PROBABILITY),
    (GradientBoostingClassifier(n_estimators=6, random_state=0), Method.TREES, Scale.LOG_ODDS),
    (DecisionTreeClassifier(max_depth=4, random_state=0), Method.TREES, Scale.PROBABILITY),
    (LogisticRegression(), Method.LINEAR, Scale.LOG_ODDS),
    (RidgeClassifier(), Method.LINEAR, Scale.SCORE),
    (LinearSVC(), Method.LINEAR, Scale.SCORE),
    (GaussianNB(), Method.COMBINATIONS, Scale.PROBABILITY),
]


@pytest.mark.parametrize("label", ["no", "yes"])
@pytest.mark.parametrize(("model", "method", "scale"), CLASSIFIERS, ids=lambda item: type(item).__name__)
def test_values_of_a_class_are_the_definition(model: Any, method: Method, scale: Scale, label: str) -> None:
    pipeline = fitted(model, np.where(TRUTH > 0.4, "yes", "no"))
    place = ["no", "yes"].index(label)

    def answer(values: np.ndarray) -> np.ndarray:
        if scale is Scale.PROBABILITY:
            return pipeline.predict_proba(values)[:, place]
        return pipeline.decision_function(values) * (1 if place else -1)

    row, background = VALUES[200], VALUES[:20]
    found = explain(Asked(pipeline, label), row, background, 1)
    assert (found.method, found.scale) == (method, scale)
    assert found.contributions == pytest.approx(by_definition(answer, row, background), abs=1e-9)
    assert found.base + sum(found.contributions) == pytest.approx(found.score)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=4, random_state=0),
        GradientBoostingClassifier(n_estimators=4, random_state=0),
        LogisticRegression(),
    ],
    ids=lambda item: type(item).__name__,
)
def test_one_of_three_classes_is_explained_by_its_score(model: Any) -> None:
    pipeline = fitted(model, np.digitize(TRUTH, [0.0, 0.8]))
    row, background = VALUES[200], VALUES[:20]
    for label in (0, 1, 2):
        found = explain(Asked(pipeline, label), row, background, 1)
        answer = lambda values, place=label: pipeline.decision_function(values)[:, place]  # noqa: E731
        assert found.scale is Scale.SCORE
        assert found.contributions == pytest.approx(by_definition(answer, row, background), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_trees_of_categories_and_missing_values_are_read_as_they_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.integers(0, 12, 200), rng.normal(size=200), rng.integers(0, 5, 200)]).astype(float)
    truth = (values[:, 0] % 3 == 1) * values[:, 1] + values[:, 2] % 2
    values[rng.random((200, 3)) < 0.1] = np.nan
    model = HistGradientBoostingRegressor(
        max_iter=6, min_samples_leaf=3, max_leaf_nodes=8, categorical_features=[0, 2], random_state=seed
    )
    pipeline = make_pipeline(FunctionTransformer(), model.fit(values, truth))
    background = values[:12]
    row = np.array([rng.choice([3.0, 40.0, np.nan]), rng.normal(), rng.choice([1.0, np.nan])])
    found = explain(Asked(pipeline), row, background, 1)
    assert found.method is Method.TREES
    assert found.contributions == pytest.approx(by_definition(pipeline.predict, row, background), abs=1e-9)


def wide(rows: int = 200, columns: int = 10) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(3).normal(size=(rows, columns))
    return values, values[:, 0] * values[:, 1] + values[:, 2]


def mixing(model: Any) -> tuple[Pipeline, np.ndarray]:
    """A pipeline whose columns are made of several features each."""
    values, truth = wide()
    return make_pipeline(StandardScaler(), PCA(4), model).fit(values, truth), values


def test_columns_of_several_features_are_sampled_with_honest_errors() -> None:
    pipeline, values = mixing(LinearRegression())
    weights = pipeline[-1].coef_ @ pipeline[1].components_ / pipeline[0].scale_
    exact = weights * (values[5] - values[:30].mean(axis=0))
    off = []
    for seed in range(10):
        found = explain(Asked(pipeline), values[5], values[:30], seed)
        assert found.method is Method.SAMPLED
        assert found.contributions == pytest.approx(exact)  # a linear answer has nothing to sample
    pipeline, values = mixing(DecisionTreeRegressor(max_depth=5, random_state=0))
    many: list[Explained] = [explain(Asked(pipeline), values[5], values[:30], seed) for seed in range(24)]
    middle = np.mean([found.contributions for found in many], axis=0)
    for found in many:
        assert found.errors is not None
        assert found.base + sum(found.contributions) == pytest.approx(found.score)
        off.append((np.array(found.contributions) - middle) / np.maximum(found.errors, 1e-12))
    assert 0.6 < np.sqrt(np.mean(np.square(off))) < 1.4
    assert explain(Asked(pipeline), values[5], values[:30], 7) == many[7]


@pytest.mark.parametrize(
    "together",
    [
        lambda values: np.column_stack([values, values[:, 0] * values[:, 1]]),
        lambda values: np.column_stack([values, np.maximum(values[:, 0], values[:, 1])]),
        lambda values: np.column_stack([values, (values[:, 3] > 5) & (values[:, 4] > -9)]),
    ],
)
def test_a_column_of_two_features_is_never_taken_for_one_of_one(together: Any) -> None:
    values, truth = wide()
    pipeline = make_pipeline(FunctionTransformer(together), DecisionTreeRegressor(max_depth=4)).fit(values, truth)
    row = values[7].copy()
    row[3], row[4] = 6.0, -10.0
    assert explain(Asked(pipeline), row, values[:30], 1).method is Method.SAMPLED


def meeting(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, rows[:, 4] + ((rows[:, 3] > 5) & (rows[:, 5] > 5))])


def two_of_one_late_row() -> tuple[np.ndarray, np.ndarray]:
    """They meet in one row of the background alone."""
    values = wide()[0][:80].copy()
    values[70, 3] = values[70, 5] = 6.0
    return values[0], values


def two_of_different_rows() -> tuple[np.ndarray, np.ndarray]:
    """They meet where one comes from the row and the other from the background."""
    values = wide()[0][:30].copy()
    values[:15, 3], values[15:, 3], values[:15, 5], values[15:, 5] = 0.0, 6.0, 6.0, 0.0
    row = values[0].copy()
    row[3], row[5] = 6.0, 0.0
    return row, values


@pytest.mark.parametrize("case", [two_of_one_late_row, two_of_different_rows])
def test_features_that_meet_in_a_column_are_seen_to(case: Any) -> None:
    row, background = case()
    values, truth = wide()
    values[:50, [3, 5]] = 6.0
    pipeline = make_pipeline(FunctionTransformer(meeting), LinearRegression()).fit(values, truth)
    assert explain(Asked(pipeline), row, background, 1).method is Method.SAMPLED


def test_a_model_that_only_looks_like_trees_is_asked_instead() -> None:
    """A boosted model that starts from another one is no sum of its trees and a constant."""
    values, truth = wide(columns=4)
    model = GradientBoostingRegressor(init=LinearRegression(), n_estimators=4, random_state=0).fit(values, truth)
    found = explain(Asked(make_pipeline(StandardScaler().fit(values), model)), values[5], values[:20], 1)
    assert found.method is Method.COMBINATIONS


def test_what_cannot_be_explained_is_said() -> None:
    pipeline = fitted(LogisticRegression(), TRUTH > 0)
    with pytest.raises(ContractError, match="no class maybe"):
        explain(Asked(pipeline, "maybe"), VALUES[0], VALUES[:5], 1)
    with pytest.raises(ContractError, match="no rows to compare with"):
        explain(Asked(pipeline, True), VALUES[0], VALUES[:0], 1)
