"""Planning where the run of the spec as it stands is recorded: judge or score it again, move stages, or nothing."""

from __future__ import annotations

from custody.core.difference import input_reasons, limit_reasons
from custody.core.gates import judge
from custody.core.locked import environment_reason
from custody.core.reuse import forced, with_objects
from custody.core.stages import AUTO, moves, version_number
from custody.core.subject import Subject
from custody.digest import digest
from custody.domain.plan import MONITORING, Category, Change, Do, PlannedStep, Reason, StageMove
from custody.domain.problem import Place
from custody.domain.record import ModelState, Run, RunStatus
from custody.domain.spec import ModelSpec
from custody.domain.verdict import GateResult


def settled(subject: Subject, steps: tuple[PlannedStep, ...], run: Run) -> Change:
    """Plan for a spec whose run is recorded: judge again, move stages, note metadata and monitors, or nothing."""
    model, last = subject.model, subject.state.run
    differs = environment_reason(run, subject.lock)
    notes = (differs,) if differs else ()
    verdict = run.verdict
    described = subject.described(last or run)
    if verdict is None or verdict.limits != digest(subject.limits):
        reasons = limit_reasons(model, run.limits, subject.limits) + described
        if (unmeasured := _unmeasured(subject, run)) and (scored := _score(subject, steps, unmeasured + reasons)):
            return scored
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
        watched = any(reason.code in MONITORING for reason in described)
        category = Category.MONITOR if watched else Category.METADATA
        return Change(model.name, category, tuple(described), steps, (), run.id, annotations=notes)
    if passed is None:
        held = tuple(_gate_reason(model, gate) for gate in verdict.gates if not gate.passed)
        return Change(model.name, Category.HELD, held, steps, (), run.id, annotations=notes)
    return Change(model.name, Category.NOOP, (), steps, (), run.id, annotations=notes)


def _unmeasured(subject: Subject, run: Run) -> list[Reason]:
    """Return a reason for each metric that a gate names and that the stored evaluation was not asked for."""
    evaluate = run.steps.get("evaluate")
    facts = evaluate.output.facts if evaluate and evaluate.output else {}
    named = {gate.metric: f"metrics.{gate.metric}" for gate in subject.model.metrics}
    missing = {metric: path for metric, path in named.items() if metric not in facts.get("metrics", {})}
    for gate in subject.model.slices:
        slices = facts.get("slices", {}).get(gate.column, {}).values()
        if slices and not any(gate.metric in item for item in slices):
            missing.setdefault(gate.metric, f"slices.{gate.column}.metric")
    note = f"run {run.id[:8]} was not measured by it"
    return [
        Reason("metric.added", metric, place=subject.model.place("gates", path), note=note)
        for metric, path in missing.items()
    ]


def _score(subject: Subject, steps: tuple[PlannedStep, ...], reasons: list[Reason]) -> Change | None:
    """Plan to score the stored model; None where it is lost, since a limit trains nothing."""
    model, state = subject.model, subject.state
    again = tuple(with_objects(list(forced(steps, "evaluate")), subject.lookup.has))
    if any(step.step == "train" and step.do is not Do.REUSE for step in again):
        return None
    planned = moves(model, state, None, will_run=True)
    return Change(model.name, Category.REEVALUATE, tuple(reasons), again, planned, asked=subject.question)


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
        note = f"run {run.id[:8]} has these inputs and passed its gates" if model.stages.get(move.stage) == AUTO else ""
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
