"""Judging: declared limits against one stored evaluation. Pure, so that it can be done again from the record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from custody.digest import digest
from custody.domain.spec import MetricGate, ModelSpec, SliceGate
from custody.domain.verdict import GateResult, Verdict

LOWER_IS_BETTER = frozenset({"rmse", "mae", "median_ae", "max_error", "log_loss", "brier"})
NEARER_ZERO_IS_BETTER = frozenset({"bias"})


def limits_of(model: ModelSpec) -> dict[str, Any]:
    """Return the declared gates as the plain value that is recorded and compared; absent limits are left out."""
    metrics = {gate.metric: _plain(gate, ("min", "max", "max_drop", "n")) for gate in model.metrics}
    slices = {gate.column: _plain(gate, ("metric", "min", "max", "min_ratio", "n")) for gate in model.slices}
    return {"metrics": metrics, "slices": slices}


def judge(
    limits: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    baseline: Mapping[str, Any] | None = None,
    baseline_run: str | None = None,
) -> Verdict:
    """Judge an evaluation's facts (`metrics`, `n`, `slices`) by `limits`.

    `baseline` holds the metrics of the run in production; without one `max_drop` passes and says so. A metric
    that is missing or not a finite number fails every limit on it.
    """
    results: list[GateResult] = []
    for metric, limit in limits.get("metrics", {}).items():
        results.extend(_judge_metric(metric, limit, evaluation, baseline))
    for column, limit in limits.get("slices", {}).items():
        results.extend(_judge_slices(column, limit, evaluation.get("slices", {}).get(column, {})))
    return Verdict(digest(limits), tuple(results), baseline_run)


def drop(metric: str, before: float, after: float) -> float:
    """Return by how much `metric` got worse, in its own unit; negative where it got better."""
    if metric in LOWER_IS_BETTER:
        return after - before
    if metric in NEARER_ZERO_IS_BETTER:
        return abs(after) - abs(before)
    return before - after


def _judge_metric(
    metric: str, limit: Mapping[str, Any], evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> Iterator[GateResult]:
    value = _finite(evaluation.get("metrics", {}).get(metric))
    note = "" if value is not None else "not computed"
    if "n" in limit:
        rows = int(evaluation.get("n", 0))
        yield GateResult(f"{metric}.n", "n", rows, limit["n"], rows >= limit["n"])
    if "min" in limit:
        yield GateResult(f"{metric}.min", metric, value, limit["min"], _at_least(value, limit["min"]), note=note)
    if "max" in limit:
        yield GateResult(f"{metric}.max", metric, value, limit["max"], _at_most(value, limit["max"]), note=note)
    if "max_drop" in limit:
        before = _finite(baseline.get(metric)) if baseline else None
        yield _judge_drop(metric, value, before, limit["max_drop"])


def _judge_drop(metric: str, value: float | None, before: float | None, limit: float) -> GateResult:
    gate = f"{metric}.max_drop"
    if value is None:
        return GateResult(gate, metric, None, limit, passed=False, baseline=before, note="not computed")
    if before is None:
        return GateResult(gate, metric, value, limit, passed=True, note="nothing in production to compare with")
    # One unit in the last place of a subtraction of metrics must not fail a gate.
    passed = drop(metric, before, value) <= limit + 1e-12
    return GateResult(gate, metric, value, limit, passed, baseline=before)


def _judge_slices(
    column: str, limit: Mapping[str, Any], slices: Mapping[str, Mapping[str, Any]]
) -> Iterator[GateResult]:
    metric, least = limit["metric"], limit.get("n", 1)
    judged = {name: _finite(item.get(metric)) for name, item in slices.items() if item.get("n", 0) >= least}
    skipped = sorted(set(slices) - set(judged))
    note = f"not judged, fewer than {least} rows: {', '.join(skipped)}" if skipped else ""
    for side, holds in (("min", _at_least), ("max", _at_most)):
        if side not in limit:
            continue
        gate = f"slices.{column}.{metric}.{side}"
        for name, value in judged.items():
            yield GateResult(gate, metric, value, limit[side], holds(value, limit[side]), name, note=note)
        if not judged:
            yield GateResult(gate, metric, None, limit[side], passed=False, note=note or "no slices")
    if "min_ratio" in limit:
        yield _judge_ratio(f"slices.{column}.{metric}.min_ratio", metric, limit["min_ratio"], judged, note)


def _judge_ratio(gate: str, metric: str, limit: float, judged: Mapping[str, float | None], note: str) -> GateResult:
    values = {name: value for name, value in judged.items() if value is not None}
    if len(values) < 2 or len(values) < len(judged):  # noqa: PLR2004
        why = "fewer than two slices" if len(judged) < 2 else "not computed in every slice"  # noqa: PLR2004
        return GateResult(gate, metric, None, limit, passed=False, note="; ".join(filter(None, (why, note))))
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    if values[lowest] < 0:
        return GateResult(gate, metric, None, limit, passed=False, note="a ratio of negative values means nothing")
    ratio = 1.0 if values[highest] == 0 else values[lowest] / values[highest]
    where = f"{lowest} {values[lowest]:.4g} / {highest} {values[highest]:.4g}"
    return GateResult(gate, metric, ratio, limit, ratio >= limit, note="; ".join(filter(None, (where, note))))


def _plain(gate: MetricGate | SliceGate, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(gate, name) for name in names if getattr(gate, name) is not None}


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _at_least(value: float | None, limit: float) -> bool:
    return value is not None and value >= limit


def _at_most(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit
