"""Renames: which models are called something else now, what is recorded of them, and that decision. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from custody.core.fold import can_take, states_after
from custody.core.recording import Source
from custody.domain.plan import Category, Change, Reason
from custody.domain.record import Kind, ModelState, Record, State
from custody.domain.spec import ModelSpec, Spec


@dataclass(frozen=True, slots=True)
class Renames:
    """What `was:` asks for and is not recorded yet: `pending` maps a model to its former name, `refused` to why not."""

    pending: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, Reason] = field(default_factory=dict)


def renames_of(spec: Spec, state: State) -> Renames:
    """Return the renames that the specs ask for and the ledger does not hold yet."""
    pending: dict[str, str] = {}
    refused: dict[str, Reason] = {}
    for name, model in spec.models.items():
        target = state.models.get(name) or ModelState(name)
        if model.was is None or model.was in target.was:
            continue
        if why := _why_not(model, model.was, target, spec, state, pending):
            place = model.place("model", "was")
            refused[name] = Reason("rename.refused", f"{model.was} → {name}", place=place, note=why)
        else:
            pending[name] = model.was
    return Renames(pending, refused)


def _why_not(
    model: ModelSpec, was: str, target: ModelState, spec: Spec, state: State, pending: Mapping[str, str]
) -> str:
    source = state.models.get(was) or ModelState(was)
    if was in spec.models:
        return f"{was} is still there: remove {spec.models[was].directory}, or the line `was: {was}`"
    if source.renamed:
        return f"{was} was renamed to {source.renamed}; write `was: {source.renamed}` to go on from there"
    if not source.records:
        near = get_close_matches(was, [name for name in state.models if name not in spec.models], 1)
        return f"nothing is recorded of {was}" + (f": did you mean {near[0]}?" if near else ": remove the line")
    if other := next((name for name, former in pending.items() if former == was), None):
        return f"{other} says that it was {was} too: only one can go on from there"
    if not can_take(target, source):
        return f"{model.name} has versions of its own, so that the two histories cannot be joined"
    return ""


def renamed_state(state: State, pending: Mapping[str, str]) -> State:
    """Return the state as it will be once the renames are recorded."""
    if not pending:
        return state
    models = dict(state.models)

    def state_of(name: str) -> ModelState:
        return models.get(name) or ModelState(name)

    for name, was in pending.items():
        record = Record("", Kind.RENAME, "", (), name, effect={"was": was})
        models |= states_after(state_of, record)
    return replace(state, models=models)


def with_renames(planned: tuple[Change, ...], spec: Spec, renames: Renames) -> tuple[Change, ...]:
    """Return the changes with what is to be renamed: first, before anything else is done with the model.

    What a refused rename would have taken over is not retired meanwhile.
    """
    if not renames.pending and not renames.refused:
        return planned
    return tuple(_with_renames(planned, spec, renames))


def _with_renames(planned: tuple[Change, ...], spec: Spec, renames: Renames) -> Iterator[Change]:
    waiting = {spec.models[name].was for name in renames.refused}
    for change in planned:
        if refused := renames.refused.get(change.model):
            yield Change(change.model, Category.BLOCKED, (refused,))
        elif was := renames.pending.get(change.model):
            yield _renamed(change, was, spec.models[change.model])
        elif change.category is not Category.RETIRE or change.model not in waiting:
            yield change


def _renamed(change: Change, was: str, model: ModelSpec) -> Change:
    if change.category is Category.BLOCKED:
        return change
    place = model.place("model", "was")
    reason = Reason("model.renamed", "name", was, change.model, place, "its history, versions and stages go on")
    category = Category.RENAME if change.category in {Category.NOOP, Category.HELD} else change.category
    return replace(change, category=category, reasons=(reason, *change.reasons), was=was)


def rename_record(
    record_id: str, name: str, was: str, states: tuple[ModelState, ModelState], source: Source, at: str
) -> Record | None:
    """Return the decision that gives all that is recorded of `was` to `name`; `states` are those of the two.

    None where it was made already, or cannot be made any more.
    """
    former, present = states
    if was in present.was or not can_take(present, former):
        return None
    versions = f", {len(former.versions)} version{'s' * (len(former.versions) != 1)}" if former.versions else ""
    subject = f"rename {was}: it is {name} now{versions}"
    trailers = (("Model", name), *source.trailers)
    effect = {"was": was, "at": at}
    return Record(record_id, Kind.RENAME, subject, trailers, name, effect=effect, notes=((source.commit, subject),))
