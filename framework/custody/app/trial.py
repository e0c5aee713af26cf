"""Trial: run what the working tree says, beside production and without touching it; recorded on its own branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Event as Cancel

from custody.app.adopt import COMMITTED, Trials
from custody.app.apply import engine_for
from custody.app.branch import require_ledger
from custody.app.conclusion import Conclusion
from custody.app.judging import judged_run, production_run
from custody.app.paths import relevant
from custody.app.plan import Prepared, prepare_spec
from custody.app.project import Project
from custody.app.recover import recover
from custody.app.trial_record import TrialRecorder, Tried
from custody.app.wave import wave_of
from custody.core.choice import Choice
from custody.domain.graph import Event, StepStatus
from custody.domain.plan import Category, Change, Plan
from custody.domain.ports import Shared
from custody.domain.record import Run
from custody.domain.spec import LOCAL_TRIALS, Spec
from custody.errors import CustodyError, UsageError
from custody.git.snapshot import snapshot
from custody.ledger.locks import apply_lock
from custody.spec.override import Setting, override, parse_settings

TRIED = {Category.NEW, Category.REBUILD, Category.RETRAIN, Category.REEVALUATE, Category.REGATE}


@dataclass(frozen=True, slots=True)
class TrialOptions:
    """How to try. `settings` are texts such as `train.max_depth=6`; `commit`: the commit, for adoption.

    `clean` is whether the working tree must be the commit's; else that is left alone. `alert` names the incident that
    asks for the trial, if one does.
    """

    targets: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    commit: bool = False
    jobs: int = 2
    engine: str = "inline"
    clean: bool = True
    alert: str = ""


@dataclass(frozen=True, slots=True)
class TriedModel:
    """What a trial measured of one model, beside the run in production.

    `run` is the trial, or the recorded run with the same inputs; None where nothing can be measured. `recorded` is
    whether a record was written now; `same_as` says where `run` came from otherwise. `ran` and `reused` are steps.
    """

    model: str
    category: Category
    run: Run | None = None
    production: Run | None = None
    recorded: bool = False
    same_as: str = ""
    commit: str | None = None
    note: str = ""
    reused: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One `custody try`: the plan, what was tried, and the models in order of name."""

    plan: Plan
    tried: Tried
    models: tuple[TriedModel, ...]
    branch: str
    cancelled: bool = False
    shared: Shared | None = None
    """What came of sharing, where trials of commits are shared; None where they stay in this clone."""


def try_models(
    project: Project, options: TrialOptions, progress: Callable[[Event], None], cancel: Cancel
) -> TrialResult:
    """Run the working tree as it is, or the clean commit, and record each run on the branch of trials.

    Raises UsageError, InvalidSpecError where the specs or settings have errors, CustodyError where the tree is not
    clean and the commit is asked for.
    """
    settings = parse_settings(options.settings)
    tree, committed = tree_to_try(project, options, settings)
    if committed and project.trials.remote:
        project.trials.fetch(first=bool(project.worktree.repository.shallow_boundary))
    require_ledger(project)
    recover(project)
    prepared = _prepare(project, options, tree, settings)
    tried = Tried(tree, committed, project.worktree.branch(), tuple(item.text for item in settings))
    recorder = TrialRecorder(project, prepared, tried)
    done = list(known_models(project, prepared, committed=committed))
    left = {change.model for change in prepared.plan.changes if change.category in TRIED} - {
        item.model for item in done
    }
    chosen = tuple(change for change in prepared.plan.changes if change.model in left)
    narrowed = replace(prepared, plan=replace(prepared.plan, changes=chosen))
    done += _run(project, narrowed, recorder, options, (progress, cancel))
    done.sort(key=lambda item: item.model)
    shared = project.trials.share() if committed and project.trials.remote else None
    return TrialResult(
        prepared.plan, tried, tuple(done), recorded_on(project, committed=committed), cancel.is_set(), shared
    )


def recorded_on(project: Project, *, committed: bool) -> str:
    """Return what `git log` knows the records by."""
    return project.config.trials if committed else LOCAL_TRIALS.removeprefix("refs/")


def tree_to_try(project: Project, options: TrialOptions, settings: Sequence[Setting]) -> tuple[str, bool]:
    """Return the tree to try, and whether it is kept as that of a commit."""
    head = project.worktree.head()
    if head is None:
        raise UsageError("there is no commit yet", code="E410", help=('git add -A && git commit -m "Add models"',))
    if options.commit and not options.clean:
        return str(project.worktree.tree_of(head)), True
    tree = snapshot(project.worktree.repository)
    if not options.commit:
        return tree, False
    if settings:
        raise UsageError(
            "--commit tries the commit as it is, and --set changes it",
            code="E431",
            help=("edit pipeline.yaml and commit, then custody try --commit",),
        )
    if tree != project.worktree.tree_of(head):
        dirty = project.worktree.dirty()
        named = ", ".join(dirty[:5]) or "files outside of the project"
        raise CustodyError(
            f"--commit tries the commit as it is, and the working tree differs from it: {named}",
            code="E411",
            help=(f"git add {' '.join(dirty[:5]) or '-A'} && git commit", "git stash --include-untracked"),
        )
    return tree, True


def _prepare(project: Project, options: TrialOptions, tree: str, settings: Sequence[Setting]) -> Prepared:
    """Plan the tree with its settings; results of any trial count, for a commit only those of commits."""
    spec = project.load_valid(tree)
    if settings:
        spec = override(spec, _set_models(spec, options.targets), settings, project.worktree.reader(tree))
    trials = Trials(project, committed=options.commit)
    choice = Choice(options.targets, waves=False, alert=options.alert)
    prepared = prepare_spec(project, tree, spec, choice, trials)
    dirty = () if options.commit else relevant(project.worktree.dirty(), spec)
    return replace(prepared, plan=replace(prepared.plan, dirty=dirty))


def _set_models(spec: Spec, targets: tuple[str, ...]) -> tuple[str, ...]:
    named = tuple(name for name in targets if name in spec.models)
    if not named and not targets and len(spec.models) > 1:
        first = next(iter(spec.models))
        raise UsageError(
            "--set needs the model that it is for", code="E430", help=(f"custody try {first} --set train.…=…",)
        )
    return named or tuple(spec.models)


def known_models(project: Project, prepared: Prepared, *, committed: bool) -> Iterator[TriedModel]:
    """Yield the models that need no new record: refused, unchanged, or tried before with the same verdict."""
    for change in prepared.plan.changes:
        production = (
            None
            if change.category is Category.BLOCKED
            else production_run(project.ledger, project.ledger.model(change.model))
        )
        if change.category is Category.BLOCKED:
            reason = change.reasons[0]
            yield TriedModel(change.model, change.category, note=f"{reason.subject}: {reason.note}")
        elif change.category is Category.RETIRE:
            yield TriedModel(change.model, change.category, None, production, note="its directory is gone")
        elif change.category not in TRIED:
            run = next((run for run in _recorded(project, change) if run.id == change.run), None)
            yield TriedModel(change.model, change.category, run, production, same_as=f"run {str(change.run)[:8]}")
        elif not change.to_run and (found := _earlier(project, prepared, change, committed=committed)):
            run, commit = found
            yield TriedModel(change.model, change.category, run, production, False, f"trial {run.id[:8]}", commit)


def _recorded(project: Project, change: Change) -> Iterator[Run]:
    key = change.steps[-1].key if change.steps else None
    return iter(project.ledger.runs_with_key(change.model, key) if key else ())


def _earlier(project: Project, prepared: Prepared, change: Change, *, committed: bool) -> tuple[Run, str] | None:
    """Return a trial of the same inputs on which the gates say today what they said then, and its commit."""
    for ledger in (project.trials,) if committed else project.all_trials:
        for run in ledger.runs_with_key(change.model, str(change.steps[-1].key)):
            entry = ledger.find_entry(run.id)
            if entry is None or not run.complete or (committed and entry.trailer("Trial") != COMMITTED):
                continue
            if judged_run(project.ledger, prepared.spec, replace(run, verdict=None)).verdict == run.verdict:
                return run, entry.commit
    return None


def _run(
    project: Project,
    prepared: Prepared,
    recorder: TrialRecorder,
    options: TrialOptions,
    watch: tuple[Callable[[Event], None], Cancel],
) -> list[TriedModel]:
    """Run the steps that are left and record each model as it ends."""
    progress, cancel = watch
    with ExitStack() as stack:
        wave = wave_of(project, prepared, recorder)
        known = [item for item in prepared.plan.changes if wave is None or item.model not in wave.changes]
        done = [tried_model(recorder, change, recorder.settle(change)) for change in known]
        if wave is None:
            return done
        stack.callback(wave.close)
        if options.engine != "inline":
            stack.enter_context(apply_lock(project.worktree.common_dir))
        engine = engine_for(project, options.engine, options.jobs)
        stack.enter_context(engine.session())
        for outcome in engine.execute(wave.graph, wave.steps, progress, cancel):
            change = wave.changes[outcome.model]
            done.append(tried_model(recorder, change, recorder.conclude(change, wave.runs[outcome.model], outcome)))
    return done


def tried_model(recorder: TrialRecorder, change: Change, conclusion: Conclusion) -> TriedModel:
    """Return what a trial that was recorded now measured, beside production."""
    run = conclusion.run
    steps = run.steps.values() if run else ()
    return TriedModel(
        change.model,
        change.category,
        run,
        recorder.production(change.model),
        recorded=True,
        commit=conclusion.commit,
        note=conclusion.note,
        reused=tuple(step.step for step in steps if step.status is StepStatus.REUSED),
        ran=tuple(step.step for step in steps if step.status is not StepStatus.REUSED),
    )
