"""The planner: from Spec and State to the changes of every model, cheapest sufficient work first.

Pure: what is recorded beyond State (results by key) comes through `Lookup`, code as closures by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.core.difference import (
    Comparison,
    input_reasons,
    limit_reasons,
    metadata_of,
    metadata_reasons,
    unfinished_reason,
)
from custody.core.gates import judge, limits_of
from custody.core.holds import with_holds
from custody.core.keys import UPSTREAM, step_inputs, step_key
from custody.core.stages import AUTO, NONE, moves, pinned_run, version_number
from custody.digest import digest
from custody.domain.graph import STEPS, StepRecord, StepStatus
from custody.domain.plan import Category, Change, Do, PlannedStep, Reason, StageMove
from custody.domain.problem import Place
from custody.domain.record import GateResult, ModelState, Run, RunStatus, State
from custody.domain.spec import DatasetSpec, Manifest, ModelSpec, Spec

_CATEGORY_OF = {
    "fetch": Category.REBUILD,
    "validate": Category.REEVALUATE,
    "split": Category.REBUILD,
    "prepare": Category.REBUILD,
    "train": Category.RETRAIN,
    "evaluate": Category.REEVALUATE,
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the planner asks of the record and the store; see the ports Ledger and Store."""

    step: Callable[[str], tuple[str, StepRecord] | None]
    runs: Callable[[str, str], Iterable[Run]]
    has: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Subject:
    """One declared model with all that its plan depends on."""

    model: ModelSpec
    dataset: DatasetSpec
    manifest: Manifest
    state: ModelState
    inputs: Mapping[str, Mapping[str, Any]]
    lookup: Lookup

    @property
    def limits(self) -> dict[str, Any]:
        return limits_of(self.model)

    @property
    def metadata(self) -> dict[str, Any]:
        return metadata_of(self.model, self.manifest)

    def against(self, run: Run) -> Comparison:
        """Return the pair to compare."""
        return Comparison(self.model, self.dataset, self.manifest, run)


def changes(
    spec: Spec, state: State, code: Mapping[str, Mapping[str, str | None]], lookup: Lookup, lock: str | None = None
) -> tuple[Change, ...]:
    """Return one change for every declared or recorded model, by name.

    `code` maps a model to the closure digests of its own steps; `lock` is the blob id of the lock file.
    Models whose dataset version is missing are not planned: `check` refuses them before.
    """
    planned = [_plan_model(spec, name, state, code.get(name, {}), lookup, lock) for name in spec.models]
    retired = [_retire(item) for name, item in state.models.items() if name not in spec.models and not item.retired]
    return tuple(sorted((change for change in (*planned, *retired) if change), key=lambda change: change.model))


def plan_id(planned: Iterable[Change]) -> str:
    """Return the digest of what the touched models' changes mean; places, notes and the ledger's head are not part."""
    return digest([meaning(change) for change in planned if change.category is not Category.NOOP])


def _plan_model(
    spec: Spec, name: str, state: State, code: Mapping[str, str | None], lookup: Lookup, lock: str | None
) -> Change | None:
    model = spec.models[name]
    dataset, manifest = spec.datasets.get(model.dataset.name), spec.resolve(model.dataset)
    if dataset is None or manifest is None:
        return None
    refused = _refusal(model, dataset, manifest, state)
    if refused:
        return Change(name, Category.BLOCKED, (refused,))
    inputs = step_inputs(model, dataset, manifest, code)
    recorded = state.models.get(name) or ModelState(name)
    subject = Subject(model, dataset, manifest, recorded, inputs, lookup)
    steps = tuple(with_objects(list(_resolve(subject)), lookup.has))
    unsettled = recorded.retired or any(step.do is not Do.REUSE for step in steps)
    run = None if unsettled else _recorded_run(subject, steps)
    change = _work(subject, steps) if run is None else _settled(subject, steps, run, lock)
    return with_holds(model, recorded, change)


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
    if recorded and recorded.get("logical") != manifest.logical:
        place = manifest.document.place("logical") if manifest.document else None
        before, after = str(recorded.get("logical"))[:12], manifest.logical[:12]
        note = "a recorded version never changes; add a new one"
        return Reason("version.edited", f"{manifest.dataset}@{manifest.version}", before, after, place, note)
    return None


def _unknown_stage(model: ModelSpec, state: ModelState | None) -> Reason | None:
    known = state or ModelState(model.name)
    for stage, declared in model.stages.items():
        if declared not in {AUTO, NONE} and pinned_run(declared, known) is None:
            versions = ", ".join(known.versions) or "no version yet"
            place = model.place("model", f"stages.{stage}")
            return Reason("stage.unknown", f"{stage} {declared}", place=place, note=f"the ledger has {versions}")
    return None


def _resolve(subject: Subject) -> Iterator[PlannedStep]:
    """Yield each step with the result that its key already has, as far as the outputs before it are known."""
    outputs: dict[str, str] = {}
    for step in STEPS:
        inputs, roles = subject.inputs[step], UPSTREAM[step]
        if any(maker not in outputs for maker in roles.values()):
            yield PlannedStep(step, Do.MAYBE if step != "evaluate" else Do.RUN, inputs)
            continue
        key = step_key(step, inputs, {role: outputs[maker] for role, maker in roles.items()})
        known = _known(subject, step, key)
        if known and known.output:
            outputs[step] = known.output.ref.digest
        yield PlannedStep(step, Do.REUSE if known else Do.RUN, inputs, key, known)


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


def _recorded_run(subject: Subject, steps: tuple[PlannedStep, ...]) -> Run | None:
    """Return the newest complete run of the spec as it stands; one whose gates passed under the limits first."""
    key = steps[-1].key
    last = subject.state.run
    limits = digest(subject.limits)
    if last and last.complete and last.key == key and last.verdict and last.verdict.limits == limits:
        return last
    runs = [run for run in subject.lookup.runs(subject.model.name, str(key)) if run.complete and run.verdict]
    judged = [run for run in runs if run.verdict and run.verdict.limits == limits]
    return next((run for run in judged if run.status is RunStatus.PASSED), None) or next(iter(judged or runs), None)


def _work(subject: Subject, steps: tuple[PlannedStep, ...]) -> Change:
    """Plan a run: something must be run, or all is known and no run was recorded yet."""
    model, last = subject.model, subject.state.run
    reasons: list[Reason] = []
    if last is None:
        reasons.append(Reason("never-run", "no run is recorded", place=model.place("model")))
    else:
        unfinished = unfinished_reason(last)
        reasons += [unfinished] if unfinished else []
        if subject.state.retired:
            reasons.append(Reason("model.returned", "its directory is back", place=model.place("model")))
        reasons += input_reasons(subject.against(last), subject.inputs)
        reasons += limit_reasons(model, last.limits, subject.limits) if last.limits else []
        reasons += metadata_reasons(model, last.metadata, subject.metadata)
    if not reasons:
        reasons.append(Reason("run.missing", "no recorded run has these inputs", place=model.place("model")))
    first = next((step.step for step in steps if step.do is not Do.REUSE and step.known is None), None)
    fresh = last is None or subject.state.retired or (not last.complete and not subject.state.versions)
    category = Category.NEW if fresh else _CATEGORY_OF.get(first or "", Category.REEVALUATE)
    planned = moves(model, subject.state, None, will_run=True)
    return Change(model.name, category, tuple(reasons), steps, planned)


def _settled(subject: Subject, steps: tuple[PlannedStep, ...], run: Run, lock: str | None) -> Change:
    """Plan for a spec whose run is recorded: judge again, move stages, note metadata, or nothing."""
    model, last = subject.model, subject.state.run
    notes = _environment(run, lock)
    verdict = run.verdict
    described = metadata_reasons(model, (last or run).metadata, subject.metadata)
    if verdict is None or verdict.limits != digest(subject.limits):
        reasons = limit_reasons(model, run.limits, subject.limits) + described
        planned = moves(model, subject.state, run.id, will_run=False)
        likely = _forecast(subject, run)
        return Change(model.name, Category.REGATE, tuple(reasons), steps, planned, run.id, likely, notes)
    passed = run.id if run.status is RunStatus.PASSED else None
    planned = moves(model, subject.state, passed, will_run=False)
    if planned:
        reasons = _stage_reasons(subject, planned, run) + described
        category = _direction(subject.state, planned)
        return Change(model.name, category, tuple(reasons), steps, planned, run.id, annotations=notes)
    if described:
        return Change(model.name, Category.METADATA, tuple(described), steps, (), run.id, annotations=notes)
    if passed is None:
        held = tuple(_gate_reason(model, gate) for gate in verdict.gates if not gate.passed)
        return Change(model.name, Category.HELD, held, steps, (), run.id, annotations=notes)
    return Change(model.name, Category.NOOP, (), steps, (), run.id, annotations=notes)


def _forecast(subject: Subject, run: Run) -> tuple[str, ...]:
    """Say how the stored evaluation would be judged; `max_drop` as far as production is the last run."""
    evaluate = run.steps.get("evaluate")
    last = subject.state.run
    live = any(last and pointer.run == last.id for pointer in subject.state.stages.values())
    facts = evaluate.output.facts if evaluate and evaluate.output else {}
    verdict = judge(subject.limits, facts, last.metrics if last and live else None)
    failing = ", ".join(gate.gate for gate in verdict.gates if not gate.passed)
    return (f"stored evaluation: {verdict.count} gates would pass" + (f" (not {failing})" if failing else ""),)


def _stage_reasons(subject: Subject, planned: tuple[StageMove, ...], run: Run) -> list[Reason]:
    model, last = subject.model, subject.state.run
    reasons = []
    if last is not None and last.id != run.id:
        reasons += input_reasons(subject.against(last), subject.inputs)
        reasons += limit_reasons(model, last.limits, subject.limits)
    for move in planned:
        after = "nothing" if move.cleared else move.version or f"run {(move.run or run.id)[:8]}"
        before = next((item.version for item in subject.state.versions.values() if item.run == move.before), None)
        place = model.place("model", f"stages.{move.stage}")
        if move.releases:
            named = ", ".join(record[:8] for record in move.releases)
            reasons.append(
                Reason("hold.released", f"{move.stage} is pinned to {after}: hold {named} ends", place=place)
            )
            continue
        note = f"run {run.id[:8]} has these inputs and passed its gates" if model.stages[move.stage] == "auto" else ""
        reasons.append(Reason("stage.changed", move.stage, before, after, place, note))
    return reasons


def _direction(state: ModelState, planned: tuple[StageMove, ...]) -> Category:
    """A stage that goes to an older version rolls back; all else promotes."""
    for move in planned:
        before = state.version_of(move.before) if move.before else None
        if move.cleared or (move.version and version_number(move.version) < version_number(before)):
            return Category.ROLLBACK
    return Category.PROMOTE


def _gate_reason(model: ModelSpec, gate: GateResult) -> Reason:
    """Say which limit a held run did not keep: `before` is the limit, `after` what was measured."""
    than = f"worse than {gate.baseline:.6g} by more than the limit" if gate.baseline is not None else ""
    note = "; ".join(filter(None, (f"slice {gate.slice}" if gate.slice else "", than, gate.note)))
    return Reason("gate.failed", gate.gate, gate.limit, gate.value, _gate_place(model, gate.gate), note)


def _gate_place(model: ModelSpec, gate: str) -> Place:
    """`roc_auc.min` and `slices.gender.selection_rate.min_ratio` as they stand in gates.yaml."""
    parts = gate.split(".")
    dotted = f"slices.{parts[1]}.{parts[-1]}" if parts[0] == "slices" else f"metrics.{gate}"
    return model.place("gates", dotted)


def _environment(run: Run, lock: str | None) -> tuple[Reason, ...]:
    before = run.environment.get("lock")
    if not lock or not before or before == lock:
        return ()
    return (Reason("environment.changed", "lock file", before[:8], lock[:8], note=f"since run {run.id[:8]}"),)


def _retire(state: ModelState) -> Change:
    place = None
    reason = Reason("model.removed", "its directory is gone; records and versions stay", place=place)
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
