"""Incidents, acknowledgements, silences and receipts as they stand on the ledger."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from custody.core.alert_records import acknowledgement_path, incident_path, receipts_path
from custody.core.instants import utc
from custody.core.jsonfile import value_of
from custody.domain.incident import Flag, Incident
from custody.domain.ports import Files
from custody.errors import UsageError

_INCIDENTS, _SILENCES = "incidents", "silences"
_OTHERS = (".ack.json", ".told.json")
_SHORTEST = 4


def recorded_incidents(files: Files) -> tuple[Incident, ...]:
    """Return all incidents, the newest first. Raises LedgerError where one cannot be read."""
    found = files.values(_INCIDENTS, _incident, lambda path: not path.endswith(_OTHERS))
    return tuple(sorted(found, key=lambda item: (utc(item.since), item.id), reverse=True))


def find_incident(files: Files, prefix: str) -> Incident:
    """Return the incident whose id begins with `prefix`, four characters at least. Raises UsageError: there is none."""
    known = recorded_incidents(files)
    found = [item for item in known if item.id.startswith(prefix.lower())] if len(prefix) >= _SHORTEST else []
    if len(found) == 1:
        return found[0]
    if found:
        listed = tuple(f"custody incident {item.id}" for item in found[:5])
        raise UsageError(f"{prefix!r} may mean {len(found)} incidents", code="E603", help=listed)
    by_model = [item for item in known if prefix in item.models]
    near = [item.id for item in by_model[:1]] or get_close_matches(prefix.lower(), [item.id for item in known], 1, 0.5)
    near = near or [item.id for item in known if item.firing][:1]
    hint = (f"did you mean {near[0]}?",) if near else ()
    message = f"there is no incident {prefix!r}"
    raise UsageError(message, code="E603", help=(*hint, "custody incident   lists them"))


def acknowledgement(files: Files, incident_id: str) -> Flag | None:
    """Return the last acknowledgement of an incident; None where there is none."""
    return files.value(acknowledgement_path(incident_id), _flag)


def silences(files: Files) -> tuple[Flag, ...]:
    """Return all silences, also those that are over, the newest first."""
    return tuple(sorted(files.values(_SILENCES, _flag), key=lambda flag: (flag.at, flag.id), reverse=True))


def receipts(files: Files, incident_id: str) -> dict[str, str]:
    """Return which messages about an incident have arrived: when, by key."""
    return files.value(receipts_path(incident_id), _receipts) or {}


def incident(files: Files, incident_id: str) -> Incident | None:
    """Return the incident with this id as it stands; None where there is none."""
    return files.value(incident_path(incident_id), _incident)


def decode_incident(data: bytes) -> Incident:
    """Read the file of an incident. Raises ValueError where it is not as custody writes it."""
    return value_of(_incident, data)


def _incident(value: dict[str, Any]) -> Incident:
    found = Incident.from_dict(value)
    utc(found.since)
    return found


def _flag(value: dict[str, Any]) -> Flag:
    found = Flag.from_dict(value)
    utc(found.at)
    if found.until is not None:
        utc(found.until)
    return found


def _receipts(value: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(at) for key, at in value["told"].items()}
