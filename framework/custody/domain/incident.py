"""Incidents, and the flags of people beside them: `incidents/…` and `silences/…` on the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from custody.domain.monitoring import Signal
from custody.domain.monitors import Level

FORMAT = 1


class IncidentState(StrEnum):
    """Where an incident is. What was acknowledged or silenced is a flag beside it, see `Flag`."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause, one incident: `incidents/<id>.json`, each change of state with a greater `revision`.

    `subject` is `model:churn` or `dataset:customers`; `models` are all that it touches. `opened` and `last` name the
    first and the newest bad window, `since` is the start of the first. `signals` are one a key, the suspect first, as
    they were when they fired last. `pages` counts the messages that page, `paged` is when the last one did. `facts` is
    what the screen shows besides: last good window and version, data, code, what was done and what was withheld.
    `to` names the channels that hear of this revision, `told` all that have heard of it so far.
    """

    id: str
    subject: str
    models: tuple[str, ...]
    state: IncidentState
    level: Level
    opened: str
    since: str
    last: str
    signals: tuple[Signal, ...]
    revision: int = 1
    pages: int = 0
    paged: str | None = None
    resolved: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def firing(self) -> bool:
        return self.state is IncidentState.FIRING

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "id": self.id,
            "subject": self.subject,
            "models": list(self.models),
            "state": str(self.state),
            "level": str(self.level),
            "opened": self.opened,
            "since": self.since,
            "last": self.last,
            "revision": self.revision,
            "pages": self.pages,
            "paged": self.paged,
            "resolved": self.resolved,
            "to": list(self.to),
            "told": list(self.told),
            "signals": [signal.to_dict() for signal in self.signals],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an incident's file; raises KeyError, TypeError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the incident has format {value['format']!r}, this custody reads {FORMAT}")
        return cls(
            value["id"],
            value["subject"],
            tuple(value["models"]),
            IncidentState(value["state"]),
            Level(value["level"]),
            value["opened"],
            value["since"],
            value["last"],
            tuple(Signal.from_dict(item) for item in value["signals"]),
            value["revision"],
            value["pages"],
            value.get("paged"),
            value.get("resolved"),
            value.get("facts", {}),
            tuple(value.get("to", ())),
            tuple(value.get("told", ())),
        )


@dataclass(frozen=True, slots=True)
class Flag:
    """An acknowledgement (`incidents/<id>.ack.json`) or a silence (`silences/<id>.json`): by whom, until when, why.

    `match` is the id of an incident, or `<model>|<signal key>` with `*` for any part.
    """

    id: str
    match: str
    by: str
    at: str
    until: str | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        value = {"id": self.id, "match": self.match, "by": self.by, "at": self.at, "until": self.until}
        return {"format": FORMAT, **value, "reason": self.reason}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a flag's file; raises KeyError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the flag has format {value['format']!r}, this custody reads {FORMAT}")
        return cls(value["id"], value["match"], value["by"], value["at"], value.get("until"), value["reason"])
