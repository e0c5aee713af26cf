"""Plan: from the specs of a revision and the ledger to the changes. Writes nothing, runs no code of the repository."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from custody.app.adopt import Trials
from custody.app.code import Code, closures, digests
from custody.app.project import CONFIG, Project
from custody.core.planner import Lookup, changes, plan_id
from custody.core.recording import last_entry
from custody.domain.plan import Category, Change, Plan
from custody.domain.ports import Read
from custody.domain.record import State
from custody.domain.spec import PROFILES, Spec
from custody.errors import UsageError
from custody.ledger.intents import Intents


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that it was made from, for apply."""

    plan: Plan
    spec: Spec
    state: State
    code: dict[str, Code]
    read: Read
    lookup: Lookup
    trials: Trials | None = None
    """Where results of trials may be taken over."""
    revision: str | None = None
    """What was read: a commit or a tree; None for the files of the working tree."""


def prepare(project: Project, revision: str | None, targets: Sequence[str] = ()) -> Prepared:
    """Plan a commit, a tree or the working tree (None), and return the plan with its ingredients.

    Only `targets` where any are given. Raises InvalidSpecError where the specs have errors, UsageError for an unknown
    target.
    """
    spec = project.load_valid(revision)
    trials = Trials(project, committed=True) if spec.config.adopt else None
    return prepare_spec(project, revision, spec, targets, trials)


def prepare_spec(
    project: Project, revision: str | None, spec: Spec, targets: Sequence[str], trials: Trials | None
) -> Prepared:
    """Plan `spec`, which was read from `revision`; what `trials` have is not planned to be done again."""
    worktree = project.worktree
    state = project.ledger.state()
    read = worktree.reader(revision)
    code = closures(spec, read)
    lookup = Lookup(project.store.watch(project.ledger.step), project.ledger.runs_with_key, project.store.has)
    lock = worktree.blob(revision, spec.config.lock) if spec.config.lock else None
    steps = trials.over(lookup) if trials else lookup
    planned = _targeted(
        changes(spec, state, digests(code, state, read, worktree.blob_bytes), lookup, lock), targets, spec, state
    )
    plan = Plan(
        id=plan_id(planned),
        changes=trials.adopt(planned, lookup) if trials else planned,
        spec_commit=revision if revision and worktree.is_commit(revision) else worktree.head(),
        branch=worktree.branch(),
        ledger_head=state.head,
        new_versions=_new_versions(spec, state, planned),
        dirty=relevant(worktree.dirty(), spec) if revision is None else (),
        warnings=spec.warnings
        + tuple(item for steps in code.values() for one in steps.values() for item in one.warnings),
        last=last_entry(next(iter(project.ledger.entries(limit=1)), None)),
        crashed=tuple(item.run_id for item in Intents(worktree.common_dir).abandoned() if not item.header.get("trial")),
    )
    return Prepared(plan, spec, state, code, read, steps, trials, revision)


def relevant(paths: Iterable[str], spec: Spec) -> tuple[str, ...]:
    """Return those of `paths` that a plan can depend on: specs, profiles, code, extensions and the config."""
    config = spec.config
    folders = (config.models, config.datasets, PROFILES, *config.extensions)
    roots = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    return tuple(
        path for path in paths if path == CONFIG or (path.startswith(roots) and path.endswith((".yaml", ".py")))
    )


def _targeted(planned: tuple[Change, ...], targets: Sequence[str], spec: Spec, state: State) -> tuple[Change, ...]:
    known: Collection[str] = {*spec.models, *state.models}
    for target in targets:
        if target not in known:
            raise UsageError(f"there is no model {target!r}", code="E601", help=("custody status",))
    return tuple(change for change in planned if not targets or change.model in targets)


def _new_versions(spec: Spec, state: State, planned: tuple[Change, ...]) -> tuple[str, ...]:
    """Committed versions that the ledger does not hold yet, of the datasets of the planned models.

    A version whose model is blocked is left alone: nothing of it will be read.
    """
    used = {change.model for change in planned if change.category is not Category.BLOCKED} & set(spec.models)
    names = {spec.models[name].dataset.name for name in used} & set(spec.datasets)
    labels = (f"{name}@{version}" for name in sorted(names) for version in spec.datasets[name].versions)
    return tuple(label for label in labels if label not in state.datasets)


def with_crashed_recorded(plan: Plan) -> Plan:
    """Return `plan` once its crashed runs are on the ledger."""
    return replace(plan, crashed=())
