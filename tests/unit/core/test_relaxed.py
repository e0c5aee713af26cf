from __future__ import annotations

from typing import Any

import pytest

from custody.core.relaxed import Relaxed, relaxed


def limits(kind: str, **values: Any) -> dict[str, Any]:
    return {"metrics": {}, "slices": {}, kind: {"x": values}}


@pytest.mark.parametrize(
    ("kind", "before", "after", "looser"),
    [
        ("metrics", {"min": 0.8}, {"min": 0.7}, ["min"]),
        ("metrics", {"min": 0.8}, {"min": 0.9}, []),
        ("metrics", {"min": 0.8}, {}, ["min"]),
        ("metrics", {}, {"min": 0.8}, []),
        ("metrics", {"max": 1}, {"max": 2}, ["max"]),
        ("metrics", {"max": 2}, {"max": 1}, []),
        ("metrics", {"max_drop": 0.01}, {"max_drop": 0.02}, ["max_drop"]),
        ("metrics", {"n": 100}, {"n": 50}, ["n"]),
        ("metrics", {"min": 0.8, "max_drop": 0.1}, {"min": 0.8, "max_drop": 0.1}, []),
        ("slices", {"metric": "recall", "min_ratio": 0.8}, {"metric": "recall", "min_ratio": 0.7}, ["min_ratio"]),
        ("slices", {"metric": "recall", "min": 0.8}, {"metric": "accuracy", "min": 0.8}, ["metric"]),
        ("slices", {"metric": "recall", "min": 0.8, "n": 30}, {"metric": "recall", "min": 0.8, "n": 300}, ["n"]),
        ("slices", {"metric": "recall", "min": 0.8, "n": 30}, {"metric": "recall", "min": 0.8}, []),
        ("slices", {"metric": "recall", "min": 0.8}, {"metric": "recall", "min": 0.8, "n": 300}, ["n"]),
    ],
)
def test_what_loosens_a_limit(kind: str, before: Any, after: Any, looser: list[str]) -> None:
    found = relaxed(limits(kind, **before), limits(kind, **after))
    assert [item.path.rpartition(".")[2] for item in found] == looser


def test_a_gate_that_is_gone_is_loosened_in_all_its_limits() -> None:
    before = {"metrics": {"auc": {"min": 0.8}}, "slices": {"sex": {"metric": "recall", "min_ratio": 0.8}}}
    assert relaxed(before, {}) == (
        Relaxed("metrics.auc.min", 0.8),
        Relaxed("slices.sex.metric", "recall"),
        Relaxed("slices.sex.min_ratio", 0.8),
    )


def test_a_new_gate_loosens_nothing() -> None:
    assert relaxed({}, {"metrics": {"auc": {"min": 0.8}}, "slices": {}}) == ()
