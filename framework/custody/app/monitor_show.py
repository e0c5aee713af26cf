"""What the ledger says of the models that are watched: their windows and open incidents. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from custody.app.branch import require_ledger
from custody.app.incident_files import recorded_incidents
from custody.app.project import Project
from custody.app.windows_recorded import recorded_windows
from custody.domain.incident import Incident
from custody.domain.monitoring import Judged
from custody.domain.monitors import Monitors
from custody.errors import UsageError
from custody.spec.hints import meant


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """One model: what its monitors.yaml says by now (None: it has none any more), its windows, and open incidents.

    `serves` is the version in the stage that is watched.
    """

    model: str
    owner: str
    monitors: Monitors | None
    serves: str | None
    windows: tuple[Judged, ...]
    incidents: tuple[Incident, ...]

    def last(self, what: str) -> Judged | None:
        """Return the newest window of a kind."""
        return next((item for item in reversed(self.windows) if item.what == what), None)


def watched_models(project: Project, names: Sequence[str]) -> tuple[WatchedModel, ...]:
    """Return the models named, else all that have monitors or windows.

    Raises UsageError for a name that has neither, LedgerError where the ledger cannot be read.
    """
    require_ledger(project)
    models, files = project.load()[0].models, project.ledger.files
    recorded = {path.split("/")[1] for path in files.under("monitoring")}
    known = sorted({*recorded, *(name for name, model in models.items() if model.monitors)})
    for name in names:
        if name not in known:
            message = f"nothing is monitored of {name}"
            raise UsageError(message, code="E603", help=(*meant(name, known), "custody monitor show"))
    open_ = [item for item in recorded_incidents(files) if item.firing]
    found = []
    for name in names or known:
        model, state = models.get(name), project.ledger.model(name)
        monitors = model.monitors if model else None
        pointer = state.stages.get(monitors.stage if monitors else "production")
        windows = recorded_windows(files, name, *state.was)
        own = tuple(item for item in open_ if name in item.models)
        serves = pointer.version if pointer else None
        found.append(WatchedModel(name, model.owner if model else "", monitors, serves, windows, own))
    return tuple(found)
