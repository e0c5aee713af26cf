"""The records of incidents: what changed, who acknowledged or silenced it, and which messages arrived. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from custody.core.alert_words import about, day_of, headline
from custody.core.incidents import MODEL
from custody.core.jsonfile import json_bytes
from custody.core.recording import Source, line_of
from custody.domain.incident import Flag, Incident
from custody.domain.monitoring import FORMAT
from custody.domain.record import Kind, Record


def incident_path(incident_id: str) -> str:
    """Return where an incident lies on the ledger."""
    return f"incidents/{incident_id}.json"


def acknowledgement_path(incident_id: str) -> str:
    """Return where the last acknowledgement of an incident lies."""
    return f"incidents/{incident_id}.ack.json"


def receipts_path(incident_id: str) -> str:
    """Return where it lies which messages about an incident have arrived."""
    return f"incidents/{incident_id}.told.json"


def silence_path(silence_id: str) -> str:
    """Return where a silence lies."""
    return f"silences/{silence_id}.json"


def alert_record(record_id: str, incident: Incident, source: Source) -> Record:
    """Return the record of one revision of an incident."""
    trailers = [("Incident", incident.id), ("State", str(incident.state)), ("Level", str(incident.level))]
    trailers += [("Revision", str(incident.revision)), ("Since", incident.since)]
    trailers += [] if _model(incident) else [("Subject", incident.subject), ("Models", " ".join(incident.models))]
    trailers += [("Channels", " ".join(incident.to))] if incident.to else []
    body = "\n".join(f"- {line_of(signal.text)}" for signal in incident.signals)
    files = {incident_path(incident.id): json_bytes(incident.to_dict())}
    return Record(
        record_id,
        Kind.ALERT,
        headline(incident),
        (*trailers, *source.trailers),
        _model(incident),
        body,
        files,
    )


def acknowledge_record(record_id: str, flag: Flag, incident: Incident, source: Source) -> Record:
    """Return the record that somebody has taken an incident on."""
    until = f" until {day_of(flag.until)}" if flag.until else ""
    reason = f": {line_of(flag.reason)}" if flag.reason else ""
    subject = f"acknowledge {about(incident)}: incident {incident.id} by {line_of(flag.by)}{until}{reason}"
    trailers = (("Incident", incident.id), *source.trailers)
    files = {acknowledgement_path(incident.id): json_bytes(flag.to_dict())}
    return Record(record_id, Kind.ACKNOWLEDGE, subject, trailers, _model(incident), files=files)


def silence_record(record_id: str, flag: Flag, source: Source) -> Record:
    """Return the record that what `flag` matches sends no message until its end."""
    subject = f"silence {line_of(flag.match)} until {day_of(flag.until or flag.at)}: {line_of(flag.reason)}"
    trailers = (("Silence", flag.id), *source.trailers)
    files = {silence_path(flag.id): json_bytes(flag.to_dict())}
    return Record(record_id, Kind.SILENCE, subject, trailers, files=files)


def receipts_record(
    record_id: str, receipts: Mapping[str, Mapping[str, str]], channels: Sequence[str], source: Source
) -> Record:
    """Return the record of messages that arrived: for each incident, when by key; all that are known, old ones too.

    `channels` are those that took one now.
    """
    named = ", ".join(sorted(receipts))
    subject = f"told {', '.join(channels)} of {'incident' if len(receipts) == 1 else 'incidents'} {named}"
    files = {
        receipts_path(name): json_bytes(
            {"format": FORMAT, "id": name, "revision": len(told), "told": dict(sorted(told.items()))}
        )
        for name, told in receipts.items()
    }
    return Record(record_id, Kind.ALERT, line_of(subject), source.trailers, files=files)


def _model(incident: Incident) -> str | None:
    """Return the model whose record it is; None where it is about several."""
    kind, _, name = incident.subject.partition(":")
    return name if kind == MODEL and incident.models == (name,) else None
