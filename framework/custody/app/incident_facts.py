"""What the screen of an incident says besides its signals: what changed since the last good window, and what did not.

It is worked out from the ledger and the source branch when the incident is recorded, and kept in its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from custody.app.predictions import batches
from custody.app.project import Project
from custody.core.alert_words import day_of
from custody.core.episodes import ModelWindows, in_order
from custody.core.incidents import grouped
from custody.core.instants import utc
from custody.core.suspects import stream_of
from custody.domain.incident import Incident
from custody.domain.monitoring import Health, Judged
from custody.domain.record import Entry, Kind, ModelState, Run, StagePointer
from custody.domain.spec import ModelSpec, Spec
from custody.errors import CustodyError, GitError

_COMMITS = 3
"""Commits and moves that are named at most."""
_LINES, _READ = 3, 4000
"""Lines of a runbook that are kept, and bytes that they are looked for in."""
_WALKED = 500
_RECORDS = 200


def facts_of(project: Project, spec: Spec, incident: Incident, watched: Mapping[str, ModelWindows]) -> dict[str, Any]:
    """Return the facts of an incident, for the first of its models; what cannot be told is left out."""
    name = incident.models[0]
    model = spec.models.get(name)
    facts: dict[str, Any] = {}
    if model is not None:
        facts |= _of_spec(project, spec, model, incident)
    state = project.ledger.model(name)
    stage = model.monitors.stage if model and model.monitors else "production"
    pointer = state.stages.get(stage)
    good = _last_good(incident, watched[name].windows if name in watched else ())
    if good:
        facts["good"] = {"window": good.window.name, "end": good.window.end, "version": good.version, "run": good.run}
    if pointer:
        facts |= {"stage": stage, "version": pointer.version, "run": pointer.run}
        facts |= _changes(project, spec, state, (pointer, good))
        facts |= _before(state, pointer)
    facts["predictions"] = _predictions(project, incident)
    return facts


def _of_spec(project: Project, spec: Spec, model: ModelSpec, incident: Incident) -> dict[str, Any]:
    """Return owners, and where the runbook is at the commit of now."""
    facts: dict[str, Any] = {"owner": model.owner}
    dataset = spec.datasets.get(grouped(incident) or model.dataset.name)
    if dataset:
        label = model.dataset.version if model.dataset.name == dataset.name else dataset.latest
        label = dataset.latest if label == "latest" else label
        facts["upstream"] = {"dataset": f"{dataset.name}@{label}" if label else dataset.name, "owner": dataset.owner}
        if grouped(incident):
            facts["owner"] = dataset.owner
    runbook = model.monitors.alert.runbook if model.monitors else None
    commit = project.worktree.head()
    if runbook and commit:
        path = f"{model.directory}/{runbook}"
        facts["runbook"] = {"path": path, "commit": commit, "text": list(_opening(project, commit, path))}
    return facts


def _opening(project: Project, commit: str, path: str) -> Iterator[str]:
    """Yield the first lines of a runbook that say something."""
    text = (project.worktree.reader(commit)(path) or b"")[:_READ].decode("utf-8", "replace")
    lines = (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    yield from islice(lines, _LINES)


def _last_good(incident: Incident, windows: Iterable[Judged]) -> Judged | None:
    """Return the last window before the first bad one in which the suspect did not fire; None where none is known."""
    if not incident.signals:
        return None
    suspect, since = incident.signals[0], utc(incident.since)
    found = None
    for judged in in_order(windows):
        silent = judged.health in {Health.WAITING, Health.NO_DATA}
        if judged.what != stream_of(suspect) or silent or utc(judged.window.end) > since:
            continue
        if all(signal.key != suspect.key for signal in judged.signals):
            found = judged
    return found


def _changes(
    project: Project, spec: Spec, state: ModelState, where: tuple[StagePointer, Judged | None]
) -> dict[str, Any]:
    """Return lines on what changed since the last good window, and on what did not: version, data, code, upstream."""
    pointer, good = where
    lines = [_version_line(pointer, good), *_run_lines(project, state.name, pointer, good)]
    declared = spec.models.get(state.name)
    for upstream in declared.inputs.values() if declared else ():
        moves = list(_moves(project, upstream.model, good.window.end)) if good else []
        lines += [(True, line) for line in moves] or [(False, f"model {upstream.model}, which it reads")]
    return {name: [line for told, line in lines if told is new] for name, new in (("changed", True), ("same", False))}


def _version_line(pointer: StagePointer, good: Judged | None) -> tuple[bool, str]:
    """Return whether the version changed, and a line on it."""
    now = f"{pointer.version} since {day_of(pointer.at)}"
    if good is None or good.run == pointer.run:
        return False, f"model {now}"
    return True, f"model {good.version or good.run[:8]} → {now}"


def _run_lines(project: Project, model: str, pointer: StagePointer, good: Judged | None) -> Iterator[tuple[bool, str]]:
    """Yield whether the data and the code of the model changed, each with lines."""
    serving = _run(project, pointer.run)
    earlier = _run(project, good.run) if good else serving
    if serving is None or earlier is None:
        return
    before, now = _data(earlier), _data(serving)
    yield before != now, f"data {before} → {now}" if before != now else f"data {now}"
    commits = list(_commits(project, earlier.code, serving.code, f"{project.config.models}/{model}/"))
    yield from ((True, line) for line in commits)
    if not commits:
        yield False, f"code of the model, {str(serving.code)[:7]}"


def _before(state: ModelState, pointer: StagePointer) -> dict[str, str]:
    """Return the version before the one that serves: what a rollback goes to unless another is named."""
    names = list(state.versions)
    place = names.index(pointer.version) if pointer.version in names else 0
    return {"previous": names[place - 1]} if place > 0 else {}


def _run(project: Project, run_id: str) -> Run | None:
    try:
        entry = project.ledger.find_entry(run_id)
        return project.ledger.run(entry) if entry else None
    except CustodyError:
        return None


def _data(run: Run) -> str:
    return f"{run.data.get('dataset')}@{run.data.get('version')}" if run.data else "unknown"


def _commits(project: Project, before: str | None, after: str | None, folder: str) -> Iterator[str]:
    """Yield the commits after `before` up to `after` that touch the folder, by first parents, the newest first."""
    if not before or not after or before == after:
        return
    worktree, found = project.worktree, 0
    try:
        here = worktree.commit(after)
        for _ in range(_WALKED):
            if here.id == before or not here.parents or found == _COMMITS:
                return
            if any(path.startswith(folder) for path in worktree.changed(here.parents[0], here.id)):
                found += 1
                yield f"code {here.id[:7]} {here.subject}"
            here = worktree.commit(here.parents[0])
    except GitError:
        return


def _moves(project: Project, model: str, since: str) -> Iterator[str]:
    """Yield what moved a stage of another model since a time, the newest first."""
    for entry in _newest(project, model):
        if utc(entry.at) <= utc(since):
            return
        if entry.kind in {Kind.PROMOTION, Kind.HOLD}:
            yield f"{entry.subject} ({entry.commit[:7]})"


def _newest(project: Project, model: str) -> Iterator[Entry]:
    yield from project.ledger.entries(model, limit=_RECORDS)


def _predictions(project: Project, incident: Incident) -> dict[str, int]:
    """Return how many predictions of its models were sealed since it began."""
    found = [batch for name in incident.models for batch in batches(project, name, utc(incident.since))]
    return {"rows": sum(batch.rows for batch in found), "batches": len(found)}
