"""Apply: make the recorded state what the specs declare. Reads top to bottom as the row of its phases."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from threading import Event as Cancel
from typing import Any

from custody.app.apply_result import Applied, AppliedModel
from custody.app.branch import require_ledger, serve
from custody.app.conclude import Recorder
from custody.app.conclusion import Conclusion
from custody.app.expect import expect_plan
from custody.app.origin import Origin
from custody.app.paths import relevant
from custody.app.plan import Prepared, prepare
from custody.app.project import Project
from custody.app.recover import recover
from custody.app.rename import record_renames
from custody.app.steps import PRELOAD
from custody.app.wave import Wave, wave_of
from custody.app.waves import Done, in_waves
from custody.app.who import source_behind
from custody.core.choice import EVERYTHING, Choice
from custody.core.recording import data_record
from custody.domain.graph import Event
from custody.domain.incident import Incident
from custody.domain.plan import Category, Change
from custody.domain.ports import Engine, Shared
from custody.domain.spec import Spec
from custody.errors import CustodyError, UsageError
from custody.git.transport import maintain
from custody.ledger.locks import apply_lock


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to apply. `expect` is the (start of the) id of the plan that was reviewed, timeouts are in seconds."""

    choice: Choice = EVERYTHING
    jobs: int = 2
    engine: str = "prefect"
    expect: str | None = None
    lock_timeout: float = 0.0
    share_timeout: float = 60.0


def apply(
    project: Project,
    options: ApplyOptions,
    progress: Callable[[Event], None],
    cancel: Cancel,
    say: Callable[[str], None] = lambda _: None,
) -> Applied:
    """Reconcile HEAD with the ledger and return what was done; every run is recorded as soon as its model ends.

    `progress` hears of every step, `say` of what takes long beside them (the first start of Prefect on a machine).

    Raises UsageError where there is no commit or the working tree differs in what is planned, InvalidSpecError,
    StalePlanError where the plan is not the expected one, LockedError where another apply runs in this clone.
    """
    start = time.monotonic()
    with apply_lock(project.worktree.common_dir, wait=options.lock_timeout):
        commit = _committed_head(project)
        serve(project, commit)
        online = _fetched(project)
        crashed = recover(project)
        prepared = prepare(project, commit, options.choice)
        if options.expect:
            expect_plan(project, prepared, options.expect, options.choice)
        recorder = Recorder(project, Origin(project, prepared))
        recorder.decisions.offline = not online
        asked = prepared.plan
        prepared, renamed = record_renames(project, prepared, recorder, options.choice)
        data: list[str] = []
        share = partial(recorder.decisions.share, options.share_timeout)
        with _engine(project, options, say) as engine:
            do = partial(_do, project, recorder, engine, (progress, cancel), data)
            done, idle = in_waves(project, prepared, recorder, do, share)
        ran = (*(run.model for run in crashed), *(change.model for change, conclusion in done if conclusion.judged))
        rewatched = tuple(change.model for change, _ in done if _rewatched(change))
        incidents = _incidents(project, prepared.spec, (*rewatched, *_alerting(prepared.spec, ran)), say)
        shared = share()
        models = [
            *(_applied(change, recorder.moves.told(conclusion)) for change, conclusion in done),
            *idle,
            *renamed,
        ]
        if done or data or renamed:
            maintain(project.worktree.repository)
    models.sort(key=lambda item: item.model)
    applied = Applied(asked, tuple(models), tuple(data), ledger_head=project.ledger.head(), cancelled=cancel.is_set())
    applied = replace(applied, incidents=incidents)
    return replace(applied, seconds=round(time.monotonic() - start, 3), **_sharing(shared, recorder))


def _do(
    project: Project,
    recorder: Recorder,
    engine: Callable[[], Engine],
    watch: tuple[Callable[[Event], None], Cancel],
    data: list[str],
    part: Prepared,
) -> Done:
    """Do one wave: what needs no step at once, the rest as its steps end. Dataset versions recorded go to `data`."""
    wave = wave_of(project, part, recorder)
    with closing(wave) if wave else nullcontext():
        running = engine() if wave else None
        data.extend(_record_data(project, part, recorder))
        done = [(change, recorder.settle(change)) for change in _pure(part, wave)]
        if running and wave:
            for outcome in running.execute(wave.graph, wave.steps, *watch):
                change = wave.changes[outcome.model]
                done.append((change, recorder.conclude(change, wave.runs[outcome.model], outcome)))
    return done


def _incidents(project: Project, spec: Spec, models: Sequence[str], say: Callable[[str], None]) -> tuple[Incident, ...]:
    """Record what changes in the incidents of models; that it fails stops no apply."""
    if not models:
        return ()
    from custody.app.incidents import update

    try:
        return update(project, spec, models)
    except CustodyError as error:
        say(f"incidents were not brought up to these runs: {error.message}")
        return ()


def _alerting(spec: Spec, ran: Sequence[str]) -> tuple[str, ...]:
    """Return those of the models that ran whose runs alert: they name a channel."""
    declared = {name: spec.models[name].monitors for name in ran if name in spec.models}
    return tuple(name for name, monitors in declared.items() if monitors and monitors.alert.channels)


def _rewatched(change: Change) -> bool:
    return any(reason.code.startswith("monitor") for reason in change.reasons)


def _fetched(project: Project) -> bool:
    """Fetch the shared ledger; whether its remote was reached, or there is none. Where it is not here: LedgerError."""
    if project.ledger.remote is None:
        return True
    shallow = bool(project.worktree.repository.shallow_boundary)
    offline = project.ledger.fetch(first=shallow).offline
    if offline:
        require_ledger(project)
    elif project.config.adopt:
        project.trials.fetch(first=shallow)
    return not offline


def _sharing(shared: Shared, recorder: Recorder) -> dict[str, Any]:
    """Return what an apply says of sharing."""
    if shared.landed:
        return {"unshared_reason": "", "share_note": shared.reason, "left_out": shared.left_out}
    pending = tuple(f"{entry.subject} ({entry.commit[:7]})" for entry in shared.pending)
    told = {"pending": pending, "undecided": recorder.decisions.waiting, "unshared_reason": shared.reason}
    return told | {"left_out": shared.left_out}


def _committed_head(project: Project) -> str:
    """Return HEAD; apply works from the commit, so what it would plan must be committed."""
    commit = project.worktree.head()
    if commit is None:
        raise UsageError("there is no commit yet", code="E410", help=('git add -A && git commit -m "Add models"',))
    dirty = relevant(project.worktree.dirty(), project.load(commit)[0])
    if dirty:
        named = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")  # noqa: PLR2004
        raise CustodyError(
            f"apply works from the commit, and the working tree differs from it: {named}",
            code="E411",
            help=(
                f"git add {' '.join(dirty[:5])} && git commit",
                "custody plan   shows what the edit would do",
                "custody try    measures it as it is",
            ),
        )
    return commit


@contextmanager
def _engine(project: Project, options: ApplyOptions, say: Callable[[str], None]) -> Iterator[Callable[[], Engine]]:
    """Yield what starts the engine, in the background, when it is first asked for; nothing of it is imported before."""
    with ExitStack() as stack:

        @cache
        def engine() -> Engine:
            made = engine_for(project, options.engine, options.jobs, say)
            stack.enter_context(made.session())
            return made

        yield engine


def engine_for(
    project: Project,
    name: str,
    jobs: int,
    say: Callable[[str], None] = lambda _: None,
    *,
    flow: str = "apply",
    preload: tuple[str, ...] = PRELOAD,
) -> Engine:
    """Return the engine called `name`, for `jobs` steps at a time; `say` hears of a slow first start.

    `flow` is what its runs are called, where they are shown; `preload` what its processes find imported.
    """
    if name == "inline":
        from custody.engine.inline import InlineEngine

        return InlineEngine(jobs, project.state_dir, preload=preload)
    from custody.engine.prefect import PrefectEngine

    made = PrefectEngine(jobs, project.state_dir, preload=preload, say=say)
    made.flow = flow
    return made


def _record_data(project: Project, prepared: Prepared, recorder: Recorder) -> Iterator[str]:
    for label in prepared.plan.new_versions:
        name, _, version = label.partition("@")
        dataset = prepared.spec.datasets[name]
        manifest = dataset.versions[version]
        path = f"{project.config.datasets}/{name}/versions/{version}.yaml"
        source = source_behind(project, recorder.origin.source, (path,))
        record = data_record(secrets.token_hex(8), manifest, source, project.now(), dataset.classification)
        project.ledger.append(record)
        yield label


def _pure(prepared: Prepared, wave: Wave | None) -> Iterator[Change]:
    """Yield the changes that need no step process: decisions, verdicts, metadata, refusals, runs with all known."""
    for change in prepared.plan.changes:
        if (change.active or change.category is Category.BLOCKED) and not (wave and change.model in wave.changes):
            yield change


def _applied(change: Change, conclusion: Conclusion) -> AppliedModel:
    steps = conclusion.run.steps.values() if conclusion.run and conclusion.ran else ()
    return AppliedModel(
        change.model,
        change.category,
        conclusion.run,
        conclusion.run.status if conclusion.run else None,
        conclusion.promoted,
        conclusion.registered,
        conclusion.commit,
        conclusion.note,
        tuple(step.step for step in steps if step.status == "reused"),
        tuple(step.step for step in steps if step.status != "reused"),
    )
