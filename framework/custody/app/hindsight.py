"""How often the declared limits of monitors would have fired on the reference that is recorded, where there is one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from custody.app.project import Project
from custody.app.windows_recorded import recorded_reference
from custody.domain.monitors import Monitors
from custody.domain.problem import Place
from custody.domain.reference import Reference
from custody.domain.spec import MONITORS, ModelSpec
from custody.errors import CustodyError
from custody.ledger.files import LedgerFiles
from custody.ledger.reader import Reader
from custody.ledger.standing import Standing


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be said of one declared limit, and where it is written; see `core/hindsight.py`."""

    place: Place
    text: str
    fired: int | None
    of: int | None


def sights(project: Project, models: Iterable[ModelSpec]) -> Iterator[Sight]:
    """Yield what the recorded references say of declared limits; nothing where there is none that can be read."""
    asked = [(model, model.monitors) for model in models if model.monitors and model.monitors.declares_limits]
    references = _references(project) if asked else None
    for model, monitors in asked:
        reference = _reference(references, model, monitors) if references else None
        if reference is None:
            continue
        from custody.core.hindsight import hindsight  # numpy: for what has a reference alone

        for found in hindsight(monitors, reference):
            yield Sight(model.place(MONITORS, found.dotted), found.text, found.fired, found.of)


def _references(project: Project) -> LedgerFiles:
    """Return the files of the ledger as they are here: nothing is fetched, and no index is opened."""
    repository, lock = project.worktree.repository, threading.RLock()
    return LedgerFiles(Standing(repository, project.config), Reader(repository, lock), lock)


def _reference(files: LedgerFiles, model: ModelSpec, monitors: Monitors) -> Reference | None:
    try:
        recorded = recorded_reference(files, model.name)
    except CustodyError:
        return None
    found = Reference.from_dict(recorded) if recorded else None
    return found if found and found.every is monitors.every else None
