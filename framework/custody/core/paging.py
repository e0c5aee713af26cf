"""Who is told of an incident, and when: the rules of messages, acknowledgements and silences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from custody.core.instants import instant
from custody.core.suspects import worst
from custody.domain.incident import Flag, Incident
from custody.domain.monitoring import Signal
from custody.domain.monitors import DAY, Level

ANY = "*"
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may be told of an incident: its channels, each with the least level that it hears of.

    `repeat` is the seconds after which an alert that nobody acknowledged is sent again, `taken` the last
    acknowledgement of it, `silences` are all that there are, `at` is the time.
    """

    at: str
    channels: Mapping[str, Level] = field(default_factory=dict)
    repeat: float = DAY
    taken: Flag | None = None
    silences: Sequence[Flag] = ()


def tell(incident: Incident, before: Incident | None, audience: Audience) -> Incident:
    """Return the incident, which has changed since `before`, with those who are told of this revision.

    1. It opens, opens again, or its level rises: its channels, unless it is silenced. An alert pages.
    2. It is over: those who heard of it; all, where it came and went unseen. None where it goes on in another one.
    3. Anything else is only recorded.
    """
    quiet = silenced(incident, audience.silences, audience.at)
    if not incident.firing:
        heard = incident.told or (() if before else _hearing(incident, audience))
        return _to(incident, () if quiet or "merged" in incident.facts else heard)
    news = before is None or not before.firing or worst((before.level, incident.level)) != before.level
    if quiet or not news:
        return replace(incident, to=())
    return _paged(_to(incident, _hearing(incident, audience)), audience)


def due(incident: Incident, audience: Audience) -> Incident | None:
    """Return the next revision of an open alert that is to be said again, or was kept back; None: not now."""
    if not incident.firing or incident.level is not Level.ALERT or silenced(incident, audience.silences, audience.at):
        return None
    waited = incident.paged is None or (
        audience.repeat > 0
        and instant(audience.at) - instant(incident.paged) >= timedelta(seconds=audience.repeat)
        and not acknowledged(incident, audience.taken, audience.at)
    )
    to = _hearing(incident, audience)
    if not waited or not to:
        return None
    return _paged(_to(replace(incident, revision=incident.revision + 1), to), audience)


def acknowledged(incident: Incident, taken: Flag | None, at: str) -> bool:
    """Whether the last acknowledgement holds: it was made after what paged last, and is not over."""
    if taken is None or not active(taken, at):
        return False
    return incident.paged is None or instant(taken.at) >= instant(incident.paged)


def silenced(incident: Incident, silences: Iterable[Flag], at: str) -> bool:
    """Whether silences match the incident, or all that makes it as bad as it is in each of its models."""
    now = [flag for flag in silences if active(flag, at)]
    loud = [signal for signal in incident.signals if signal.level is incident.level] or list(incident.signals)
    return any(flag.match == incident.id for flag in now) or (
        bool(now)
        and all(any(matches(flag.match, model, signal) for flag in now) for signal in loud for model in incident.models)
    )


def covers(pattern: str, incident: Incident) -> bool:
    """Whether a silence names the incident, or any of its signals."""
    return pattern == incident.id or any(
        matches(pattern, model, signal) for model in incident.models for signal in incident.signals
    )


def matches(pattern: str, model: str, signal: Signal) -> bool:
    """Whether `<model>|<monitor>|<column>|<metric>` names a signal; `*` is any part, as are those that are left out."""
    parts = pattern.split("|")
    found = (model, signal.monitor, signal.column or "", signal.metric or "")
    wanted = [*parts, *[ANY] * (_PARTS - len(parts))]
    return len(parts) <= _PARTS and all(one in {ANY, other} for one, other in zip(wanted, found, strict=True))


def active(flag: Flag, at: str) -> bool:
    """Whether an acknowledgement or a silence is not over."""
    return flag.until is None or instant(at) < instant(flag.until)


def _hearing(incident: Incident, audience: Audience) -> tuple[str, ...]:
    return tuple(
        sorted(name for name, least in audience.channels.items() if worst((least, incident.level)) is incident.level)
    )


def _to(incident: Incident, channels: Iterable[str]) -> Incident:
    to = tuple(channels)
    return replace(incident, to=to, told=tuple(sorted({*incident.told, *to})))


def _paged(incident: Incident, audience: Audience) -> Incident:
    if incident.level is not Level.ALERT:
        return incident
    return replace(incident, pages=incident.pages + 1, paged=audience.at)
