"""The story of an incident: what happened when, from its windows, messages and records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from custody.core.alert_words import brief
from custody.core.episodes import in_order
from custody.core.instants import utc
from custody.domain.incident import Incident
from custody.domain.monitoring import Health, Judged, Signal
from custody.domain.monitors import Level


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the story. `commit` is the record that says so, empty where a window does."""

    at: str
    text: str
    commit: str = ""

    def to_dict(self) -> dict[str, str]:
        return {"at": self.at, "text": self.text, "commit": self.commit}


def now(incident: Incident, windows: Iterable[Judged]) -> tuple[tuple[Signal, ...], str]:
    """Return the signals of an incident as they fired last, in its order, and the newest window in which any did.

    The record holds them as they were when its state changed last.
    """
    newest: dict[str, Signal] = {}
    last = incident.last
    own = {signal.key for signal in incident.signals}
    for judged in in_order(windows):
        fired = [signal for signal in judged.signals if signal.key in own and signal.level is not Level.OFF]
        newest |= {signal.key: signal for signal in fired}
        last = judged.window.name if fired else last
    return tuple(newest.get(signal.key, signal) for signal in incident.signals), last


def told_by_windows(incident: Incident, windows: Iterable[Judged]) -> Iterator[Happening]:
    """Yield what the windows of a model say while the incident lasts, one line for a run of alike ones."""
    own = {signal.key for signal in incident.signals}
    since, until = utc(incident.since), utc(incident.resolved) if incident.resolved else "9999"
    before: tuple[str, tuple[str, ...]] | None = None
    for judged in in_order(windows):
        if not since < utc(judged.window.end) <= until:
            continue
        fired = [signal for signal in judged.signals if signal.key in own and signal.level is not Level.OFF]
        alike = judged.what, tuple(signal.key for signal in fired)
        if alike == before or (before is None and not fired):
            continue
        before = alike
        silent = judged.health in {Health.WAITING, Health.NO_DATA}
        words = ", ".join(brief(signal) for signal in fired) or (str(judged.health) if silent else "clean")
        text = f"{judged.model}, {judged.what} of {judged.window.name}: {words}"
        yield Happening(utc(judged.window.end), text)


def ordered(happenings: Iterable[Happening]) -> tuple[Happening, ...]:
    """Return what happened in order of time; what came at the same time as it came."""
    return tuple(sorted(happenings, key=lambda item: item.at))
