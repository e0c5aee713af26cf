"""The planner: from Spec and State to the changes of every model, cheapest sufficient work first.

Pure: what is recorded beyond State (results by key) comes through `Lookup`, code as closures by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.core.attempts import failed_before, held
from custody.core.choice import EVERYTHING, Choice
from custody.core.difference import input_reasons, limit_reasons, step_place, unfinished_reason
from custody.core.holds import with_holds
from custody.core.keys import step_inputs
from custody.core.locked import Lock, environment_input
from custody.core.reuse import forced, resolve, with_objects
from custody.core.settled import settled
from custody.core.stages import AUTO, NONE, moves, pinned_run
from custody.core.subject import Lookup, Subject
from custody.core.upstream import arrivals, in_order, missing_reason, read_by, reading, waiting
from custody.core.versions import manifest_differences
from custody.digest import digest
from custody.domain.plan import Category, Change, Do, PlannedStep, Reason, StageMove
from custody.domain.problem import Place
from custody.domain.record import ModelState, Run, RunStatus, State
from custody.domain.spec import MONITORS, DatasetSpec, Manifest, ModelSpec, Spec

_CATEGORY_OF = {
    "fetch": Category.REBUILD,
    "validate": Category.REEVALUATE,
    "split": Category.REBUILD,
    "prepare": Category.REBUILD,
    "train": Category.RETRAIN,
    "evaluate": Category.REEVALUATE,
}


def changes(
    spec: Spec,
    state: State,
    code: Mapping[str, Mapping[str, str | None]],
    lookup: Lookup,
    lock: Lock | None = None,
    choice: Choice = EVERYTHING,
) -> tuple[Change, ...]:
    """Return one change for every declared or recorded model, by name; `choice` only tells which steps to run again.

    `code` maps a model to the closure digests of its own steps. Models whose dataset version is missing are not
    planned: `check` refuses them before.
    """
    arriving: dict[str, frozenset[str]] = {}
    planned: list[Change | None] = []
    context = _Context(spec, state, code, lookup, lock, choice)
    for name in in_order(spec.models):
        change = _plan_model(context, name, arriving)
        arriving[name] = arrivals(change) if choice.waves and choice.takes(name) else frozenset()
        planned.append(read_by(spec.models, change) if change else None)
    gone = [item for name, item in state.models.items() if name not in spec.models and not item.retired]
    retired = [_retire(item, f"{spec.config.models}/{item.name}/model.yaml") for item in gone]
    return tuple(sorted((change for change in (*planned, *retired) if change), key=lambda change: change.model))


def plan_id(planned: Iterable[Change]) -> str:
    """Return the digest of what the touched models' changes mean; places, notes and the ledger's head are not part."""
    return digest([meaning(change) for change in planned if change.category is not Category.NOOP])


@dataclass(frozen=True, slots=True)
class _Context:
    """What all models are planned from; see `changes`."""

    spec: Spec
    state: State
    code: Mapping[str, Mapping[str, str | None]]
    lookup: Lookup
    lock: Lock | None
    choice: Choice


def _plan_model(context: _Context, name: str, arriving: Mapping[str, frozenset[str]]) -> Change | None:
    spec, state, lookup, choice = context.spec, context.state, context.lookup, context.choice
    model = spec.models[name]
    dataset, manifest = spec.datasets.get(model.dataset.name), spec.resolve(model.dataset)
    if dataset is None or manifest is None:
        return None
    refused = _refusal(model, dataset, manifest, state)
    if refused:
        return Change(name, Category.BLOCKED, (refused,))
    recorded = state.models.get(name) or ModelState(name)
    read = reading(model, state, arriving)
    if read.missing:
        return Change(name, Category.BLOCKED, tuple(missing_reason(model, column) for column in read.missing))
    environment = environment_input(model, recorded.run, context.lock)
    code = context.code.get(name, {})
    inputs = step_inputs(model, dataset, manifest, code, environment, read.now(model.inputs))
    again = choice.replace.get(name)
    asked = (again, choice.reason, choice.alert)
    subject = Subject(model, dataset, manifest, recorded, inputs, lookup, context.lock, *asked)
    resolved = tuple(resolve(subject))
    resolved = forced(resolved, again) if again else resolved
    steps = tuple(with_objects(list(resolved), lookup.has))
    unsettled = recorded.retired or any(step.do is not Do.REUSE for step in steps)
    run = None if unsettled else _recorded_run(subject, steps)
    change = _work(subject, steps) if run is None else settled(subject, steps, run)
    change = replace(with_holds(model, recorded, change), inputs=read.found)
    return waiting(model, change, read) if read.pending else change


def _refusal(model: ModelSpec, dataset: DatasetSpec, manifest: Manifest, state: State) -> Reason | None:
    if model.purpose not in dataset.purposes:
        allowed = ", ".join(dataset.purposes)
        return Reason(
            "purpose.refused",
            f"purpose {model.purpose}",
            place=model.place("model", "purpose"),
            note=f"{dataset.name} may be used for {allowed} ({dataset.document.place('purposes')})",
        )
    if unknown := _unknown_stage(model, state.models.get(model.name)):
        return unknown
    recorded = state.datasets.get(f"{manifest.dataset}@{manifest.version}")
    return _edited(manifest, recorded) if recorded else None


def _edited(manifest: Manifest, recorded: Mapping[str, Any]) -> Reason | None:
    """Say what of a version's file is not as it was recorded."""
    wrong = manifest_differences(manifest, recorded)
    if not wrong:
        return None
    place = manifest.document.place(wrong[0]) if manifest.document else None
    told = {"logical": (str(recorded.get("logical"))[:12], manifest.logical[:12])}
    before, after = (told | {"rows": (recorded.get("rows"), manifest.rows)}).get(wrong[0], (None, None))
    note = f"in {', '.join(wrong)}: a recorded version never changes; add a new one"
    return Reason("version.edited", f"{manifest.dataset}@{manifest.version}", before, after, place, note)


def _unknown_stage(model: ModelSpec, state: ModelState | None) -> Reason | None:
    known = state or ModelState(model.name)
    for stage, declared in model.stages.items():
        if declared not in {AUTO, NONE} and pinned_run(declared, known) is None:
            versions = ", ".join(known.versions) or "no version yet"
            place = model.place("model", f"stages.{stage}")
            return Reason("stage.unknown", f"{stage} {declared}", place=place, note=f"the ledger has {versions}")
    return None


def _recorded_run(subject: Subject, steps: tuple[PlannedStep, ...]) -> Run | None:
    """Return the run of the spec as it stands, complete and judged, the first there is of these.

    Under the limits: the one that a stage points to, the last run, one whose gates passed, any; then the newest of all.
    Two jobs may have run the same: what the first of them brought to a stage stays there.
    """
    key = steps[-1].key
    last, pointed = subject.state.run, {pointer.run for pointer in subject.state.stages.values()}
    limits = digest(subject.limits)
    found = bool(last and last.complete and last.key == key and last.verdict and last.verdict.limits == limits)
    if last and found and (last.id in pointed or not pointed):
        return last
    runs = [run for run in subject.lookup.runs(subject.model.name, str(key)) if run.complete and run.verdict]
    judged = [run for run in runs if run.verdict and run.verdict.limits == limits]
    passed = [run for run in judged if run.status is RunStatus.PASSED]
    standing = next((run for run in passed if run.id in pointed), None)
    return standing or (last if found else next(iter(passed or judged or runs), None))


def _work(subject: Subject, steps: tuple[PlannedStep, ...]) -> Change:
    """Plan a run: something must be run, or all is known and no run was recorded yet; or hold it, where that failed."""
    model, state, last = subject.model, subject.state, subject.state.run
    question = subject.question
    if last and not state.retired and not subject.again and (stopped := held(model, last, question)):
        return stopped
    reasons = tuple(_work_reasons(subject, steps)) or (
        Reason("run.missing", "no recorded run has these inputs", place=model.place("model")),
    )
    fresh = last is None or state.retired or (not last.complete and not state.versions)
    planned = moves(model, state, None, will_run=True)
    category = Category.NEW if fresh else _category(steps)
    failed = failed_before(last, question)
    return Change(model.name, category, reasons, steps, planned, asked=question, failed=failed)


def _category(steps: tuple[PlannedStep, ...]) -> Category:
    """Return what the first step costs that has no result; one whose result was lost counts where it trains."""
    first = next((step.step for step in steps if step.do is not Do.REUSE and _costs(step)), "evaluate")
    return _CATEGORY_OF[first]


def _costs(step: PlannedStep) -> bool:
    return step.known is None or step.step == "train"


def _work_reasons(subject: Subject, steps: tuple[PlannedStep, ...]) -> Iterator[Reason]:
    model, last = subject.model, subject.state.run
    if subject.again:
        yield Reason("forced", subject.again, place=step_place(model, subject.again), note=subject.why)
    if subject.alert:
        yield Reason("alert", subject.alert, place=model.place(MONITORS, "on_alert"))
    if last is None:
        yield Reason("never-run", "no run is recorded", place=model.place("model"))
    else:
        if unfinished := unfinished_reason(model, last):
            yield unfinished
        if subject.state.retired:
            yield Reason("model.returned", "its directory is back", place=model.place("model"))
        yield from input_reasons(subject.against(last), subject.inputs)
        yield from limit_reasons(model, last.limits, subject.limits) if last.limits else ()
        yield from subject.described(last)
    for step in steps:
        if step.do is not Do.REUSE and step.known:
            note = "it is not in the store, and a later step needs it"
            yield Reason("store.missing", f"result of {step.step}", place=step_place(model, step.step), note=note)


def _retire(state: ModelState, path: str) -> Change:
    """`path` is where its spec was."""
    reason = Reason("model.removed", "its directory is gone; records and versions stay", place=Place(path, 1, 1))
    cleared = tuple(StageMove(stage, pointer.run, None, cleared=True) for stage, pointer in state.stages.items())
    return Change(state.name, Category.RETIRE, (reason,), moves=cleared, run=state.run.id if state.run else None)


def meaning(change: Change) -> dict[str, Any]:
    """Return what a change means for the id of its plan: no places, notes, or results that are found already."""
    return {
        "model": change.model,
        "category": change.category.word,
        "steps": {step.step: step.inputs for step in change.steps},
        "moves": [
            [move.stage, move.before, move.run, move.cleared, *([move.releases] if move.releases else [])]
            for move in change.moves
        ],
        "reasons": [[reason.code, reason.subject, reason.before, reason.after] for reason in change.reasons],
        "run": change.run,
    }
