"""Log: the records of the ledger, newest first."""

from __future__ import annotations

from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.domain.record import Entry
from custody.errors import UsageError


def read_log(
    project: Project, model: str | None = None, limit: int | None = None, *, trials: bool = False
) -> tuple[Entry, ...]:
    """Return the newest `limit` records (None: all) of one model or of all; of the ledger, or those of trials.

    Raises UsageError for an unknown model, LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    ledger = project.trials if trials else project.ledger
    found = tuple(ledger.entries(model, limit))
    if model and not found:
        known = ledger.state().models
        near = get_close_matches(model, known, 1)
        verb = "custody log --trials" if trials else "custody log"
        hint = (f"{verb} {near[0]}",) if near else (verb,)
        raise UsageError(f"nothing is recorded of {model!r}", code="E601", help=hint)
    return found
