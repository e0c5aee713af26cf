"""Calibrate: the limits that a model's reference sets, how often they would have fired on it, and what they can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event as Cancel

from custody.app.monitor_graph import Sight
from custody.app.monitor_references import OnItsWay, committed, with_references
from custody.app.monitor_run import running
from custody.app.monitored import MonitorOptions
from custody.app.project import Project
from custody.app.watched import watch
from custody.core.calibration import floor_of, would_fire
from custody.core.due import BY_ITSELF
from custody.domain.graph import Event
from custody.domain.monitors import DriftRule, Monitors
from custody.domain.reference import Known, Reference
from custody.errors import CustodyError


@dataclass(frozen=True, slots=True)
class Bound:
    """How one column, or the predictions (`column` empty), is compared with one reference.

    `limit` is what windows may be away, `fired` of `blocks` blocks of the reference would have been above it. `sees` is
    the smallest fault that is found (see `domain/reference.py`), None: none is. `why` says why nothing is judged.
    """

    column: str
    against: str
    limit: float | None = None
    fired: int = 0
    blocks: int = 0
    sees: float | None = None
    categories: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the reference of one model says; `notes` are what could not be had for it, `error` why there is none."""

    model: str
    reference: Reference | None
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


def calibrate(
    project: Project, options: MonitorOptions, progress: Callable[[Event], None], cancel: Cancel
) -> tuple[Calibrated, ...]:
    """Return what the references of the models say, made anew where none is recorded; records nothing.

    Raises as `custody.app.monitor.monitor` does.
    """
    _, spec = committed(project)
    watched, rest = watch(project, spec, options.models)
    sight = Sight(project.root, spec.config.timezone, BY_ITSELF, project.now())
    with running(project, watched, options, progress, cancel, lambda _: None) as run:
        models = with_references(project, [OnItsWay(item) for item in watched], sight, run)
    found = [_calibrated(item) for item in models]
    return tuple(sorted([*found, *(Calibrated(item.model, None, error=item.why) for item in rest)], key=_name))


def _name(item: Calibrated) -> str:
    return item.model


def _calibrated(item: OnItsWay) -> Calibrated:
    name, monitors = item.watched.name, item.watched.monitors
    if item.reference is None:
        return Calibrated(name, None, error=item.error)
    try:
        reference = Reference.from_dict(item.reference)
    except (KeyError, TypeError, ValueError) as error:
        raise CustodyError(f"the reference of {name} cannot be read: {error}", help=("custody verify",)) from error
    return Calibrated(name, reference, tuple(_bounds(reference, monitors)), item.notes)


def _bounds(reference: Reference, monitors: Monitors) -> Iterator[Bound]:
    for column, known in reference.columns.items():
        yield from _of(column, known, monitors.drift.features, monitors.drift.reference)
    if reference.prediction is not None:
        yield from _of("", reference.prediction, monitors.drift.prediction, monitors.drift.reference)


def _of(column: str, known: Known, rule: DriftRule | None, against: Sequence[str]) -> Iterator[Bound]:
    if rule is None or known.why:
        yield Bound(column, "", why=known.why or "off, as monitors.yaml says")
        return
    categories = known.edges.values is not None
    for other in against:
        limit = known.limits.get(other)
        if limit is None:
            why = "limits by the size of a window" if not known.limits else "too few blocks"
            yield Bound(column, other, categories=categories, why=why)
            continue
        value = max(floor_of(rule), limit.value) if isinstance(rule.limit, str) else rule.limit
        fired, blocks = would_fire(limit, value)
        yield Bound(column, other, value, fired, blocks, limit.sees, categories)
