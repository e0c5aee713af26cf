"""Judging: a stored evaluation by the declared limits, against the run in production at this moment."""

from __future__ import annotations

from dataclasses import replace

from custody.core.gates import judge, limits_of
from custody.core.stages import serving
from custody.domain.ports import Ledger
from custody.domain.record import ModelState, Run, RunStatus
from custody.domain.spec import Spec


def judged_run(ledger: Ledger, spec: Spec, run: Run) -> Run:
    """Return the run with a new verdict; all of its steps must have ended well."""
    evaluation = run.steps["evaluate"].output
    production = production_run(ledger, ledger.model(run.model))
    verdict = judge(
        limits_of(spec.models[run.model]),
        evaluation.facts if evaluation else {},
        production.metrics if production else None,
        production.id if production else None,
    )
    return replace(run, verdict=verdict, status=RunStatus.PASSED if verdict.passed else RunStatus.REJECTED)


def production_run(ledger: Ledger, state: ModelState) -> Run | None:
    """Return the run that is in production, with its recorded metrics; None where nothing is."""
    pointer = serving(state)
    if pointer is None:
        return None
    if state.run and state.run.id == pointer.run:
        return state.run
    entry = ledger.find_entry(pointer.run)
    return ledger.run(entry) if entry else None
