"""What an incident is called in one line: subjects of records, titles of messages. Pure."""

from __future__ import annotations

from datetime import datetime
from math import copysign

from custody.core.instants import utc
from custody.core.recording import line_of
from custody.core.suspects import excess
from custody.domain.incident import Incident
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level

_METRIC = frozenset({"drift", "prediction", "estimate", "run"})
"""Monitors whose name alone does not say what was measured."""


def about(incident: Incident) -> str:
    """Return what an incident is about in words: `churn`, or `dataset customers (churn, value)`."""
    kind, _, name = incident.subject.partition(":")
    if kind != "dataset":
        others = [model for model in incident.models if model != name]
        return f"{name} and {', '.join(others)}" if others else name
    return f"dataset {name} ({', '.join(incident.models)})"


def brief(signal: Signal) -> str:
    """Return a signal in short: `bias +67.1 > 14.2`, `r2 0.33 < 0.72`, `drift plan psi 0.31 > 0.22`, `constant fee`."""
    named = signal.metric if signal.monitor == "outcome" and signal.metric else signal.monitor.replace("_", " ")
    words = [named, *([signal.column] if signal.column else [])]
    words += [signal.metric] if signal.metric and signal.monitor in _METRIC else []
    return line_of(" ".join((*words, *_compared(signal))))


def _compared(signal: Signal) -> tuple[str, ...]:
    """Return value and limit of a signal in words; a bias lies beyond its limit on one side or the other."""
    value, limit = signal.value, signal.limit
    if value is None:
        return ()
    if signal.monitor == "bias":
        return (
            f"{value:+.3g}",
            *(() if limit is None else (f"{'<' if value < 0 else '>'} {copysign(limit, value):.3g}",)),
        )
    below = limit is not None and excess(signal) == 0 and value < limit
    return (f"{value:.3g}", *(() if limit is None else (f"{'<' if below else '>'} {limit:.3g}",)))


def headline(incident: Incident) -> str:
    """Return the line that stands for this revision of an incident, as its record's subject has it."""
    lead = brief(incident.signals[0]) if incident.signals else "no signal"
    more = f" and {len(incident.signals) - 1} more" if len(incident.signals) > 1 else ""
    if not incident.firing:
        into = incident.facts.get("merged")
        if into:
            return line_of(f"resolved {about(incident)}: goes on as incident {into}")
        span = incident.opened if incident.opened == incident.last else f"{incident.opened} to {incident.last}"
        return line_of(f"resolved {about(incident)}: {lead}{more}, {span}")
    return line_of(f"{incident.level} {about(incident)}: {lead}{more} since {incident.opened} ({_who(incident)})")


def day_of(moment: str) -> str:
    """Return a time as people write it, in UTC: the day alone at midnight."""
    found = datetime.fromisoformat(utc(moment))
    return f"{found:%Y-%m-%d}" if (found.hour, found.minute) == (0, 0) else f"{found:%Y-%m-%d %H:%MZ}"


def _who(incident: Incident) -> str:
    """Return who hears of this revision."""
    owner = incident.facts.get("owner") or "its owner"
    if not incident.to:
        return f"no message, {owner} owns it"
    if incident.level is not Level.ALERT:
        return f"ticket for {owner}"
    return f"pages {owner}" if incident.pages <= 1 else f"pages {owner}, message {incident.pages}"
