"""Limits that no value keeps, of a metric or of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custody.domain.problem import Problem
from custody.domain.spec import Document
from custody.spec.words import say

_SHARES = frozenset(
    {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "brier"}
    | {"selection_rate", "f1_macro", "precision_macro", "recall_macro", "roc_auc_ovr"}
)
"""The metrics that lie between 0 and 1."""
_POSITIVE = frozenset({"log_loss", "rmse", "mae", "median_ae", "max_error"})


def reach(
    document: Document, dotted: str, metric: str, rules: Mapping[str, Any], judged: str = "run"
) -> Iterator[Problem]:
    """Yield the limits that no value of the metric keeps; `judged` is what is held against them."""
    least = 0 if metric in _SHARES | _POSITIVE else None
    greatest = 1 if metric in _SHARES or metric == "r2" else None
    low, high = rules.get("min"), rules.get("max")
    if low is not None and greatest is not None and low > greatest:
        advice = f"{low:g} % is {low / 100:g}" if 2 <= low <= 100 else "set another limit"  # noqa: PLR2004
        where = say(f"{dotted}.min", quote=False)
        message = f"`{where}` is {say(low)}, and {metric} is at most {greatest}: no {judged} passes"
        yield Problem("E106", message, document.place(f"{dotted}.min"), help=(advice,))
    if high is not None and least is not None and high < least:
        where = say(f"{dotted}.max", quote=False)
        message = f"`{where}` is {say(high)}, and {metric} is at least {least}: no {judged} passes"
        yield Problem("E106", message, document.place(f"{dotted}.max"), help=("set another limit",))


def bounds(document: Document, dotted: str, rules: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a least value that is greater than the greatest."""
    if "min" in rules and "max" in rules and rules["min"] > rules["max"]:
        message = f"`{say(dotted, quote=False)}` has min {say(rules['min'])} > max {say(rules['max'])}: no value passes"
        yield Problem("E106", message, document.place(f"{dotted}.min"), help=("swap them",))
