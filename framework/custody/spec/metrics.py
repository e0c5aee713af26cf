"""The metrics that there are, and which of them fit a model's task and classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from custody.domain.metrics import BINARY, MULTICLASS, REGRESSION
from custody.domain.problem import Problem
from custody.domain.spec import Manifest, ModelSpec, Task
from custody.spec.hints import meant
from custody.spec.words import listed, say

METRICS: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: tuple(dict.fromkeys((*BINARY, *MULTICLASS))),
    Task.REGRESSION: REGRESSION,
}
_TWINS: Mapping[str, str] = {
    "precision": "precision_macro",
    "recall": "recall_macro",
    "f1": "f1_macro",
    "roc_auc": "roc_auc_ovr",
    "brier": "log_loss",
    "precision_macro": "precision",
    "recall_macro": "recall",
    "f1_macro": "f1",
    "roc_auc_ovr": "roc_auc",
}
_TWO = 2


def metric_problems(
    model: ModelSpec, manifest: Manifest | None, kind: str, named: Iterable[tuple[str, str]]
) -> Iterator[Problem]:
    """Yield the metrics that do not fit; `named` are metrics and where the file of `kind` names each."""
    known, classes = METRICS[model.task], _classes(model, manifest)
    fitting = known if classes is None else BINARY if classes == _TWO else MULTICLASS
    for metric, dotted in named:
        if metric in fitting:
            continue
        place = model.place(kind, dotted)
        if metric not in known:
            message = f"{say(metric)} is not a metric of {model.task}"
            advice = meant(metric, fitting, most=len(fitting))
            yield Problem("E207", message, place, help=advice, related=model.place("model", "task"))
        else:
            wanted = "more than two classes" if classes == _TWO else "two classes"
            message = f"{say(metric)} is for {wanted}, and {say(model.target)} has {classes}"
            advice = (f"use {_TWINS[metric]}",) if metric in _TWINS else (f"known: {listed(fitting)}",)
            yield Problem("E207", message, place, label=f"for {wanted}", help=advice)


def _classes(model: ModelSpec, manifest: Manifest | None) -> int | None:
    """Return how many classes the target has; None where that is not known or means nothing."""
    column: Mapping[str, Any] = manifest.columns.get(model.target, {}) if manifest else {}
    count = column.get("distinct")
    return count if model.task is Task.CLASSIFICATION and isinstance(count, int) and count >= _TWO else None
