"""Comment: what a reviewer of a pull request needs, as one value: the change, what it measures, what a merge will do.

Nothing is rendered here and nothing of the repository is executed: plans are pure, measurements are read from the
store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.app.base import BasePlan, plan_against
from custody.app.compare import Candidate, compare_runs, evaluation, find_candidate
from custody.app.judging import production_run
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.core.adoption import trials_of
from custody.core.choice import EVERYTHING, Choice
from custody.core.comparison import Comparison, Difference
from custody.core.gates import LOWER_IS_BETTER, NEARER_ZERO_IS_BETTER, drop, judge, limits_of
from custody.core.relaxed import Relaxed, relaxed
from custody.core.stages import serving
from custody.domain.plan import Category, Change, Estimate, Plan, Reason
from custody.domain.problem import Place, Problem
from custody.domain.record import ModelState, Run
from custody.domain.spec import ModelSpec, Spec
from custody.domain.verdict import GateResult
from custody.errors import InvalidSpecError


@dataclass(frozen=True, slots=True)
class Gate:
    """One judged limit and how narrowly: `margin` is the room left in the metric's unit, negative where it failed.

    `narrow` is whether the limit lies within the 95 % interval of what was measured.
    """

    result: GateResult
    margin: float | None
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class RelaxedGate:
    """A limit that this change loosens, and where it is written."""

    limit: Relaxed
    place: Place


@dataclass(frozen=True, slots=True)
class ModelComment:
    """One model of the change. `measured` is the run that shows what the change brings, where there is one."""

    change: Change
    reasons: tuple[Reason, ...]
    relaxed: tuple[RelaxedGate, ...] = ()
    measured: Candidate | None = None
    production: Run | None = None
    version: str | None = None
    next_version: str | None = None
    comparison: Comparison | None = None
    gates: tuple[Gate, ...] = ()
    estimate: Estimate | None = None
    dataset: str | None = None

    @property
    def passed(self) -> bool | None:
        """Whether its gates pass as declared in this change; None where nothing was measured."""
        if self.change.category is Category.HELD:
            return False
        return all(gate.result.passed for gate in self.gates) if self.measured else None

    @property
    def adopts(self) -> str | None:
        """The trial whose results a merge takes over, with which nothing is trained."""
        return next(iter(trials_of(self.change)), None)

    @property
    def moving(self) -> bool:
        """Whether a merge can change what this model answers."""
        return bool(self.change.moves or self.change.to_run or self.adopts)


@dataclass(frozen=True, slots=True)
class Comment:
    """The whole comment. `owed` is what the base itself has still to do: (model, category)."""

    plan: Plan
    models: tuple[ModelComment, ...] = ()
    base: str | None = None
    owed: tuple[tuple[str, Category], ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    unchanged: int = 0
    measured: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not self.models and not self.problems and not self.plan.new_versions

    @property
    def relaxed(self) -> int:
        """How many limits are loosened."""
        return sum(len(item.relaxed) for item in self.models)


@dataclass(frozen=True, slots=True)
class _Planned:
    """What is commented on: all that was planned for the head, of which `plan` is this change, and the base's specs."""

    plan: Plan
    head: Prepared
    owed: Mapping[str, Change]
    base: Spec | None = None


def make_comment(
    project: Project,
    *,
    base: str | None = None,
    revision: str | None = None,
    choice: Choice = EVERYTHING,
    measure: bool = True,
) -> Comment:
    """Return the comment for `revision` (None: the working tree) against `base` (None: against the ledger).

    Specs with errors give a comment that lists them. Raises GitError for a revision that is not here and UsageError
    for an unknown target.
    """
    worktree = project.worktree
    commit = worktree.commit(revision).id if revision else None
    try:
        planned = plan_against(project, base, commit, choice)
    except InvalidSpecError as error:
        plan = Plan("", (), commit or worktree.head(), worktree.branch(), project.ledger.head())
        return Comment(plan, problems=tuple(error.problems), measured=measure)
    return comment_on(project, planned, measure=measure)


def comment_on(project: Project, against: BasePlan | Prepared, *, measure: bool = True) -> Comment:
    """Return the comment on what was planned; without what runs measured where `measure` is false."""
    if isinstance(against, Prepared):
        shown = tuple(change for change in against.plan.changes if change.category is not Category.NOOP)
        return _comment(project, _Planned(replace(against.plan, changes=shown), against, {}), measure=measure)
    owed = {change.model: change for change in against.owed}
    planned = _Planned(against.plan, against.head, owed, project.load(against.base_commit)[0])
    said = _comment(project, planned, measure=measure)
    notes = [against.note] if against.note else []
    notes += [f"It takes back what the base owes of {', '.join(against.taken_back)}"] if against.taken_back else []
    return replace(said, base=against.base_commit, notes=tuple(notes))


def _comment(project: Project, planned: _Planned, *, measure: bool) -> Comment:
    models = tuple(_model(planned, change) for change in planned.plan.changes)
    if measure:
        models = tuple(_measured(project, planned.head, said) for said in models)
    rest = tuple((change.model, change.category) for change in planned.owed.values())
    unchanged = len(planned.head.plan.changes) - len(models)
    return Comment(planned.plan, models, None, rest, unchanged=unchanged, measured=measure)


def _model(planned: _Planned, change: Change) -> ModelComment:
    head, owed = planned.head, planned.owed.get(change.model)
    model = head.spec.models.get(change.model)
    state = head.state.models.get(change.model) or ModelState(change.model)
    known = {(item.code, item.subject, str(item.after)) for item in owed.reasons} if owed else set()
    own = tuple(item for item in change.reasons if (item.code, item.subject, str(item.after)) not in known)
    said = ModelComment(change, own or change.reasons, dataset=_dataset(head.spec, model), version=_version(state))
    if model is None:
        return said
    said = replace(said, relaxed=_relaxed(model, planned.base, state), next_version=f"v{len(state.versions) + 1}")
    return replace(said, estimate=planned.plan.estimates.get(change.model))


def _measured(project: Project, head: Prepared, said: ModelComment) -> ModelComment:
    name = said.change.model
    model, state = head.spec.models.get(name), head.state.models.get(name) or ModelState(name)
    if model is None or not said.change.steps:
        return said
    candidate = find_candidate(project, said.change)
    production = production_run(project.ledger, state)
    if candidate is None:
        return replace(said, production=production)
    limits = limits_of(model)
    # a run that is in production already is judged against itself by nothing
    other = production if production and production.id != candidate.run.id else None
    slices = {column: str(gate["metric"]) for column, gate in limits["slices"].items()}
    comparison = compare_runs(project, production, candidate.run, slices)
    facts = evaluation(candidate.run).facts
    verdict = judge(limits, facts, other.metrics if other else None, other.id if other else None)
    gates = tuple(_gate(item, comparison) for item in verdict.gates)
    return replace(said, measured=candidate, production=production, comparison=comparison, gates=gates)


def _gate(result: GateResult, comparison: Comparison) -> Gate:
    kind, value, limit = result.gate.rpartition(".")[2], result.value, result.limit
    if value is None:
        return Gate(result, None)
    found = _difference(result, comparison)
    if kind == "max_drop":
        if result.baseline is None:
            return Gate(result, None)
        return Gate(result, limit - drop(result.metric, result.baseline, value), _drop_narrow(found, limit))
    margin = limit - value if kind == "max" else value - limit
    near = found is not None and found.least is not None and found.most is not None
    narrow = near and kind in {"min", "max"} and found.least <= limit <= found.most  # type: ignore[union-attr,operator]
    return Gate(result, margin, bool(narrow))


def _drop_narrow(found: Difference | None, limit: float) -> bool:
    if found is None or found.low is None or found.high is None or found.metric in NEARER_ZERO_IS_BETTER:
        return False
    worst = (found.low, found.high) if found.metric in LOWER_IS_BETTER else (-found.high, -found.low)
    return worst[0] <= limit <= worst[1]


def _difference(result: GateResult, comparison: Comparison) -> Difference | None:
    if result.slice is None:
        return None if result.gate.startswith("slices.") else comparison.metric(result.metric)
    column = result.gate.removeprefix("slices.").rpartition(f".{result.metric}.")[0]
    found = (item for item in comparison.slices if (item.column, item.value) == (column, result.slice))
    return next((item.difference for item in found), None)


def _relaxed(model: ModelSpec, base: Spec | None, state: ModelState) -> tuple[RelaxedGate, ...]:
    """Compare with the base's spec; without a base with the limits that were judged last."""
    old: Mapping[str, Any]
    if base is not None:
        known = base.models.get(model.name)
        old = limits_of(known) if known else {}
    else:
        old = state.run.limits if state.run else {}
    return tuple(RelaxedGate(item, model.place("gates", item.path)) for item in relaxed(old, limits_of(model)))


def _dataset(spec: Spec, model: ModelSpec | None) -> str | None:
    manifest = spec.resolve(model.dataset) if model else None
    return f"{manifest.dataset}@{manifest.version}" if manifest else None


def _version(state: ModelState) -> str | None:
    pointer = serving(state)
    return pointer.version if pointer else None
