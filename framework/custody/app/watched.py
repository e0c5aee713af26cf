"""What is watched: the models with monitors, and the run that serves in the stage that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from custody.app.ingest import contract
from custody.app.project import Project
from custody.app.promoted import Source, source_of_run
from custody.app.records import recorded
from custody.domain.monitors import Monitors
from custody.domain.record import Run
from custody.domain.spec import DatasetSpec, ModelSpec, Spec
from custody.errors import CustodyError, UsageError
from custody.spec.hints import meant


@dataclass(frozen=True, slots=True)
class Watched:
    """One model that is watched: `run` serves in the stage that its monitors name, `since` it was promoted.

    `source` is what its artifact is and where the code of its own lies; `names` are all that it was ever called.
    """

    model: ModelSpec
    monitors: Monitors
    dataset: DatasetSpec
    run: Run
    version: str
    since: datetime
    source: Source
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """The contract of the dataset's columns."""
        return contract(self.dataset)

    @property
    def learnt(self) -> Mapping[str, Any]:
        """The inputs of the training step: features, target, task and so on."""
        return self.run.steps["train"].inputs


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A model that declares monitors and is not watched now, and why."""

    model: str
    why: str
    error: CustodyError | None = None


def watch(project: Project, spec: Spec, names: Sequence[str]) -> tuple[tuple[Watched, ...], tuple[Unwatched, ...]]:
    """Return the models to be watched: those named, else all with monitors.

    Raises UsageError for a name that is no model, or one without monitors.
    """
    for name in names:
        if name not in spec.models:
            raise UsageError(f"there is no model {name}", code="E603", help=meant(name, spec.models))
        if spec.models[name].monitors is None:
            message = f"{name} has no monitors.yaml"
            hint = (
                f"write {spec.models[name].directory}/monitors.yaml: `every: day`, and `live:` for where rows come from"
            )
            raise UsageError(message, code="E670", help=(hint,))
    found: list[Watched] = []
    rest: list[Unwatched] = []
    for model in (spec.models[name] for name in dict.fromkeys(names or spec.models)):
        if model.monitors is None:
            continue
        item = _watched(project, spec, model, model.monitors)
        if isinstance(item, Watched):
            found.append(item)
        else:
            rest.append(item)
    return tuple(found), tuple(rest)


def zone_named(name: str) -> tzinfo:
    """Return the time zone of windows; raises UsageError where this machine does not know it."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"this machine does not know the time zone {name}"
        raise UsageError(message, code="E221", help=("pip install tzdata",)) from error


def _watched(project: Project, spec: Spec, model: ModelSpec, monitors: Monitors) -> Watched | Unwatched:
    state = project.ledger.model(model.name)
    pointer = state.stages.get(monitors.stage)
    if pointer is None:
        return Unwatched(model.name, f"nothing is in {monitors.stage}")
    if monitors.live.uses is not None and _time_column(monitors, spec.datasets[model.dataset.name]) is None:
        return Unwatched(model.name, "live.time: does not say which column tells when a row is from")
    try:
        found = recorded(project.ledger, project.ledger.state(), pointer.run)
        source = source_of_run(project, found)
    except CustodyError as error:
        return Unwatched(model.name, error.message, error)
    # of the dataset that it learnt from, which the spec may have left since
    dataset = spec.datasets.get(str(found.run.data.get("dataset"))) or spec.datasets[model.dataset.name]
    since, names = datetime.fromisoformat(pointer.at), (model.name, *state.was)
    return Watched(model, monitors, dataset, found.run, pointer.version, since, source, names)


def _time_column(monitors: Monitors, dataset: DatasetSpec) -> str | None:
    return monitors.live.time or dataset.time
