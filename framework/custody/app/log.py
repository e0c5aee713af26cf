"""Log: the records of the ledger, newest first."""

from __future__ import annotations

from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import named_now
from custody.domain.record import Entry
from custody.errors import UsageError


def read_log(
    project: Project, model: str | None = None, limit: int | None = None, *, trials: bool = False
) -> tuple[Entry, ...]:
    """Return the newest `limit` records (None: all) of one model or of all; of the ledger, or those of trials.

    A former name of a model leads to it.

    Raises UsageError for an unknown model, LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    ledger = project.ledger
    now = named_now(ledger.state(), model) if model else None
    name = now.name if now else model
    found = _tried(project, name, limit) if trials else tuple(ledger.entries(name, limit))
    if model and not found:
        known = ledger.state().models
        near = get_close_matches(model, known, 1)
        verb = "custody log --trials" if trials else "custody log"
        hint = (f"{verb} {near[0]}",) if near else (verb,)
        raise UsageError(f"nothing is recorded of {model!r}", code="E601", help=hint)
    return found


def _tried(project: Project, model: str | None, limit: int | None) -> tuple[Entry, ...]:
    """Return the newest trials, of commits and of working trees: two histories that only their dates bring together."""
    found = [entry for ledger in project.all_trials for entry in ledger.entries(model, limit)]
    return tuple(sorted(found, key=lambda entry: entry.at, reverse=True)[:limit])
