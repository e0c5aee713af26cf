"""The outbox: messages about incidents on their way from the ledger to their channels.

In this order: the record of the incident is on the ledger, its messages are in the outbox, they are sent, and the
ledger says that they arrived. Whatever breaks in between, the next delivery goes on from there: a receiver may hear a
message twice, with the same key, and hears each.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from custody import __version__
from custody.app.branch import require_ledger
from custody.app.incident_files import decode_incident, receipts
from custody.app.project import Project
from custody.app.who import source_of
from custody.core.alert_records import incident_path, receipts_record
from custody.core.alert_words import headline
from custody.core.delivery import GIVE_UP, GRACE, KEEP, LEASE, message_key, next_attempt
from custody.core.incident_screen import screen
from custody.domain.channels import SECRET, Channel, DeliveryError, Message
from custody.domain.incident import Incident
from custody.domain.record import Entry, Kind
from custody.ledger.outbox import Outbox, Queued

_LOOKED = 1000
"""Records that are looked through for messages that are not in the outbox."""
_MOST = 500
"""Messages that one delivery sends at most."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one delivery did: messages `sent`, put off (`failed`), given up (`dead`); `waiting` are left for later.

    `record` is the commit that says what arrived; where it could not be shared, `unshared` says why.
    """

    sent: tuple[Queued, ...] = ()
    failed: tuple[Queued, ...] = ()
    dead: tuple[Queued, ...] = ()
    waiting: int = 0
    record: str | None = None
    unshared: str = ""


def outbox_of(project: Project) -> Outbox:
    """Return the outbox of this clone."""
    return Outbox(project.worktree.common_dir)


def enqueue(project: Project, incidents: Iterable[Incident]) -> int:
    """Queue the messages of incidents that are recorded; return how many are new. Raises LedgerError."""
    outbox, made = outbox_of(project), _now(project)
    return sum(outbox.put(message, channel, made) for item in incidents for channel, message in messages(item, made))


def messages(incident: Incident, made: float) -> Iterator[tuple[str, Message]]:
    """Yield the messages of this revision of an incident, each with its channel."""
    at = datetime.fromtimestamp(made, UTC).isoformat(timespec="seconds")
    for channel in incident.to:
        yield (
            channel,
            Message(
                key=message_key(incident.id, str(incident.state), incident.revision, channel),
                incident=incident.id,
                revision=incident.revision,
                action="trigger" if incident.firing else "resolve",
                level=str(incident.level),
                title=headline(incident),
                text="\n".join(screen(incident)),
                models=incident.models,
                owner=str(incident.facts.get("owner", "")),
                since=incident.since,
                at=at,
            ),
        )


def deliver(project: Project, environ: Mapping[str, str]) -> Delivery:
    """Send what is due; secrets come from `environ`. What arrived is recorded, and is shared with the next share.

    Raises LedgerError where the ledger or the outbox cannot be read or written.
    """
    outbox = outbox_of(project)
    _fill(project, outbox)
    if not outbox.there:
        return Delivery()
    ended: dict[str, list[Queued]] = {"sent": [], "failed": [], "dead": []}
    broken: set[str] = set()
    for _ in range(_MOST):
        item = outbox.take(_now(project), LEASE, frozenset(broken))
        if item is None:
            break
        became, item = _send(project, outbox, item, environ)
        ended[became].append(item)
        if became == "failed":
            # whoever did not answer once is left alone until the next time
            broken.add(item.channel)
    record = _receipt(project, outbox)
    outbox.forget(_now(project) - KEEP)
    waiting = sum(item.waiting for item in outbox.all())
    sent, failed, dead = (tuple(items) for items in ended.values())
    return Delivery(sent, failed, dead, waiting, record)


def deliver_now(project: Project, environ: Mapping[str, str], *, again: bool = False) -> Delivery:
    """Deliver, with what others recorded, and share what arrived; `again`: also what was given up."""
    require_ledger(project)
    project.ledger.fetch()
    outbox = outbox_of(project)
    if again and outbox.there:
        outbox.revive(_now(project))
    done = deliver(project, environ)
    if done.record is None:
        return done
    shared = project.ledger.share()
    return replace(done, unshared="" if shared.landed else shared.reason)


def _send(project: Project, outbox: Outbox, item: Queued, environ: Mapping[str, str]) -> tuple[str, Queued]:
    """Send one message; return what became of it."""
    key, now = item.message.key, _now(project)
    try:
        _hand_over(project, item, environ, now)
    except DeliveryError as error:
        attempts = item.attempts + 1
        due = next_attempt(key, attempts, now, error.after)
        if not error.again or due - item.made > GIVE_UP:
            why = error.reason if not error.again else f"not delivered within a day: {error.reason}"
            outbox.bury(key, why)
            return "dead", replace(item, attempts=attempts, dead=why)
        outbox.failed(key, error.reason, due)
        return "failed", replace(item, attempts=attempts, error=error.reason, due=due)
    outbox.delivered(key, now)
    return "sent", replace(item, attempts=item.attempts + 1, delivered=now)


def _hand_over(project: Project, item: Queued, environ: Mapping[str, str], now: float) -> None:
    """Give a message to its channel; raises DeliveryError where the receiver has not taken it."""
    from custody.kit.channels import Sender, channel

    declared = project.config.channels.get(item.channel)
    if declared is None:
        raise DeliveryError(f"there is no channel {item.channel} in .mlops/config.yaml", again=False)
    sender = Sender(project.root, datetime.fromtimestamp(now, UTC), f"custody/{__version__}")
    try:
        channel(declared.uses)(item.message, filled(declared, environ), sender)
    except (KeyError, TypeError, ValueError):
        # a configuration that nobody checked; what is raised may hold a secret
        reason = f"the settings of the channel {item.channel} do not fit: custody check tells more"
        raise DeliveryError(reason, again=False) from None


def filled(channel: Channel, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a channel with its secrets. Raises DeliveryError where a variable is not set."""
    return {name: _filled(value, environ) for name, value in channel.with_.items()}


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if not isinstance(value, str) or not value.startswith(SECRET):
        return value
    name = value.removeprefix(SECRET)
    found = environ.get(name, "").strip()
    if not found:
        raise DeliveryError(f"the variable {name} is not set here", again=True)
    return found


def _fill(project: Project, outbox: Outbox) -> None:
    """Queue what the ledger says should be told and not that it was: of a day, and of others after some minutes.

    So a lost outbox is filled again, and what one clone could not send another one does.
    """
    now, landed = _now(project), project.ledger.remote is not None
    own = {entry.commit for entry in project.ledger.pending()} if landed else set()
    known = outbox.keys() if outbox.there else frozenset()
    for entry in _alerts(project, now - GIVE_UP):
        made = datetime.fromisoformat(entry.at).timestamp()
        if landed and entry.commit not in own and now - made < GRACE:
            continue
        missing = _keys(entry) - known
        if not missing or missing <= set(receipts(project.ledger.files, entry.trailer("Incident") or "")):
            continue
        incident = _incident(project, entry)
        arrived = receipts(project.ledger.files, incident.id) if incident else {}
        for channel, message in messages(incident, made) if incident else ():
            if message.key in missing and message.key not in arrived:
                # a clock that is ahead must not hold a message back
                outbox.put(message, channel, min(made, now))


def _keys(entry: Entry) -> frozenset[str]:
    """Return the keys of the messages of a record, from its trailers alone."""
    name, state, revision = (entry.trailer(key) or "" for key in ("Incident", "State", "Revision"))
    number = int(revision) if revision.isdigit() else 0
    return frozenset(message_key(name, state, number, channel) for channel in (entry.trailer("Channels") or "").split())


def _alerts(project: Project, since: float) -> Iterator[Entry]:
    """Yield the records that name whom to tell, from `since` on, in landing order."""
    found = []
    for entry in project.ledger.entries(limit=_LOOKED):
        at = datetime.fromisoformat(entry.at).timestamp()
        if at < since - GIVE_UP:
            break
        if entry.kind == Kind.ALERT and at >= since and entry.trailer("Channels"):
            found.append(entry)
    yield from reversed(found)


def _incident(project: Project, entry: Entry) -> Incident | None:
    record = project.ledger.record(entry.commit)
    data = record.files.get(incident_path(entry.trailer("Incident") or "")) if record else None
    try:
        return decode_incident(data) if data else None
    except ValueError:
        return None


def _receipt(project: Project, outbox: Outbox) -> str | None:
    """Say on the ledger what has arrived; return the commit."""
    arrived = outbox.unreceipted()
    if not arrived:
        return None
    told: dict[str, dict[str, str]] = {}
    for item in arrived:
        name = item.message.incident
        known = told.setdefault(name, receipts(project.ledger.files, name))
        at = datetime.fromtimestamp(item.delivered or 0.0, UTC)
        known[item.message.key] = f"{at.isoformat(timespec='seconds')} {item.channel} revision {item.message.revision}"
    channels = sorted({item.channel for item in arrived})
    source = source_of(project, project.worktree.commit("HEAD"))
    commit = project.ledger.append(receipts_record(secrets.token_hex(8), told, channels, source))
    outbox.receipted(tuple(item.message.key for item in arrived))
    return commit


def _now(project: Project) -> float:
    return project.clock().timestamp()
