"""Models that read other models: what their inputs are now, whether this plan may change them, and the order.

An input is the score of another model's artifact, in a stage or of a version. Only the artifact's digest is an input of
a step: another version with the same artifact changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from custody.core.keys import READ_INPUTS
from custody.domain.plan import Category, Change, Do, Reason, StageMove
from custody.domain.record import State
from custody.domain.spec import ModelRef, ModelSpec


@dataclass(frozen=True, slots=True)
class Reading:
    """The inputs of one model: what each column reads now, and which may move first.

    `found` maps a column to `{model, at, version, run, artifact}`; `pending` and `missing` are columns.
    """

    found: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def now(self, refs: Mapping[str, ModelRef]) -> dict[str, str]:
        """Return the artifacts that are read now by column; of a column that reads nothing yet, its reference."""
        return {
            column: self.found[column]["artifact"] if column in self.found else str(refs[column]) for column in refs
        }

    def artifacts(self, refs: Mapping[str, ModelRef]) -> dict[str, str]:
        """Return what the keys hold by column; of one that is not known yet, its reference."""
        known = {column: str(item["artifact"]) for column, item in self.found.items()}
        return {column: str(ref) if column in self.pending else known.get(column, "") for column, ref in refs.items()}


def reading(model: ModelSpec, state: State, arriving: Mapping[str, frozenset[str]]) -> Reading:
    """Return what the inputs of `model` are; `arriving` maps a model to the stages that this plan may move."""
    found = {column: item for column, ref in model.inputs.items() if (item := _at(ref, state))}
    pending = tuple(column for column, ref in model.inputs.items() if ref.at in arriving.get(ref.model, ()))
    missing = tuple(column for column in model.inputs if column not in found and column not in pending)
    return Reading(found, pending, missing)


def missing_reason(model: ModelSpec, column: str) -> Reason:
    """Return why a model is blocked whose input is not there."""
    ref = model.inputs[column]
    note = f"{ref.model} has nothing in {ref.at} yet: it has to pass its gates first"
    return Reason("input.missing", f"input {column}", place=model.place("data", f"inputs.{column}"), note=note)


def waiting(model: ModelSpec, change: Change, read: Reading) -> Change:
    """Return the change of a model of which an input may move first: nothing of it is decided before."""
    if change.category is Category.BLOCKED:
        return change
    reasons = tuple(_pending_reason(model, column, read) for column in read.pending)
    runs = bool(change.active and change.to_run)
    artifacts = read.artifacts(model.inputs)
    steps = tuple(
        replace(step, do=Do.MAYBE, key=None, known=None, inputs={**step.inputs, "inputs": artifacts})
        if step.step in READ_INPUTS
        else step
        for step in change.steps
    )
    own = change.reasons if change.active else ()
    return replace(
        change,
        category=change.category if runs else Category.MAYBE,
        reasons=(*own, *reasons),
        steps=steps,
        moves=change.moves or tuple(StageMove(stage, None, None) for stage in _floating(model)),
        waits=tuple(dict.fromkeys(model.inputs[column].model for column in read.pending)),
    )


def arrivals(change: Change | None) -> frozenset[str]:
    """Return the stages that a change may move."""
    return frozenset(move.stage for move in change.moves) if change and change.active else frozenset()


def in_order(models: Mapping[str, ModelSpec]) -> tuple[str, ...]:
    """Return the models, each after those that it reads; as they stand where some read each other."""
    reads = {name: [ref.model for ref in item.inputs.values() if ref.model in models] for name, item in models.items()}
    try:
        return tuple(TopologicalSorter(reads).static_order())
    except CycleError:
        return tuple(models)


def cycle(models: Mapping[str, ModelSpec], start: str) -> tuple[str, ...]:
    """Return the shortest way from `start` back to itself, in the order of reading; empty where there is none."""
    paths: dict[str, tuple[str, ...]] = {start: (start,)}
    queue = deque([start])
    while queue:
        name = queue.popleft()
        for ref in models[name].inputs.values() if name in models else ():
            if ref.model == start:
                return (*paths[name], start)
            if ref.model not in paths:
                paths[ref.model] = (*paths[name], ref.model)
                queue.append(ref.model)
    return ()


def readers(models: Mapping[str, ModelSpec], names: Iterable[str]) -> frozenset[str]:
    """Return all models that read one of `names`, directly or through others."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        new = [item.name for item in models.values() if any(ref.model == name for ref in item.inputs.values())]
        queue += [item for item in new if item not in found]
        found.update(new)
    return frozenset(found)


def read_by(models: Mapping[str, ModelSpec], change: Change) -> Change:
    """Return the change with what it reaches: the models that read a stage which it may move."""
    reached = sorted(readers(models, [change.model])) if arrivals(change) else []
    return replace(change, notes=(*change.notes, f"read by {', '.join(reached)}")) if reached else change


def _at(ref: ModelRef, state: State) -> dict[str, str] | None:
    upstream = state.models.get(ref.model)
    if upstream is None:
        return None
    pointer = upstream.stages.get(ref.at)
    version = upstream.versions.get(pointer.version if pointer else ref.at)
    if version is None or not version.artifact:
        return None
    return {
        "model": ref.model,
        "at": ref.at,
        "version": version.version,
        "run": version.run,
        "artifact": version.artifact,
    }


def _pending_reason(model: ModelSpec, column: str, read: Reading) -> Reason:
    ref, now = model.inputs[column], read.found.get(column)
    note = f"known once {ref.model} is done; nothing is done where its artifact stays the same"
    before: Any = f"{ref.model}@{now['version']}" if now else None
    place = model.place("data", f"inputs.{column}")
    return Reason("upstream.pending", column, before, str(ref), place, note)


def _floating(model: ModelSpec) -> Iterator[str]:
    yield from (stage for stage, declared in model.stages.items() if declared == "auto")
