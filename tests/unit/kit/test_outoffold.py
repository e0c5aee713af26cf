from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from custody.errors import ContractError
from custody.kit.evaluation import Question
from custody.kit.outoffold import out_of_fold

REGRESSION = Question("regression", (), None, ())


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    """A tree that learns by heart is right on all that it saw: out of fold it is not."""
    rng = np.random.default_rng(0)
    values, truth = rng.normal(size=(120, 3)), rng.normal(size=120)
    found = out_of_fold(DecisionTreeRegressor(random_state=0), values, truth, np.arange(120) // 10, REGRESSION)
    assert (np.abs(found.predicted - truth) > 1e-9).all()
    again = out_of_fold(DecisionTreeRegressor(random_state=0), values, truth, np.arange(120) // 10, REGRESSION)
    assert np.array_equal(found.predicted, again.predicted)


def test_blocks_of_any_name_keep_their_rows_in_place() -> None:
    values = np.arange(60.0)[:, None]
    blocks = np.array(["2011-02", "2011-01", "2011-03"] * 20)
    found = out_of_fold(
        make_pipeline(StandardScaler(), LinearRegression()), values, 3 * values[:, 0], blocks, REGRESSION
    )
    assert found.predicted == pytest.approx(3 * values[:, 0])


def test_probabilities_have_a_column_for_classes_that_a_fold_did_not_see() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(90, 2))
    truth = np.where(values[:, 0] > 0, "b", "a")
    truth[:30] = np.where(values[:30, 1] > 0, "c", truth[:30])
    question = Question("classification", ("a", "b", "c"), None, ())
    found = out_of_fold(LogisticRegression(), values, truth, np.arange(90) // 30, question)
    assert found.probabilities is not None
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(90))
    assert (found.probabilities[:30, 2] == 0).all()


def test_many_blocks_share_a_few_fits() -> None:
    calls: list[int] = []

    class Counting(LinearRegression):  # type: ignore[misc]
        def fit(self, values: np.ndarray, truth: np.ndarray) -> object:
            calls.append(len(truth))
            return super().fit(values, truth)

    out_of_fold(Counting(), np.arange(100.0)[:, None], np.arange(100.0), np.arange(100), REGRESSION)
    assert len(calls) == 12


def test_what_cannot_be_fitted_is_said_in_a_line() -> None:
    values, truth = np.arange(20.0)[:, None], np.arange(20.0)
    with pytest.raises(ContractError, match="one block"):
        out_of_fold(LinearRegression(), values, truth, np.zeros(20), REGRESSION)
    with pytest.raises(ContractError, match=r"cannot be fitted without a part of its rows: .*NaN"):
        out_of_fold(LinearRegression(), values * np.nan, truth, np.arange(20) // 5, REGRESSION)
