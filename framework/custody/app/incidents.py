"""Incidents brought up to what the windows on the ledger say: what changed is recorded, with who is told of it.

What is recorded here is queued and sent by `app/outbox.py`, in that order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from custody.app.incident_facts import facts_of
from custody.app.incident_files import acknowledgement, recorded_incidents, silences
from custody.app.outbox import enqueue
from custody.app.project import Project
from custody.app.run_windows import run_windows
from custody.app.who import source_of
from custody.app.windows_recorded import judged_windows, newest_month
from custody.core.alert_records import alert_record
from custody.core.episodes import ModelWindows, confirmation
from custody.core.incidents import settle
from custody.core.instants import utc
from custody.core.paging import Audience, due, tell
from custody.domain.incident import Incident
from custody.domain.monitors import Every, Monitors
from custody.domain.spec import Spec

_DAYS = {Every.HOUR: 1 / 24, Every.DAY: 1.0, Every.WEEK: 7.0, Every.MONTH: 31.0}


def update(project: Project, spec: Spec, models: Iterable[str], start: str | None = None) -> tuple[Incident, ...]:
    """Record what changed in the incidents of `models`, and of all that is open; return it, with who is told.

    `start` is the start of the first window that was judged since the last time (None: only the newest month counts).
    Doing it again records nothing. Raises LedgerError where the ledger cannot be read or appended to.
    """
    recorded = recorded_incidents(project.ledger.files)
    open_ = [item for item in recorded if item.firing]
    names = {*models, *(name for item in open_ for name in item.models)}
    watched = {name: _watched(project, spec, name, start, open_) for name in sorted(names)}
    before = {item.id: item for item in recorded}
    changed = {item.id: item for item in settle(watched.values(), recorded)}
    made = [_told(project, spec, watched, item, before.get(item.id)) for item in changed.values()]
    again = (due(item, audience_of(project, spec, item)) for item in open_ if item.id not in changed)
    return record(project, (*made, *(item for item in again if item)))


def record(project: Project, incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Append these revisions of incidents and queue their messages. Raises LedgerError where that cannot be done."""
    found = tuple(incidents)
    if found:
        source = source_of(project, project.worktree.commit("HEAD"))
        for item in found:
            project.ledger.append(alert_record(secrets.token_hex(8), item, source))
        enqueue(project, found)
    return found


def audience_of(project: Project, spec: Spec, incident: Incident) -> Audience:
    """Return who may hear of an incident now: the channels that its models name and the configuration knows."""
    alerting = [monitors.alert for name in incident.models if (monitors := _monitors(spec, name))]
    named = {name for item in alerting for name in item.channels}
    channels = {name: channel.level for name, channel in spec.config.channels.items() if name in named}
    repeat = min((item.repeat for item in alerting), default=0.0)
    files = project.ledger.files
    return Audience(project.now(), channels, repeat, acknowledgement(files, incident.id), silences(files))


def _told(
    project: Project, spec: Spec, watched: Mapping[str, ModelWindows], incident: Incident, before: Incident | None
) -> Incident:
    if incident.firing or before is None:
        facts = facts_of(project, spec, incident, watched)
        incident = replace(incident, facts={**incident.facts, **facts})
    return tell(incident, before, audience_of(project, spec, incident))


def _monitors(spec: Spec, model: str) -> Monitors | None:
    declared = spec.models.get(model)
    return declared.monitors if declared else None


def _watched(project: Project, spec: Spec, name: str, start: str | None, open_: Iterable[Incident]) -> ModelWindows:
    """Return a model with its windows from `start` or the first open incident on, and some before."""
    monitors = _monitors(spec, name)
    if monitors is None:
        return ModelWindows(name, "", Monitors(Every.DAY))
    files = project.ledger.files
    starts = [utc(item.since) for item in open_ if name in item.models]
    starts += [utc(start) if start else f"{newest}-01T00:00:00+00:00"] if (newest := newest_month(files, name)) else []
    windows = judged_windows(files, name, _month_before(min(starts), monitors)) if starts else ()
    runs = run_windows(project.ledger, name) if monitors.alert.channels else ()
    return ModelWindows(name, spec.models[name].dataset.name, monitors, (*windows, *runs))


def _month_before(start: str, monitors: Monitors) -> str:
    """Return the month from which on windows are needed to judge the one that starts at `start`."""
    every = Every.MONTH if monitors.outcomes else monitors.every
    windows = confirmation(monitors, every)[1] + monitors.alert.resolve_after + 1
    return (datetime.fromisoformat(start) - timedelta(days=windows * _DAYS[every])).isoformat()[:7]
