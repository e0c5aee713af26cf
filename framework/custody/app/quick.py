"""`custody plan` without reading what did not change: the models that are recognised, and a plan of all others.

The plan is the one that `app/plan.py` makes of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from custody.app import configured
from custody.app.paths import relevant
from custody.app.project import Project
from custody.app.recognise import Recognised, recognise
from custody.app.recorded_steps import RecordedSteps
from custody.core.choice import EVERYTHING
from custody.core.recognition import Standing
from custody.core.recording import last_entry
from custody.digest import digest
from custody.domain.plan import Category, Change, Plan
from custody.domain.problem import Problem, Severity
from custody.domain.record import Entry, ModelState, State
from custody.domain.spec import ModelSpec, Spec
from custody.ledger.head import state_at_head
from custody.ledger.intents import Intents
from custody.ledger.reader import Models

_MANY = 200
"""Models beyond which all datasets are read: asking each for its own would cost as much."""


@dataclass(frozen=True, slots=True)
class Quick:
    """A plan, and what the specs say of the stages of each model."""

    plan: Plan
    stages: Mapping[str, Mapping[str, str]]


def quick_plan(project: Project, *, revision: str | None = None) -> Plan:
    """Plan as `quick` does, which raises the same."""
    return quick(project, revision=revision).plan


def quick(project: Project, *, revision: str | None = None) -> Quick:
    """Plan the working tree, or the commit `revision`, against the ledger.

    Raises InvalidSpecError where the specs have errors, LedgerError where a shared ledger was not fetched.
    """
    state, last = state_at_head(project.worktree.repository, project.config)
    seen = recognise(project, revision, state) if state.head else None
    if seen and seen.complete:
        configured.remember(project.state_dir, project.config_bytes, project.config)
        return Quick(_nothing(project, revision, state, seen, last), _stages(seen, {}))
    from custody.app.branch import require_ledger
    from custody.app.plan import prepare

    require_ledger(project)
    # where there are errors, all is read: their words tell of what else there is
    if seen and (rest := _rest(project, revision, state, seen)):
        return rest
    prepared = prepare(project, revision)
    return Quick(prepared.plan, _stages(None, prepared.spec.models))


def _stages(seen: Recognised | None, models: Mapping[str, ModelSpec]) -> dict[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {name: model.stages for name, model in models.items()}
    if seen:
        found |= {name: dict(item.stages) for name, item in seen.models.items() if item.standing is Standing.UNCHANGED}
    return found


def _nothing(project: Project, revision: str | None, state: State, seen: Recognised, last: Entry | None) -> Plan:
    """Return the plan where every model is recognised."""
    worktree = project.worktree
    if last is None:
        last = next(iter(project.ledger.entries(limit=1)), None)
    return Plan(
        id=digest([]),  # as `plan_id` of no change
        changes=tuple(_unchanged(project, seen)),
        spec_commit=revision if revision and worktree.is_commit(revision) else worktree.head(),
        branch=worktree.branch(),
        ledger_head=state.head,
        dirty=relevant(seen.ids.differing, Spec(project.config)),
        warnings=_warnings(seen, (), {}),
        last=last_entry(last),
        crashed=tuple(item.run_id for item in Intents(worktree.common_dir).abandoned() if not item.header.get("trial")),
    )


def _rest(project: Project, revision: str | None, state: State, seen: Recognised) -> Quick | None:
    """Plan what is not recognised, remember what came of it, and add what is.

    None where there are errors, or where a model reads another one or was called otherwise: their plans hang together.
    """
    from custody.app.adopt import Trials
    from custody.app.plan import Known, prepare_spec
    from custody.app.remember import remember

    seen.ids.hash_all()
    needed = _needed(project, revision, seen)
    spec, problems = project.load(revision, lambda under: _files(project, revision, seen, needed, under))
    if any(problem.severity is Severity.ERROR for problem in problems):
        return None
    if any(model.inputs or _to_rename(model, state) for model in spec.models.values()):
        return None
    trials = Trials(project, committed=True) if spec.config.adopt else None
    known = Known(_others(project, state, seen), seen.ids.differing)
    prepared = prepare_spec(project, revision, spec, EVERYTHING, trials, known)
    remember(project, prepared, seen, state)
    configured.remember(project.state_dir, project.config_bytes, project.config)
    sights = {
        name: tuple(item for one in steps.values() for item in one.warnings) for name, steps in prepared.code.items()
    }
    plan = prepared.plan
    together = sorted((*plan.changes, *_unchanged(project, seen)), key=lambda change: change.model)
    warnings = _warnings(seen, spec.warnings, sights)
    whole = replace(plan, changes=tuple(together), ledger_head=state.head, warnings=warnings)
    return Quick(whole, _stages(seen, spec.models))


def _to_rename(model: ModelSpec, state: State) -> bool:
    """Whether its former name is not on the record yet, or cannot be."""
    recorded = state.models.get(model.name)
    return model.was is not None and not (recorded and model.was in recorded.was)


def _unchanged(project: Project, seen: Recognised) -> Iterator[Change]:
    """Yield the changes of recognised models, whose steps are read from their last run if they are asked for."""
    recorded = cache(lambda: project.ledger.state())  # noqa: PLW0108 - no ledger is opened before it is asked

    def state_of(name: str) -> ModelState:
        return recorded().models[name]

    for name, finding in seen.models.items():
        if finding.standing is Standing.UNCHANGED:
            steps = RecordedSteps(partial(state_of, name))
            yield Change(name, Category.NOOP, (), steps, (), finding.run, annotations=finding.annotations)


def _others(project: Project, state: State, seen: Recognised) -> State:
    """Return what is recorded of the models that are not recognised."""
    if not isinstance(state.models, Models):
        return state
    # made first: through it comes what a partial clone left out
    _ = project.ledger
    return replace(state, models=state.models.without(seen.models))


def _needed(project: Project, revision: str | None, seen: Recognised) -> frozenset[str]:
    """Return the datasets that must be read: those not recognised, and those that the models to be planned name."""
    from custody.spec.peek import dataset_named

    config, read = project.config, project.worktree.reader(revision)
    stored = frozenset(name for name, folder in seen.ids.children(config.datasets).items() if folder)
    named: set[str] = set()
    for name in seen.others if len(seen.others) < _MANY else ():
        folder = f"{config.models}/{name}"
        if folder_is_there := seen.ids.children(folder):
            dataset = dataset_named(read, folder) if "data.yaml" in folder_is_there else None
            if dataset not in stored:
                return stored
            named.add(str(dataset))
    return stored if len(seen.others) >= _MANY else (stored - seen.datasets.keys()) | named


def _files(
    project: Project, revision: str | None, seen: Recognised, needed: frozenset[str], under: str
) -> Iterator[str]:
    """Yield the files below a folder of specs that are to be read, as `worktree.files` lists them."""
    config, worktree, ids = project.config, project.worktree, seen.ids
    wanted = {config.models: seen.others, config.datasets: needed}.get(under)
    if wanted is None:
        yield from worktree.files(revision, under)
        return
    for name, folder in sorted(ids.children(under).items()):
        path = f"{under}/{name}"
        if not folder:
            yield from (path,) if path not in ids.ignored and ids.file(path) else ()
        elif name in wanted and f"{path}/" not in ids.here:
            yield from worktree.files(revision, path)


def _warnings(
    seen: Recognised, found: Sequence[Problem], sights: Mapping[str, tuple[Problem, ...]]
) -> tuple[Problem, ...]:
    """Return the warnings of what was read and of what is recognised: of specs in order of place, then of code."""
    kept = [item for data in seen.datasets.values() for item in data.warnings]
    kept += [item for finding in seen.models.values() for item in finding.warnings]
    own = {name: finding.sights for name, finding in seen.models.items() if finding.sights}
    all_sights = sorted({**own, **sights}.items())
    specs = sorted(dict.fromkeys((*found, *kept)), key=lambda problem: problem.position)
    return (*specs, *(item for _, items in all_sights for item in items))
