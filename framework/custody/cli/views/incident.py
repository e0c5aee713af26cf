"""Incidents on a terminal: the list, the screen of one, and what a delivery did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from custody.app.outbox import Delivery
from custody.app.story import Shown
from custody.cli.views.text import Tone, columns, fit, one_line, plural
from custody.core.alert_words import about, brief, headline
from custody.core.incident_screen import screen
from custody.domain.incident import Incident
from custody.domain.monitors import Level
from custody.ledger.outbox import Queued

_LEAD = 44


def table(listed: Sequence[Shown], known: int) -> str:
    """Return one line an incident."""
    if not listed:
        return (
            f"No incident is open. {plural(known, 'incident')} on the record: custody incident --all"
            if known
            else ("No incident is open, and none was ever recorded.")
        )
    rows = [[_state(item.incident), item.incident.id, *_cells(item)] for item in listed]
    return "\n".join(columns(rows))


def changed(incidents: Sequence[Incident]) -> str:
    """Return a line for each incident that changed, with the command that shows it."""
    return "\n".join(f"{_tone(item)('incident')} {item.id}  {one_line(headline(item))}" for item in incidents)


def screen_text(found: Shown) -> str:
    """Return the screen of an incident, its first line in the tone of its level."""
    first, *rest = screen(found.incident, found.taken)
    tone = _tone(found.incident)
    return "\n".join([tone(one_line(first)), *(one_line(line) for line in rest)])


def delivery_text(done: Delivery) -> str:
    """Return what became of each message."""
    lines = [f"sent       {_message(item)}" for item in done.sent]
    lines += [f"put off    {_message(item)}: {one_line(item.error or '')}" for item in done.failed]
    lines += [f"given up   {_message(item)}: {one_line(item.dead or '')}" for item in done.dead]
    if done.waiting:
        lines.append(f"{plural(done.waiting, 'message')} left for later: custody incident deliver")
    return "\n".join(lines or ["No message is due."])


def delivery_json(done: Delivery) -> dict[str, Any]:
    """Return the same facts."""
    ended = {"sent": done.sent, "put_off": done.failed, "given_up": done.dead}
    value: dict[str, Any] = {name: [_queued_json(item) for item in items] for name, items in ended.items()}
    return value | {"waiting": done.waiting, "record": done.record, "unshared": done.unshared or None}


def _cells(item: Shown) -> list[str]:
    incident = item.incident
    lead = brief(incident.signals[0]) if incident.signals else ""
    more = f" and {len(incident.signals) - 1} more" if len(incident.signals) > 1 else ""
    quiet = f"taken by {item.taken.by}" if item.taken else "silenced" if item.silenced and incident.firing else ""
    words = [
        about(incident),
        fit(lead, _LEAD) + more,
        f"since {incident.opened}",
        str(incident.facts.get("owner", "")),
        quiet,
    ]
    return [one_line(text) for text in words]


def _state(incident: Incident) -> str:
    return _tone(incident)(str(incident.level) if incident.firing else "resolved")


def _tone(incident: Incident) -> Tone:
    if not incident.firing:
        return Tone.GOOD
    return Tone.BAD if incident.level is Level.ALERT else Tone.WARN


def _message(item: Queued) -> str:
    return one_line(f"{item.channel}  {item.message.incident}  {item.message.title}")


def _queued_json(item: Queued) -> dict[str, Any]:
    names = ("channel", "attempts", "due", "delivered", "dead", "error")
    message = item.message
    value = {"key": message.key, "incident": message.incident, "revision": message.revision, "title": message.title}
    return value | {name: getattr(item, name) for name in names}
