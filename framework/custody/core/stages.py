"""Stages: which run each stage of a model should point to, by the spec, and what has to move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from custody.domain.plan import StageMove
from custody.domain.record import ModelState, Run, RunStatus, StagePointer
from custody.domain.spec import ModelSpec

AUTO = "auto"
NONE = "none"
PRODUCTION = "production"


def moves(model: ModelSpec, state: ModelState, passed: str | None, *, will_run: bool) -> tuple[StageMove, ...]:
    """Return the stages that have to move.

    `passed` is the recorded run that passed its gates for the spec as it stands. Where the work is still to be done
    (`will_run`), an `auto` stage moves to that run once it has passed, which is written as `run=None`.
    """
    return tuple(_moves(model, state, passed, will_run=will_run))


def wanted(model: ModelSpec, state: ModelState) -> Mapping[str, str]:
    """Return what each stage should point to; one that points to a run and that the spec does not name: to nothing."""
    return {**model.stages, **{stage: NONE for stage in state.stages if stage not in model.stages}}


def _moves(model: ModelSpec, state: ModelState, passed: str | None, *, will_run: bool) -> Iterator[StageMove]:
    for stage, declared in wanted(model, state).items():
        pointer = state.stages.get(stage)
        present = pointer.run if pointer else None
        if holds := state.holds_on(stage):
            if agrees(declared, state, stage):
                releases = tuple(hold.record for hold in holds)
                target = holds[-1].to
                yield StageMove(stage, present, target, state.version_of(str(target)), releases=releases)
        elif declared == AUTO:
            if will_run:
                yield StageMove(stage, present, None)
            elif passed and passed != present:
                yield StageMove(stage, present, passed, state.version_of(passed))
        elif declared == NONE:
            if present:
                yield StageMove(stage, present, None, cleared=True)
        else:
            target = pinned_run(declared, state)
            if target and target != present:
                yield StageMove(stage, present, target, state.version_of(target))


def possible(planned: tuple[StageMove, ...], run: Run) -> tuple[StageMove, ...]:
    """Return the moves that can be made once `run` has ended: where it did not pass, those that do not ask for it.

    An interrupted apply makes none.
    """
    if run.status is RunStatus.PASSED:
        return planned
    if run.status is RunStatus.INTERRUPTED:
        return ()
    return tuple(move for move in planned if move.cleared or move.run not in {None, run.id})


def agrees(declared: str, state: ModelState, stage: str) -> bool:
    """Whether a stage that is held is pinned to what its newest hold moved it to.

    `auto` never agrees, even where it means that run: an older commit, applied late, would end the hold.
    """
    holds = state.holds_on(stage)
    pinned = pinned_run(declared, state) if declared not in {AUTO, NONE} else None
    return bool(holds and pinned and pinned == holds[-1].to)


def serving(state: ModelState) -> StagePointer | None:
    """Return what `production` points to, else the first stage; None where no stage points to anything."""
    return state.stages.get(PRODUCTION) or next(iter(state.stages.values()), None)


def pinned_run(declared: str, state: ModelState) -> str | None:
    """Return the registered run that `vN` or a run id names; None where there is none."""
    if declared in state.versions:
        return state.versions[declared].run
    return next((item.run for item in state.versions.values() if item.run.startswith(declared)), None)


def version_number(version: str | None) -> int:
    """Return N of `vN`, 0 where there is none."""
    digits = version[1:] if version else ""
    return int(digits) if digits.isdigit() else 0
