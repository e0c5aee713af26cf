"""Estimates: what the steps that a change runs took in earlier runs of the model, from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from custody.domain.graph import StepStatus
from custody.domain.plan import Change, Estimate, StepTime
from custody.domain.ports import Ledger
from custody.domain.record import Kind, Run

_RUNS = 20
"""Earlier runs that an estimate is made from, at most."""


def estimates(ledger: Ledger, planned: Iterable[Change]) -> dict[str, Estimate]:
    """Return the estimate of each change that has steps to run, by model, where each of them ran here before."""
    found = ((change.model, estimate(change, _earlier(ledger, change.model))) for change in planned if change.to_run)
    return {model: item for model, item in found if item}


def estimate(change: Change, runs: Iterable[Run]) -> Estimate | None:
    """Return what the steps to run took in `runs`; None where any of them never ran."""
    seconds: dict[str, list[float]] = {step: [] for step in change.to_run}
    cpu: dict[str, list[float]] = {step: [] for step in change.to_run}
    for run in runs:
        for name, step in run.steps.items():
            if name in seconds and step.status is StepStatus.DONE and step.seconds is not None:
                seconds[name].append(step.seconds)
                cpu[name].append(step.cpu or 0.0)
    if not seconds or not all(seconds.values()):
        return None
    return Estimate(
        {
            name: StepTime(_quantile(took, 0.5), _quantile(took, 0.9), _quantile(cpu[name], 0.5), len(took))
            for name, took in seconds.items()
        }
    )


def _earlier(ledger: Ledger, model: str) -> Iterable[Run]:
    entries = (entry for entry in ledger.entries(model, limit=5 * _RUNS) if entry.kind == Kind.RUN)
    for _, entry in zip(range(_RUNS), entries, strict=False):
        run = ledger.run(entry)
        if run:
            yield run


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the value at the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
