"""Adoption: which steps of a planned change a trial has done already. Pure; category and reasons stay as they are.

So the id of a plan does not depend on whether somebody tried the change before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from custody.core.keys import UPSTREAM, step_key
from custody.core.reuse import reused, with_objects
from custody.domain.graph import StepRecord
from custody.domain.plan import Change, Do, PlannedStep

Find = Callable[[str], tuple[str, StepRecord] | None]


def with_trials(change: Change, find: Find, has: Callable[[str], bool]) -> Change:
    """Return `change` with the results that `find`, by key, has of trials in the steps that would have to run.

    `has` is whether the store holds an object.
    """
    if not change.active or not change.to_run:
        return change
    outputs: dict[str, str] = {}
    steps: list[PlannedStep] = []
    for step in change.steps:
        found = step if step.known or step.forced else _tried(step, outputs, find)
        if found.known and found.known.output:
            outputs[step.step] = found.known.output.ref.digest
            found = replace(found, do=Do.REUSE)
        steps.append(found)
    return replace(change, steps=tuple(with_objects(steps, has)))


def trials_of(change: Change) -> tuple[str, ...]:
    """Return the trials whose results a change takes over, the one of its last step first."""
    reverse = (step.trial for step in reversed(change.steps) if step.trial and step.do is Do.REUSE)
    return tuple(dict.fromkeys(reverse))


def _tried(step: PlannedStep, outputs: dict[str, str], find: Find) -> PlannedStep:
    roles = UPSTREAM[step.step]
    if any(maker not in outputs for maker in roles.values()):
        return step
    key = step_key(step.step, step.inputs, {role: outputs[maker] for role, maker in roles.items()})
    found = find(key)
    if found is None:
        return replace(step, do=Do.RUN, key=key)
    run, record = found
    return replace(step, key=key, known=reused(record, run), trial=run)
