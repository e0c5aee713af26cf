"""Acknowledge and silence: facts about incidents that people tell, until when and why."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from custody.app.branch import require_ledger
from custody.app.incident_files import acknowledgement, find_incident, recorded_incidents, silences
from custody.app.project import Project
from custody.app.who import source_of
from custody.core.alert_records import acknowledge_record, silence_record
from custody.core.paging import ANY, active, covers
from custody.core.recording import line_of
from custody.digest import digest
from custody.domain.incident import Flag, Incident
from custody.domain.record import Record
from custody.errors import UsageError

LONGEST = timedelta(days=30)
"""A silence ends after so long at most: one without an end is a monitor that nobody has."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_ID = 12
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Flagged:
    """What is recorded now: the flag, the open incidents that it is about, and the commit (None: it stood so already).

    Where it could not be shared, `unshared` says why.
    """

    flag: Flag
    incidents: tuple[Incident, ...]
    commit: str | None
    unshared: str = ""


def acknowledge(project: Project, incident_id: str, until: str | None, reason: str, *, off: bool = False) -> Flagged:
    """Record that somebody has taken an incident on: it is not said again, until its level rises or `until`.

    With `off` the acknowledgement ends now. Raises UsageError where there is no such incident, it is over, or `until`
    is no time to come.
    """
    _fetched(project)
    incident = find_incident(project.ledger.files, incident_id)
    if not incident.firing:
        message = f"incident {incident.id} is over: there is nothing to acknowledge"
        raise UsageError(message, code="E670", help=(f"custody incident {incident.id}",))
    known = acknowledgement(project.ledger.files, incident.id)
    if off and (known is None or not active(known, project.now())):
        raise UsageError(
            f"incident {incident.id} is not acknowledged", code="E670", help=(f"custody ack {incident.id}",)
        )
    end = project.now() if off else _moment(project, until) if until else None
    flag = _flag(project, incident.id, incident.id, end, reason)
    source = source_of(project, project.worktree.commit("HEAD"))
    return _recorded(project, flag, (incident,), acknowledge_record(secrets.token_hex(8), flag, incident, source))


def silence(project: Project, match: str, until: str | None, reason: str, *, off: bool = False) -> Flagged:
    """Record that what `match` names sends no message until an end, of 30 days at most; windows are judged as before.

    `match` is an incident's id, or MODEL|MONITOR|COLUMN|METRIC with `*` for any part; parts at the end may be left out.
    With `off` the silence ends now. Raises UsageError where it matches nothing that is known, or the end is missing,
    past, or too far away.
    """
    _fetched(project)
    named = _named(project, match)
    known = next((item for item in silences(project.ledger.files) if item.match == named), None)
    if off and (known is None or not active(known, project.now())):
        raise UsageError(f"{named} is not silenced", code="E671", help=("custody incident",))
    if not off and (until is None or not line_of(reason)):
        command = f"custody silence '{named}' --until 7d --reason \"…\""
        raise UsageError("a silence needs an end and a reason that others understand", code="E671", help=(command,))
    end = project.now() if off else _moment(project, str(until))
    if datetime.fromisoformat(end) - project.clock() > LONGEST:
        message = f"a silence ends within {LONGEST.days} days, and {until} is later"
        raise UsageError(message, code="E671", help=(f"--until {LONGEST.days}d",))
    flag = _flag(project, digest(named)[:_ID], named, end, reason or (known.reason if known else ""))
    source = source_of(project, project.worktree.commit("HEAD"))
    found = tuple(item for item in recorded_incidents(project.ledger.files) if item.firing and covers(flag.match, item))
    return _recorded(project, flag, found, silence_record(secrets.token_hex(8), flag, source))


def _fetched(project: Project) -> None:
    require_ledger(project)
    project.ledger.fetch()


def _flag(project: Project, flag_id: str, match: str, until: str | None, reason: str) -> Flag:
    by = project.job.actor or project.ledger.actor
    return Flag(flag_id, match, by, project.now(), until, line_of(reason))


def _recorded(project: Project, flag: Flag, incidents: tuple[Incident, ...], record: Record) -> Flagged:
    commit = project.ledger.append(record)
    shared = project.ledger.share()
    return replace(Flagged(flag, incidents, commit), unshared="" if shared.landed else shared.reason)


def _named(project: Project, match: str) -> str:
    """Return what a silence matches: an incident's whole id, or a pattern whose model is known."""
    model, *rest = match.split("|")
    known = {*project.ledger.state().models, *project.load()[0].models}
    if not rest and model not in known and model != ANY:
        return find_incident(project.ledger.files, match).id
    if len(rest) >= _PARTS or not all(part and part.isprintable() for part in (model, *rest[:1])):
        message = f"{match!r} is no MODEL|MONITOR|COLUMN|METRIC"
        raise UsageError(message, code="E671", help=("custody silence 'churn|drift|*' …",))
    if model not in known and model != ANY:
        near = get_close_matches(model, known, 1)
        hint = (f"did you mean {'|'.join((near[0], *rest))}?",) if near else ()
        raise UsageError(f"there is no model {model!r}", code="E671", help=(*hint, "custody status"))
    return match


def _moment(project: Project, text: str) -> str:
    """Return a time to come: 2026-12-01, a time with or without offset, or a span from now such as 8h, 7d, 2w."""
    now = project.clock()
    if span := _SPAN.fullmatch(text):
        return (now + timedelta(**{_UNITS[span[2]]: int(span[1])})).isoformat(timespec="seconds")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        help_ = ("--until 8h", "--until 2026-12-01")
        raise UsageError(f"{text!r} is no time and no span", code="E672", help=help_) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(project.config.timezone))
    if found <= now:
        raise UsageError(f"{text} is past", code="E672", help=("--until 8h",))
    return found.astimezone(UTC).isoformat(timespec="seconds")
