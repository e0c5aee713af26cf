from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.intervals import Estimate, interval, mean, quantile, wilson
from custody.core.measures import Answers


def scored(rows: int, seed: int = 0, skill: float = 1.0) -> Answers:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    chance = 1 / (1 + np.exp(-(skill * (2 * truth - 1) + rng.normal(size=rows))))
    said = (chance > 0.5).astype(np.int64)
    return Answers(np.arange(rows), truth, said, np.column_stack([1 - chance, chance]), ("no", "yes"), 1)


def test_wilson_is_the_published_interval() -> None:
    low, high = wilson(15, 148)  # Newcombe, 1998, table I
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0
    assert round(wilson(0, 20)[1], 4) == 0.1611


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_holds_the_share(hits: int, more: int) -> None:
    low, high = wilson(hits, hits + more)
    assert 0 <= low <= hits / (hits + more) <= high <= 1


def test_the_variance_of_an_area_is_delongs() -> None:
    found = scored(60, 3)
    assert found.probabilities is not None
    yes = found.probabilities[found.truth == 1, 1]
    no = found.probabilities[found.truth == 0, 1]
    pairs = (yes[:, None] > no).astype(float) + (yes[:, None] == no) / 2
    error = np.sqrt(pairs.mean(axis=1).var(ddof=1) / len(yes) + pairs.mean(axis=0).var(ddof=1) / len(no))
    made = interval("roc_auc", found, np.zeros(60), 1)
    assert made is not None
    assert made.value == pytest.approx(pairs.mean())
    assert made.high - made.value == pytest.approx(min(1.959964 * error, 1 - made.value), rel=1e-6)
    assert made.value - made.low == pytest.approx(1.959964 * error, rel=1e-6)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1", "log_loss"])
def test_intervals_hold_the_value_of_many_more_rows(metric: str) -> None:
    every = interval(metric, scored(40_000, 99), np.zeros(40_000), 1)
    assert every is not None
    hits = 0
    for seed in range(60):
        found = interval(metric, scored(300, seed), np.arange(300) // 10, seed)
        assert found is not None
        hits += found.low <= every.value <= found.high
    assert hits >= 50


def test_days_are_drawn_whole() -> None:
    """Rows of a day that are all alike are worth one: the interval is wider than that of as many unlike rows."""
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(30), 24)
    found = Answers(np.arange(720), rng.normal(size=720) / 10, np.repeat(rng.normal(size=30), 24))
    one = interval("mae", found, days, 5)
    other = interval("mae", found, np.arange(720), 5)
    assert one is not None
    assert other is not None
    assert one.high - one.low > 2 * (other.high - other.low)
    assert interval("mae", found, days, 5) == one
    residual = found.truth - found.predicted
    assert mean(residual, days).high > mean(residual, np.arange(720)).high


def test_few_days_fall_back_to_rows() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    found = mean(values, np.zeros(500))
    assert found.high - found.value == pytest.approx(1.959964 * values.std(ddof=1) / np.sqrt(500), rel=1e-6)


def test_an_interval_for_many_is_wider() -> None:
    assert quantile(1) == pytest.approx(1.959964, abs=1e-6)
    wide = Estimate(0.5, 0.4, 0.6, 10).widened(10)
    assert wide.high - 0.5 == pytest.approx(0.1 * 2.807034 / 1.959964, rel=1e-6)
    assert Estimate(0.5, 0.4, 0.6, 10).widened(1) == Estimate(0.5, 0.4, 0.6, 10)


def test_what_has_no_value_has_no_interval() -> None:
    one = Answers(np.arange(3), np.ones(3), np.ones(3))
    assert interval("r2", one, np.arange(3), 1) is None
    assert interval("nothing", one, np.arange(3), 1) is None
    assert interval("mae", one.take(np.zeros(3, dtype=bool)), np.zeros(0), 1) is None
