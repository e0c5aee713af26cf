"""Incidents, acknowledgements, silences and receipts as they stand on the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar

from custody.core.alert_records import acknowledgement_path, incident_path, receipts_path
from custody.core.instants import utc
from custody.core.jsonfile import json_object
from custody.domain.incident import Flag, Incident
from custody.domain.ports import Files
from custody.errors import LedgerError, UsageError

_INCIDENTS, _SILENCES = "incidents", "silences"
_OTHERS = (".ack.json", ".told.json")
_SHORTEST = 4
_T = TypeVar("_T")


def recorded_incidents(files: Files) -> tuple[Incident, ...]:
    """Return all incidents, the newest first. Raises LedgerError where one cannot be read."""
    paths = (path for path in files.under(_INCIDENTS) if not path.endswith(_OTHERS))
    found = [read_file(files, path, _incident) for path in paths]
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
    path = acknowledgement_path(incident_id)
    return read_file(files, path, _flag) if files.read(path) is not None else None


def silences(files: Files) -> tuple[Flag, ...]:
    """Return all silences, also those that are over, the newest first."""
    found = [read_file(files, path, _flag) for path in files.under(_SILENCES)]
    return tuple(sorted(found, key=lambda flag: (flag.at, flag.id), reverse=True))


def receipts(files: Files, incident_id: str) -> dict[str, str]:
    """Return which messages about an incident have arrived: when, by key."""
    path = receipts_path(incident_id)
    return read_file(files, path, _receipts) if files.read(path) is not None else {}


def incident(files: Files, incident_id: str) -> Incident | None:
    """Return the incident with this id as it stands; None where there is none."""
    path = incident_path(incident_id)
    return read_file(files, path, _incident) if files.read(path) is not None else None


def decode_incident(data: bytes) -> Incident:
    """Read the file of an incident. Raises ValueError where it is not as custody writes it."""
    try:
        return _incident(json_object(data))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


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
    return {str(key): str(at) for key, at in dict(_items(value["told"])).items()}


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from value.items()


def read_file(files: Files, path: str, decode: Callable[[dict[str, Any]], _T]) -> _T:
    """Return what `decode` makes of a file of the ledger. Raises LedgerError where it cannot be read."""
    try:
        return decode(json_object(files.read(path) or b""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} on the ledger cannot be read: {type(error).__name__}: {error}"
        raise LedgerError(message, code="E702", help=("custody verify",)) from error
