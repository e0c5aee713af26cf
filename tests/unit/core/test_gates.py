from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.gates import drop, judge


def verdict(limits: dict[str, Any], metrics: dict[str, Any], **more: Any) -> dict[str, bool]:
    facts = {"metrics": metrics, "n": more.get("n", 100), "slices": more.get("slices", {})}
    found = judge(limits, facts, more.get("baseline"), "run")
    return {gate.gate: gate.passed for gate in found.gates}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "0.9"])
def test_a_metric_that_is_no_number_fails_every_limit(value: Any) -> None:
    limits = {"metrics": {"auc": {"min": 0.0, "max": 1.0, "max_drop": 1.0}}}
    assert set(verdict(limits, {"auc": value}).values()) == {False}
    assert set(verdict(limits, {}).values()) == {False}


def test_a_drop_is_against_production_and_a_first_run_has_none() -> None:
    limits = {"metrics": {"auc": {"max_drop": 0.01}, "rmse": {"max_drop": 1.0}}}
    assert verdict(limits, {"auc": 0.5, "rmse": 9}) == {"auc.max_drop": True, "rmse.max_drop": True}
    worse = verdict(limits, {"auc": 0.88, "rmse": 12}, baseline={"auc": 0.9, "rmse": 10})
    assert worse == {"auc.max_drop": False, "rmse.max_drop": False}
    assert verdict(limits, {"auc": 0.89, "rmse": 11}, baseline={"auc": 0.9, "rmse": 10}) == {
        "auc.max_drop": True,
        "rmse.max_drop": True,
    }


def test_too_few_rows_fail() -> None:
    assert verdict({"metrics": {"auc": {"n": 101}}}, {"auc": 1.0}) == {"auc.n": False}


SLICES = {"gender": {"f": {"n": 50, "rate": 0.4}, "m": {"n": 50, "rate": 0.5}, "x": {"n": 2, "rate": 0.0}}}


def test_a_ratio_is_of_the_slices_with_enough_rows() -> None:
    limits = {"slices": {"gender": {"metric": "rate", "min_ratio": 0.8, "n": 30}}}
    assert verdict(limits, {}, slices=SLICES) == {"slices.gender.rate.min_ratio": True}
    limits["slices"]["gender"]["min_ratio"] = 0.81
    assert verdict(limits, {}, slices=SLICES) == {"slices.gender.rate.min_ratio": False}
    limits["slices"]["gender"]["n"] = 1
    assert verdict(limits, {}, slices=SLICES) == {"slices.gender.rate.min_ratio": False}


def test_slices_that_cannot_be_judged_fail() -> None:
    limits = {"slices": {"gender": {"metric": "rate", "min_ratio": 0.1, "min": 0.0, "n": 1000}}}
    assert set(verdict(limits, {}, slices=SLICES).values()) == {False}
    assert set(verdict(limits, {}, slices={}).values()) == {False}


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_tighter_minimum_never_passes_what_a_looser_one_failed(value: float, one: float, two: float) -> None:
    loose, tight = sorted((one, two))
    passed = [verdict({"metrics": {"auc": {"min": limit}}}, {"auc": value})["auc.min"] for limit in (loose, tight)]
    assert passed[0] or not passed[1]


@given(st.sampled_from(["auc", "rmse", "bias"]), st.floats(-5, 5))
def test_nothing_drops_against_itself(metric: str, value: float) -> None:
    assert drop(metric, value, value) == 0
