"""Which steps of a model have a result already, and which of them have to run all the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from custody.core.keys import UPSTREAM, step_key
from custody.core.subject import Subject
from custody.domain.graph import STEPS, StepRecord, StepStatus
from custody.domain.plan import Do, PlannedStep


def resolve(subject: Subject) -> Iterator[PlannedStep]:
    """Yield each step with the result that its key already has, as far as the outputs before it are known."""
    outputs: dict[str, str] = {}
    for step in STEPS:
        inputs, roles = subject.inputs[step], UPSTREAM[step]
        if any(maker not in outputs for maker in roles.values()):
            yield PlannedStep(step, Do.MAYBE if step != "evaluate" else Do.RUN, inputs)
            continue
        upstream = {role: outputs[maker] for role, maker in roles.items()}
        key = step_key(step, inputs, upstream)
        known = _known(subject, step, key)
        if known is None and step == "evaluate" and (wider := _wider(subject, inputs)):
            wider_key = step_key(step, wider, upstream)
            if known := _known(subject, step, wider_key):
                inputs, key = wider, wider_key
        if known and known.output:
            outputs[step] = known.output.ref.digest
        yield PlannedStep(step, Do.REUSE if known else Do.RUN, inputs, key, known)


def _wider(subject: Subject, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the inputs of the last evaluation where it has all these slices and more: none has to be scored again."""
    record = subject.state.run.steps.get("evaluate") if subject.state.run else None
    if record is None or not set(record.inputs.get("slices", ())) > set(inputs["slices"]):
        return None
    return {**inputs, "slices": record.inputs["slices"]}


def _known(subject: Subject, step: str, key: str) -> StepRecord | None:
    last = subject.state.run
    if last and (record := last.steps.get(step)) and record.key == key and record.usable:
        return reused(record, last.id)
    found = subject.lookup.step(key)
    return reused(found[1], found[0]) if found else None


def reused(record: StepRecord, run: str) -> StepRecord:
    """Return `record` of `run` as a later run records it: what it made, not again what it cost."""
    source = record.source or run
    return StepRecord(
        record.step, StepStatus.REUSED, record.key, record.inputs, record.upstream, record.output, source=source
    )


def with_objects(steps: list[PlannedStep], has: Callable[[str], bool]) -> Iterator[PlannedStep]:
    """Turn a reused step into one to run where a later step needs its output and the store has lost it."""
    needed: set[str] = set()
    lost: set[str] = set()
    for step in reversed(steps):
        runs = step.do is not Do.REUSE
        if step.step in needed and step.known and step.known.output and not has(step.known.output.ref.object):
            lost.add(step.step)
            runs = True
        if runs:
            needed.update(UPSTREAM[step.step].values())
    for step in steps:
        yield replace(step, do=Do.RUN) if step.step in lost else step


def forced(steps: tuple[PlannedStep, ...], step: str) -> tuple[PlannedStep, ...]:
    """Return the steps with `step` to be run again; later ones follow from what it makes, if that is new."""
    unknown = {step}
    made = []
    for item in steps:
        if item.step == step:
            made.append(replace(item, do=Do.RUN, known=None, forced=True))
        elif unknown & set(UPSTREAM[item.step].values()):
            unknown.add(item.step)
            made.append(replace(item, do=Do.MAYBE, known=None, key=None))
        else:
            made.append(item)
    return tuple(made)
