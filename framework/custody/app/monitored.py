"""What a sweep of monitors is asked and what it says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from custody.app.outbox import Delivery
from custody.core.due import BY_ITSELF, Asked
from custody.domain.incident import Incident
from custody.domain.monitoring import Judged
from custody.domain.ports import Shared


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """What to judge and how. `due`: only models whose schedule has fired; `dry_run`: record nothing, tell nobody.

    `share_timeout` is in seconds; `environ` is where channels find their secrets.
    """

    models: tuple[str, ...] = ()
    asked: Asked = BY_ITSELF
    due: bool = False
    dry_run: bool = False
    engine: str = "prefect"
    jobs: int = 2
    share_timeout: float = 60.0
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SweptModel:
    """What came of one model: the windows `judged` anew, those that are `waiting`, how many were recorded `already`.

    `error` is why it could not be judged, `why` that there was nothing to do; `notes` are what its reference lacks.
    """

    model: str
    judged: tuple[Judged, ...] = ()
    waiting: tuple[Judged, ...] = ()
    already: int = 0
    error: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of a deed of `on_alert`: `line` says what was done, or why it is `withheld`; `new`: that is news.

    `undo` is the command that takes it back, where there is something to be taken back.
    """

    incident: str
    model: str
    what: str
    line: str
    undo: str = ""
    withheld: bool = False
    new: bool = True


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did.

    `record` is its commit, None where nothing was recorded; `incidents` are those that changed, `acted` is what came of
    what they ask for, `delivery` what became of the messages about them.
    """

    models: tuple[SweptModel, ...]
    record: str | None = None
    incidents: tuple[Incident, ...] = ()
    acted: tuple[Acted, ...] = ()
    dry_run: bool = False
    cancelled: bool = False
    shared: Shared | None = None
    delivery: Delivery | None = None
    seconds: float = 0.0

    @property
    def judged(self) -> tuple[Judged, ...]:
        return tuple(item for model in self.models for item in model.judged)

    @property
    def failed(self) -> tuple[SweptModel, ...]:
        return tuple(model for model in self.models if model.error)
