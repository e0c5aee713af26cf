"""Plan: from the specs of a revision and the ledger to the changes. Writes nothing, runs no code of the repository."""

from __future__ import annotations

from dataclasses import dataclass

from custody.app.adopt import Trials
from custody.app.code import Code, closures, code_changes, digests
from custody.app.estimates import estimates
from custody.app.paths import relevant
from custody.app.project import Project
from custody.core.choice import EVERYTHING, Choice, closed, is_step
from custody.core.locked import Lock
from custody.core.planner import changes, plan_id
from custody.core.recording import last_entry
from custody.core.renames import renamed_state, renames_of, with_renames
from custody.core.subject import Lookup
from custody.core.versions import with_recorded
from custody.domain.graph import STEPS
from custody.domain.plan import Category, Change, Plan
from custody.domain.record import State
from custody.domain.revision import Read
from custody.domain.spec import Spec
from custody.errors import InvalidSpecError, UsageError
from custody.ledger.intents import Intents
from custody.spec.load import pinned_errors


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that it was made from, for apply."""

    plan: Plan
    spec: Spec
    state: State
    code: dict[str, Code]
    read: Read
    lookup: Lookup
    lock: Lock | None = None
    trials: Trials | None = None
    """Where results of trials may be taken over."""
    revision: str | None = None
    """What was read: a commit or a tree; None for the files of the working tree."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up before: what is recorded, and the files that differ from HEAD."""

    state: State
    differing: tuple[str, ...]


def prepare(project: Project, revision: str | None, choice: Choice = EVERYTHING) -> Prepared:
    """Plan a commit, a tree or the working tree (None), and return the plan with its ingredients.

    As far as `choice` takes its models. Raises InvalidSpecError where the specs have errors, UsageError for a choice
    that names what there is not.
    """
    spec = project.load_valid(revision)
    trials = Trials(project, committed=True) if spec.config.adopt else None
    return prepare_spec(project, revision, spec, choice, trials)


def prepare_spec(
    project: Project,
    revision: str | None,
    spec: Spec,
    choice: Choice,
    trials: Trials | None,
    known: Known | None = None,
) -> Prepared:
    """Plan `spec`, which was read from `revision`; what `trials` have is not planned to be done again.

    It is planned against what is recorded; what is `known` is not looked up again.
    """
    worktree = project.worktree
    recorded = known.state if known else project.ledger.state()
    renames = renames_of(spec, recorded)
    state = renamed_state(recorded, renames.pending)
    spec = with_recorded(spec, state.datasets)
    read = worktree.reader(revision)
    if errors := pinned_errors(spec, read):
        raise InvalidSpecError(errors, len(errors))
    code = closures(spec, read)
    lookup = Lookup(
        project.store.watch(project.ledger.step),
        lambda name, key: project.ledger.runs_with_key(renames.pending.get(name, name), key),
        project.store.has,
        code_changes(code, read, worktree.blob_bytes),
    )
    lock = _lock(project, revision, spec)
    steps = trials.over(lookup) if trials else lookup
    _known(choice, spec, state)
    choice = closed(choice, spec.models)
    own = digests(code, state, read, worktree.blob_bytes, spec.config.models)
    planned, others = choice.split(with_renames(changes(spec, state, own, lookup, lock, choice), spec, renames))
    adopted = trials.adopt(planned, lookup) if trials else planned
    plan = Plan(
        id=plan_id(planned),
        changes=adopted,
        spec_commit=revision if revision and worktree.is_commit(revision) else worktree.head(),
        branch=worktree.branch(),
        ledger_head=state.head,
        new_versions=_new_versions(spec, state, planned),
        dirty=relevant(known.differing if known else worktree.dirty(), spec) if revision is None else (),
        warnings=spec.warnings
        + tuple(item for steps in code.values() for one in steps.values() for item in one.warnings),
        last=last_entry(next(iter(project.ledger.entries(limit=1)), None)),
        crashed=tuple(item.run_id for item in Intents(worktree.common_dir).abandoned() if not item.header.get("trial")),
        estimates=estimates(project.ledger, adopted),
        left_out=tuple((change.model, change.category) for change in others),
    )
    return Prepared(plan, spec, state, code, read, steps, lock, trials, revision)


def _lock(project: Project, revision: str | None, spec: Spec) -> Lock | None:
    path, worktree = spec.config.lock, project.worktree
    blob = worktree.blob(revision, path) if path else None
    data = worktree.reader(revision)(path) if path and blob else None
    return Lock(path, blob, data, worktree.blob_bytes) if path and blob and data is not None else None


def _known(choice: Choice, spec: Spec, state: State) -> None:
    """Refuse, with UsageError, a choice that names what there is not."""
    for name in choice.named:
        if name not in spec.models and name not in state.models:
            raise UsageError(f"there is no model {name!r}", code="E601", help=("custody status",))
    for name, step in choice.replace.items():
        if not is_step(step):
            known = ", ".join(STEPS)
            raise UsageError(f"{name} has no step {step!r}: {known}", code="E602", help=(f"--replace {name}:train",))
        if name not in spec.models or not choice.takes(name):
            why = "its directory is gone" if name not in spec.models else "it is left out"
            raise UsageError(f"no step of {name} can be run again: {why}", code="E602", help=("custody plan",))


def _new_versions(spec: Spec, state: State, planned: tuple[Change, ...]) -> tuple[str, ...]:
    """Committed versions that the ledger does not hold yet, of the datasets of the planned models.

    A version whose model is blocked is left alone: nothing of it will be read.
    """
    used = {change.model for change in planned if change.category is not Category.BLOCKED} & set(spec.models)
    names = {spec.models[name].dataset.name for name in used} & set(spec.datasets)
    labels = (f"{name}@{version}" for name in sorted(names) for version in spec.datasets[name].versions)
    return tuple(label for label in labels if label not in state.datasets)
