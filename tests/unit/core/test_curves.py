from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from custody.core.curves import curves
from custody.core.measures import Answers


def binary(score: list[float], truth: list[int]) -> Answers:
    chance = np.asarray(score)
    said = (chance > 0.5).astype(np.int64)
    return Answers(np.arange(len(score)), np.asarray(truth), said, np.column_stack([1 - chance, chance]), ("n", "y"), 1)


SCORES = [0.1, 0.4, 0.4, 0.35, 0.8, 0.8, 0.65, 0.9]
TRUTHS = [0, 0, 1, 0, 1, 0, 1, 1]


def test_the_curves_are_those_of_scikit_learn() -> None:
    roc, precision, calibration = curves(binary(SCORES, TRUTHS))
    false, true, _ = roc_curve(TRUTHS, SCORES, drop_intermediate=False)
    assert np.asarray(roc.points) == pytest.approx(np.column_stack([false, true]))
    right, recall, _ = precision_recall_curve(TRUTHS, SCORES)
    known = np.column_stack([recall[:-1], right[:-1]])[::-1]
    assert np.asarray(precision.points[1:]) == pytest.approx(known)
    assert calibration.points[-1] == pytest.approx((0.9, 1.0))


def test_one_class_alone_has_no_ranking() -> None:
    assert [curve.title for curve in curves(binary([0.2, 0.7], [1, 1]))] == ["Calibration"]


def test_many_rows_give_few_points() -> None:
    rng = np.random.default_rng(1)
    found = curves(binary(list(rng.random(5_000)), list(rng.integers(0, 2, 5_000))))
    assert max(len(curve.points) for curve in found) <= 200
    assert found[0].points[0] == (0.0, 0.0)
    assert found[0].points[-1] == (1.0, 1.0)
    residuals = curves(Answers(np.arange(5_000), rng.random(5_000), rng.random(5_000)))
    assert [len(curve.points) for curve in residuals] == [400]


def test_nothing_is_drawn_of_nothing_or_of_many_classes() -> None:
    none = np.zeros(0)
    assert curves(Answers(none, none, none)) == ()
    three = Answers(np.arange(3), np.arange(3), np.arange(3), np.eye(3), ("a", "b", "c"))
    assert curves(three) == ()
