"""Records of the ledger as lines, newest first, and as JSON with every trailer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from custody.cli.views.text import Tone, columns, one_line
from custody.domain.record import Entry


def text(entries: Sequence[Entry]) -> str:
    """Return one line a record: commit, when, who, and its subject."""
    if not entries:
        return "Nothing is recorded yet."
    rows = [
        [Tone.WARN(entry.commit[:9]), when(entry.at), Tone.FAINT(who(entry)), one_line(entry.subject) + _behind(entry)]
        for entry in entries
    ]
    return "\n".join(columns(rows))


def _behind(entry: Entry) -> str:
    """Return the request that a record came of, and whom it was made for where that is somebody else."""
    behalf = (entry.trailer("Behalf") or "").partition(";")[0].partition(" <")[0]
    told = [one_line(entry.trailer("Change") or ""), f"for {one_line(behalf)}" if behalf != who(entry) else ""]
    words = " ".join(filter(None, told if behalf else told[:1]))
    return Tone.FAINT(f"  {words}") if words else ""


def when(at: str) -> str:
    """Return an ISO time to the minute, in its own offset: `2026-11-24 18:20Z`."""
    stamp = one_line(at)
    zone = "Z" if stamp.endswith(("+00:00", "Z")) else stamp[19:]
    return f"{stamp[:10]} {stamp[11:16]}{zone}" if len(stamp) > 16 else stamp  # noqa: PLR2004


def who(entry: Entry) -> str:
    """Return the name of who ran, without the address."""
    return one_line((entry.trailer("Actor") or entry.author).partition(" <")[0])


def to_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the same facts."""
    return [entry_json(entry) for entry in entries]


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return one record."""
    return {
        "commit": entry.commit,
        "record": entry.id,
        "kind": str(entry.kind),
        "subject": entry.subject,
        "author": entry.author,
        "at": entry.at,
        "trailers": [list(pair) for pair in entry.trailers],
        "body": entry.body,
    }
