"""One incident with all that the ledger says of it: the values of now, who took it on, and what happened when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from custody.app.incident_files import acknowledgement, find_incident, receipts, silences
from custody.app.project import Project
from custody.app.render import render
from custody.app.run_windows import run_windows
from custody.app.windows_recorded import judged_windows
from custody.core import story
from custody.core.incident_screen import meaning, measured, times
from custody.core.instants import utc
from custody.core.paging import acknowledged, covers, silenced
from custody.core.story import Happening
from custody.domain.incident import Flag, Incident
from custody.domain.monitoring import Judged
from custody.domain.record import Kind

_RECORDS = 2000
_MOVES = frozenset({Kind.PROMOTION, Kind.HOLD, Kind.RUN, Kind.REGISTER, Kind.DEPLOYED})
_OWN = frozenset({Kind.ALERT, Kind.ACKNOWLEDGE})


@dataclass(frozen=True, slots=True)
class Shown:
    """An incident with the values of now. `taken` is the acknowledgement that holds, `told` when messages arrived."""

    incident: Incident
    taken: Flag | None
    silenced: bool
    told: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        flag = self.taken.to_dict() if self.taken else None
        return {**self.incident.to_dict(), "acknowledged": flag, "silenced": self.silenced, "arrived": self.told}


def shown(project: Project, incident_id: str) -> Shown:
    """Return the incident whose id begins so, as it is now. Raises UsageError where there is none."""
    incident = find_incident(project.ledger.files, incident_id)
    return show(project, incident)


def show(project: Project, incident: Incident) -> Shown:
    """Return an incident as it is now."""
    files, at = project.ledger.files, project.now()
    taken = acknowledgement(files, incident.id)
    if incident.firing:
        signals, last = story.now(incident, _windows(project, incident))
        incident = replace(incident, signals=signals, last=last)
    holds = taken if taken and acknowledged(incident, taken, at) and incident.firing else None
    return Shown(incident, holds, silenced(incident, silences(files), at), receipts(files, incident.id))


def happenings(project: Project, incident: Incident) -> tuple[Happening, ...]:
    """Return what happened from the last good window to the end: windows, messages, and records of its models."""
    found = [item for judged in _by_model(project, incident) for item in story.told_by_windows(incident, judged)]
    found += _messages(project, incident)
    found += _records(project, incident)
    found += [
        Happening(utc(flag.at), f"silenced by {flag.by} until {flag.until}: {flag.reason}")
        for flag in _silences(project, incident)
    ]
    return story.ordered(found)


def postmortem(project: Project, incident_id: str) -> str:
    """Return the draft of a post-mortem as Markdown. Raises UsageError where there is no such incident."""
    now = shown(project, incident_id)
    return draft(now, happenings(project, now.incident), project.root)


def draft(now: Shown, told: Sequence[Happening], root: Path | None = None) -> str:
    """Return the draft for an incident with its story, from the template of the project at `root`, if it has one."""
    return render(
        "alert/postmortem.md.j2",
        root=root,
        incident=now.incident,
        facts=now.incident.facts,
        means=meaning(now.incident),
        paged=times(now.incident.pages),
        signals=[(measured(signal), signal.text) for signal in now.incident.signals],
        story=told,
    )


def _windows(project: Project, incident: Incident) -> list[Judged]:
    return [judged for windows in _by_model(project, incident) for judged in windows]


def _by_model(project: Project, incident: Incident) -> Iterator[tuple[Judged, ...]]:
    since = utc(incident.since)
    for model in incident.models:
        windows = (*judged_windows(project.ledger.files, model, since[:7]), *run_windows(project.ledger, model))
        yield tuple(judged for judged in windows if utc(judged.window.end) >= since)


def _silences(project: Project, incident: Incident) -> Iterator[Flag]:
    since, until = utc(incident.since), utc(incident.resolved) if incident.resolved else "9999"
    for flag in silences(project.ledger.files):
        if covers(flag.match, incident) and since <= utc(flag.until or "9999-01-01") and utc(flag.at) <= until:
            yield flag


def _messages(project: Project, incident: Incident) -> Iterator[Happening]:
    for said in receipts(project.ledger.files, incident.id).values():
        at, _, words = said.partition(" ")
        yield Happening(utc(at), f"message arrived: {words}")


def _records(project: Project, incident: Incident) -> Iterator[Happening]:
    """Yield the records about the incident, and what was run and moved in its models meanwhile."""
    until = utc(incident.resolved) if incident.resolved else "9999"
    since = utc(incident.facts["good"]["end"]) if incident.facts.get("good") else utc(incident.since)
    for entry in project.ledger.entries(limit=_RECORDS):
        own = entry.kind in _OWN and entry.trailer("Incident") == incident.id
        moved = entry.kind in _MOVES and entry.trailer("Model") in incident.models and since <= utc(entry.at) <= until
        if own or moved:
            yield Happening(utc(entry.at), entry.subject, entry.commit[:7])
