"""Apply: make the recorded state what the specs declare. Reads top to bottom as the row of its phases."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event as Cancel

from custody.app.apply_result import Applied, AppliedModel
from custody.app.conclude import Conclusion, Recorder
from custody.app.plan import Prepared, prepare, relevant
from custody.app.project import Project
from custody.app.recover import recover
from custody.app.steps import PRELOAD
from custody.app.wave import Wave, wave_of
from custody.core.recording import data_record
from custody.domain.graph import Event
from custody.domain.plan import Category, Change
from custody.domain.ports import Engine
from custody.errors import CustodyError, StalePlanError, UsageError
from custody.git.transport import maintain
from custody.ledger.locks import apply_lock


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to apply. `expect` is the (start of the) id of the plan that was reviewed, `lock_timeout` is in seconds."""

    targets: tuple[str, ...] = ()
    jobs: int = 2
    engine: str = "prefect"
    expect: str | None = None
    lock_timeout: float = 0.0


def apply(project: Project, options: ApplyOptions, progress: Callable[[Event], None], cancel: Cancel) -> Applied:
    """Reconcile HEAD with the ledger and return what was done; every run is recorded as soon as its model ends.

    Raises UsageError where there is no commit or the working tree differs in what is planned, InvalidSpecError,
    StalePlanError where the plan is not the expected one, LockedError where another apply runs in this clone.
    """
    start = time.monotonic()
    with apply_lock(project.worktree.common_dir, wait=options.lock_timeout):
        commit = _committed_head(project)
        recover(project)
        prepared = prepare(project, commit, options.targets)
        _expect(prepared, options)
        recorder = Recorder(project, prepared)
        wave = wave_of(project, prepared, recorder)
        with _session(project, options, wave) as engine:
            data = tuple(_record_data(project, prepared, recorder))
            done = [_applied(change, recorder.settle(change)) for change in _pure(prepared, wave)]
            if engine and wave:
                for outcome in engine.execute(wave.graph, wave.steps, progress, cancel):
                    change = wave.changes[outcome.model]
                    done.append(_applied(change, recorder.conclude(change, wave.runs[outcome.model], outcome)))
        if done or data:
            maintain(project.worktree.repository)
    done.sort(key=lambda item: item.model)
    seconds = round(time.monotonic() - start, 3)
    head = project.ledger.head()
    return Applied(prepared.plan, tuple(done), data, seconds, head, cancel.is_set())


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
            help=(f"git add {' '.join(dirty[:5])} && git commit", "custody plan   shows what the edit would do"),
        )
    return commit


def _expect(prepared: Prepared, options: ApplyOptions) -> None:
    plan, expected = prepared.plan, options.expect
    if expected and not plan.id.startswith(expected):
        touched = ", ".join(f"{change.model} ({change.category.word})" for change in plan.active) or "nothing"
        raise StalePlanError(
            f"the plan is {plan.id[:7]} now, not {expected[:7]}: it would change {touched}",
            code="E401",
            because=(f"last record: {plan.last.get('subject', 'none')}",),
            help=("custody plan",),
        )


@contextmanager
def _session(project: Project, options: ApplyOptions, wave: Wave | None) -> Iterator[Engine | None]:
    """Start the engine in the background where any step has to run; nothing of it is imported otherwise."""
    if wave is None:
        yield None
        return
    engine = _engine(project, options)
    with closing(wave), engine.session():
        yield engine


def _engine(project: Project, options: ApplyOptions) -> Engine:
    if options.engine == "inline":
        from custody.engine.inline import InlineEngine

        return InlineEngine(options.jobs, project.state_dir, preload=PRELOAD)
    from custody.engine.prefect import PrefectEngine

    return PrefectEngine(options.jobs, project.state_dir, preload=PRELOAD)


def _record_data(project: Project, prepared: Prepared, recorder: Recorder) -> Iterator[str]:
    for label in prepared.plan.new_versions:
        name, _, version = label.partition("@")
        manifest = prepared.spec.datasets[name].versions[version]
        record = data_record(secrets.token_hex(8), manifest, recorder.source, project.now())
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
