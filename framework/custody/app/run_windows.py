"""The training runs of a model as windows of their own kind, so that one that fails alerts the way a monitor does."""

from __future__ import annotations

from datetime import UTC, datetime

from custody.core.suspects import RUN
from custody.domain.monitoring import Health, Judged, Signal, Window
from custody.domain.monitors import Every, Level
from custody.domain.ports import Ledger
from custody.domain.record import Entry, RunStatus
from custody.domain.search import RunQuery, RunRow

_LAST = 8
"""Runs that are looked at: an incident of runs ends with the first that passes."""
_HEALTH = {
    RunStatus.PASSED: Health.OK,
    RunStatus.REJECTED: Health.ALERT,
    RunStatus.FAILED: Health.ALERT,
    RunStatus.CRASHED: Health.ALERT,
}
"""How a run is judged; what was refused or interrupted says nothing of the model."""


def run_windows(ledger: Ledger, model: str) -> tuple[Judged, ...]:
    """Return the last runs of a model, each as a window that ends when it was judged; one a second, the newest."""
    found: dict[str, Judged] = {}
    for row in ledger.search(RunQuery(model=model, limit=_LAST)):
        judged = _judged(ledger, row)
        found.setdefault(judged.window.name, judged)
    return tuple(found.values())


def _judged(ledger: Ledger, row: RunRow) -> Judged:
    entry = ledger.find_entry(row.commit)
    at = datetime.fromisoformat(entry.at if entry else row.finished).astimezone(UTC)
    window = Window(f"{at:%Y-%m-%d %H:%M:%SZ}", Every.HOUR, at.isoformat(), at.isoformat())
    health = _HEALTH.get(RunStatus(row.status), Health.WAITING)
    signals = (_signal(row, entry),) if health is Health.ALERT else ()
    version = f"v{row.version}" if row.version else None
    return Judged(row.model, row.run, version, window, RUN, health, 0, row.run, "", signals)


def _signal(row: RunRow, entry: Entry | None) -> Signal:
    said = entry.subject if entry else row.status
    text = said if row.run[:8] in said else f"run {row.run[:8]}: {said}"
    return Signal(RUN, Level.ALERT, text, metric=row.status, at_once=True)
