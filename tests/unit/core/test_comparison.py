from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.comparison import (
    Difference,
    Flips,
    Measured,
    compare,
    draws,
    flips,
    pair,
    resamples,
    values_only,
)
from custody.core.measures import Answers, measures
from custody.kit.metrics import Predictions, measure

CLASSES = ("no", "yes")


def binary(rows: int = 400, *, skill: float = 1.0, seed: int = 1, truth_seed: int = 0) -> Answers:
    truth = np.random.default_rng(truth_seed).integers(0, 2, rows)
    noise = np.random.default_rng(seed).normal(size=rows)
    chance = np.round(1 / (1 + np.exp(-(skill * (2 * truth - 1) + noise))), 2)
    said = (chance > 0.5).astype(np.int64)
    return Answers(np.arange(rows), truth, said, np.column_stack([1 - chance, chance]), CLASSES, 1)


def multi(rows: int = 300, seed: int = 1) -> Answers:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, 3, rows)
    scores = rng.random((rows, 3)) + 0.7 * np.eye(3)[truth]
    chance = scores / scores.sum(axis=1, keepdims=True)
    return Answers(np.arange(rows), truth, chance.argmax(axis=1), chance, ("a", "b", "c"))


def numbers(rows: int = 300, *, noise: float = 1.0, seed: int = 1) -> Answers:
    truth = np.random.default_rng(0).normal(10, 3, rows)
    return Answers(np.arange(rows), truth, truth + np.random.default_rng(seed).normal(0, noise, rows))


def facts(found: Answers) -> Measured:
    once = np.ones((1, len(found.truth)))
    return Measured(
        {"metrics": {name: float(one(once)[0]) for name, one in measures(found).items()}, "n": len(once[0])}
    )


@pytest.mark.parametrize("found", [binary(), binary(7, skill=0.1), multi(), numbers(), numbers(8)])
def test_measures_equal_the_evaluated_metrics(found: Answers) -> None:
    classes = list(range(len(found.classes)))
    task = "regression" if found.regression else "classification"
    evaluated = measure(Predictions(found.truth, found.predicted, found.probabilities), task, classes, found.positive)
    once = np.ones((1, len(found.truth)))
    again = {name: float(one(once)[0]) for name, one in measures(found).items()}
    assert set(again) == set(evaluated)
    for name, value in evaluated.items():
        assert again[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("found", [binary(60), multi(60), numbers(60), numbers(61)])
def test_a_weighting_is_the_same_as_repeated_rows(found: Answers) -> None:
    weights = next(iter(draws(len(found.truth))))[:5]
    for row in weights:
        repeated = found.take(np.repeat(np.arange(len(row)), row.astype(int)))
        once = np.ones((1, len(repeated.truth)))
        for name, one in measures(found).items():
            assert one(row[None, :])[0] == pytest.approx(measures(repeated)[name](once)[0], abs=1e-9), name


def test_draws_are_the_same_with_every_numpy() -> None:
    first = next(iter(draws(10)))
    assert first.shape == (2000, 10)
    assert (first.sum(axis=1) == 10).all()
    assert first[0].tolist() == FIRST_DRAW


FIRST_DRAW = [0, 0, 1, 2, 0, 1, 0, 1, 4, 1]


def test_few_resamples_of_many_rows_are_counted() -> None:
    assert (resamples(10), resamples(10_000), resamples(20_000), resamples(10**9)) == (2000, 2000, 1000, 200)


def test_a_real_difference_is_told_and_noise_is_not() -> None:
    weak, strong, other = binary(2000, skill=0.3), binary(2000, skill=1.5), binary(2000, skill=0.3, seed=9)
    told = compare((facts(weak), facts(strong)), (weak, strong), {}, {})
    assert told.paired
    assert {told.metric(name).words for name in ("accuracy", "roc_auc", "f1")} == {"better"}
    assert told.metric("log_loss").words == "better"
    assert told.metric("selection_rate").words in {"differs", "no clear difference"}
    found = told.metric("roc_auc")
    assert found.low < found.change < found.high
    assert found.least < found.after < found.most
    noise = compare((facts(weak), facts(other)), (weak, other), {}, {})
    assert noise.metric("accuracy").words == "no clear difference"


@pytest.mark.heavy
def test_the_interval_covers_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        one, two = (binary(150, skill=0.8, seed=1000 * k + seed, truth_seed=seed) for k in (1, 2))
        held += compare((facts(one), facts(two)), (one, two), {}, {}).metric("accuracy").unclear
    assert 51 <= held <= 60


def test_a_run_equals_itself() -> None:
    found = numbers()
    same = compare((facts(found), facts(found)), (found, found), {}, {})
    assert {item.words for item in same.metrics} == {"equal"}
    assert same.flips == Flips(300, 0, 0, 0, same.flips.tolerance)


def test_rows_are_paired_by_id_in_any_order() -> None:
    one, two = binary(seed=1), binary(seed=2)
    shuffled = two.take(np.random.default_rng(0).permutation(len(two.ids)))
    told = compare((facts(one), facts(two)), (one, shuffled), {}, {})
    assert told == compare((facts(one), facts(two)), (one, two), {}, {})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (binary().take(np.arange(399)), "other test rows; not paired"),
        (binary(truth_seed=5), "the same test rows with other truths; not paired"),
        (multi(400), "other classes; not paired"),
    ],
)
def test_what_cannot_be_paired_gives_values_and_the_reason(other: Answers, why: str) -> None:
    one = binary()
    told = compare((facts(one), facts(other)), (one, other), {}, {})
    assert (told.paired, told.note, told.flips) == (False, why, None)
    assert told.metric("accuracy").after == facts(other).metric("accuracy")
    assert {item.low for item in told.metrics} == {None}
    assert {item.words for item in told.metrics} == {""}


def test_repeated_ids_are_not_paired() -> None:
    one = binary(4)
    twice = Answers(np.array([1, 1, 2, 3]), one.truth, one.predicted, one.probabilities, CLASSES, 1)
    assert pair(twice, twice) == "other test rows; not paired"


def test_flips_of_a_classification() -> None:
    ids, truth = np.arange(5), np.array([0, 0, 1, 1, 2])
    before = Answers(ids, truth, np.array([0, 1, 1, 0, 0]), classes=("a", "b", "c"))
    after = Answers(ids, truth, np.array([1, 0, 1, 2, 1]), classes=("a", "b", "c"))
    assert flips(before, after, 0) == Flips(5, newly_wrong=1, fixed=1, moved=2)
    assert flips(before, after, 0).share == 0.8


def test_flips_of_a_regression_count_beyond_the_tolerance() -> None:
    ids, truth = np.arange(4), np.zeros(4)
    before, after = Answers(ids, truth, np.array([1.0, 1, 1, -1])), Answers(ids, truth, np.array([1.05, 3, 0, -1]))
    assert flips(before, after, 0.1) == Flips(4, 1, 1, 0, 0.1)


def test_slices_have_their_own_intervals_and_flips() -> None:
    one, two = binary(600, skill=0.5, seed=1), binary(600, skill=0.5, seed=2)
    groups = np.array(["f", "m"] * 300)
    two.predicted[groups == "f"] = two.truth[groups == "f"]
    old, new = (_with_slices(item, groups) for item in (one, two))
    told = compare((old, new), (one, two), {"sex": "accuracy"}, {"sex": groups})
    by = {item.value: item for item in told.slices}
    assert (by["f"].difference.words, by["f"].rows, by["f"].flips.newly_wrong) == ("better", 300, 0)
    assert by["m"].difference.words == "no clear difference"
    assert by["f"].flips.fixed + by["m"].flips.fixed == told.flips.fixed


def _with_slices(found: Answers, groups: np.ndarray) -> Measured:
    parts = {name: found.take(groups == name) for name in ("f", "m")}
    sliced = {name: {"n": len(part.ids), **facts(part).facts["metrics"]} for name, part in parts.items()}
    return Measured({**facts(found).facts, "slices": {"sex": sliced}})


def test_without_a_run_in_production_there_are_values_alone() -> None:
    told = values_only(None, facts(binary()), {}, "nothing in production to compare with")
    assert told.metric("accuracy").before is None
    assert told.metric("accuracy").words == ""


def test_nearer_zero_is_better_for_a_bias() -> None:
    assert Difference("bias", -2.0, 1.0, 2.5, 3.5).words == "better"
    assert Difference("bias", 1.0, -2.0, -3.5, -2.5).words == "worse"


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_bounds_hold_each_other(rows: int, one: int, two: int) -> None:
    before, after = binary(rows, seed=one), binary(rows, seed=two)
    told = compare((facts(before), facts(after)), (before, after), {}, {})
    for item in told.metrics:
        if item.low is not None:
            assert item.low <= item.high
            assert item.least <= item.most
    assert told.flips.newly_wrong - told.flips.fixed == int((before.predicted == before.truth).sum()) - int(
        (after.predicted == after.truth).sum()
    )
