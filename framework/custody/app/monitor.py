"""Monitor: judge the windows of live data and of outcomes that are due. Reads top to bottom as the row of its phases.

It works from the commit, as `apply` does. What was judged when it is interrupted is recorded; the next sweep goes on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Event as Cancel

from custody.app.contest import Running
from custody.app.incidents import update
from custody.app.judge_windows import Material, judge
from custody.app.monitor_graph import Sight, observe_node
from custody.app.monitor_references import OnItsWay, Time, committed, error_of, made_of, with_references
from custody.app.monitor_run import MonitorRun, running
from custody.app.monitored import MonitorOptions, Sweep, SweptModel
from custody.app.on_alert import act
from custody.app.outbox import deliver
from custody.app.predictions import batches
from custody.app.project import Project
from custody.app.watched import Unwatched, watch, zone_named
from custody.app.who import source_of
from custody.app.windows_recorded import path_of, recorded_windows, reference_path
from custody.core.due import Moments, due, end_of, fires, start_of
from custody.core.jsonfile import json_bytes
from custody.core.sweep_record import sweep_record
from custody.domain.batch import Batch
from custody.domain.graph import Event
from custody.domain.monitors import Every
from custody.domain.spec import Spec
from custody.errors import LockedError
from custody.ledger.locks import deed_lock, sweep_lock

_NOTHING_DUE = "no window is due"


def monitor(
    project: Project,
    options: MonitorOptions,
    progress: Callable[[Event], None],
    cancel: Cancel,
    say: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Judge what is due, record it, and return what was found; `progress` hears of every step.

    Raises UsageError where there is no commit or no such model, InvalidSpecError, RefusedError where the commit is not
    on the branch, LockedError where another sweep is at work in this clone.
    """
    start = time.monotonic()
    with sweep_lock(project.worktree.common_dir):
        commit, spec = committed(project)
        watched, rest = watch(project, spec, options.models)
        at = Time(project.clock(), zone_named(spec.config.timezone))
        sight = Sight(project.root, spec.config.timezone, options.asked, at.now.isoformat(timespec="seconds"))
        models = [OnItsWay(item, recorded_windows(project.ledger.files, *item.names)) for item in watched]
        models = [item for item in models if not options.due or _fires(item, at)]
        with running(project, watched, options, progress, cancel, say) as run:
            models = with_references(project, models, sight, run)
            models = [_with_due(item, options, at) for item in models]
            swept = list(_judged(project, models, sight, run))
        told = sorted([*swept, *(_unwatched(item) for item in rest)], key=lambda item: item.model)
        sweep = Sweep(tuple(told), dry_run=options.dry_run, cancelled=cancel.is_set())
        if not options.dry_run:
            sweep = _said(project, spec, options, replace(sweep, record=_record(project, models, swept, commit)))
    if not options.dry_run and not options.asked.replay and not cancel.is_set():
        sweep = _acted(project, spec, options, sweep, Running(options.engine, options.jobs, progress, cancel, say))
    return replace(sweep, seconds=round(time.monotonic() - start, 3))


def _said(project: Project, spec: Spec, options: MonitorOptions, sweep: Sweep) -> Sweep:
    """Bring the incidents up to what was judged, share all that, then tell whom it concerns: in this order.

    What nobody could look up is not told.
    """
    start = min((item.window.start for item in sweep.judged), key=datetime.fromisoformat, default=None)
    incidents = update(project, spec, [item.model for item in sweep.models], start)
    return _told(project, options, replace(sweep, incidents=incidents), new=bool(sweep.record or incidents))


def _acted(project: Project, spec: Spec, options: MonitorOptions, sweep: Sweep, how: Running) -> Sweep:
    """Do what open alerts ask for, and tell of it: people have heard before it begins, since training takes long.

    Where another sweep is at it, that is left to it.
    """
    try:
        with deed_lock(project.worktree.common_dir):
            acted = act(project, spec, how)
    except LockedError:
        return sweep
    done = replace(sweep, acted=acted, cancelled=how.cancel.is_set())
    return _told(project, options, done, new=True) if any(item.new for item in acted) else done


def _told(project: Project, options: MonitorOptions, sweep: Sweep, *, new: bool) -> Sweep:
    shared = project.ledger.share((), options.share_timeout) if new else sweep.shared
    # also where nothing is new: a message may have waited for its receiver
    delivery = deliver(project, options.environ)
    if delivery.record:
        shared = project.ledger.share((), options.share_timeout)
    return replace(sweep, shared=shared, delivery=delivery)


def _fires(item: OnItsWay, at: Time) -> bool:
    last = max((end_of(judged.window) for judged in item.history), default=None)
    return fires(item.watched.monitors.schedule, Moments(item.watched.since, at.now, at.zone), last)


def _with_due(item: OnItsWay, options: MonitorOptions, at: Time) -> OnItsWay:
    if item.reference is None:
        return item
    every = (
        Every(item.reference["outcomes"]["every"]) if item.reference.get("outcomes") else item.watched.monitors.every
    )
    moments = Moments(item.watched.since, at.now, at.zone)
    return replace(item, due=due(item.watched.monitors, every, options.asked, item.history, moments))


def _judged(project: Project, models: Sequence[OnItsWay], sight: Sight, run: MonitorRun) -> Iterator[SweptModel]:
    """Observe what is due and judge it, each model as soon as it has been observed."""
    nodes = []
    by_name = {item.watched.name: item for item in models}
    for item in models:
        if item.reference is None or not item.due:
            yield SweptModel(item.watched.name, error=item.error, why=_NOTHING_DUE, notes=item.notes)
            continue
        kept = _batches(project, item) if item.watched.monitors.live.uses is None else ()
        nodes.append(observe_node(item.watched, item.due, item.reference, kept, sight))
    for outcome in run(tuple(nodes)):
        item, seen = by_name[outcome.model], made_of(outcome)
        if seen is None or item.reference is None:
            yield SweptModel(item.watched.name, error=error_of(outcome))
            continue
        material = Material(item.watched, item.reference, item.history, item.due, seen, run.folder(item.watched.name))
        yield replace(judge(material, sight), notes=item.notes)


def _batches(project: Project, item: OnItsWay) -> tuple[Batch, ...]:
    """Return the sealed batches that may hold rows of what is due."""
    spans = (*item.due.inputs, *item.due.outcomes)
    first, last = min(map(start_of, spans)), max(map(end_of, spans))
    return batches(project, item.watched.name, first.isoformat(), last.isoformat())


def _unwatched(item: Unwatched) -> SweptModel:
    return SweptModel(item.model, error=item.why) if item.error else SweptModel(item.model, why=item.why)


def _record(project: Project, models: Sequence[OnItsWay], swept: Sequence[SweptModel], commit: str) -> str | None:
    """Append the one record of the sweep, where there is anything new; return its commit.

    A new reference is recorded whatever is due: the next sweep, here or in a fresh clone, does not fit it again.
    """
    judged = [item for model in swept for item in model.judged]
    made = {item.watched.name: item.reference for item in models if item.made and item.reference}
    if not judged and not made:
        return None
    files = {path_of(item): json_bytes(item.to_dict()) for item in judged}
    files |= {reference_path(name): json_bytes(reference) for name, reference in made.items()}
    source = source_of(project, project.worktree.commit(commit))
    return project.ledger.append(sweep_record(secrets.token_hex(8), judged, tuple(made), files, source))
