"""Guard rails of `on_alert`: why a deed that an alert asks for is withheld, and which of two models is better. Pure.

A deed is what custody does by itself, retrain or rollback. It is withheld where it would do harm or could bring
nothing; the reason is one line, which the incident shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Self

from custody.core.episodes import in_order
from custody.core.gates import LOWER_IS_BETTER, NEARER_ZERO_IS_BETTER
from custody.core.instants import instant, utc
from custody.domain.incident import Incident
from custody.domain.monitoring import Health, Judged, Window
from custody.domain.monitors import DAY, Level, Monitors
from custody.domain.record import Run
from custody.domain.spec import DatasetSpec, ModelSpec, SplitKind

RETRAIN, ROLLBACK = "retrain", "rollback"
QUALITY = frozenset(
    {"schema", "freshness", "volume", "nulls", "constant", "range", "categories", "mode", "text_number"}
)
"""Monitors of the data itself: while one of them alarms, nothing is learnt from that data."""
_DEEDS, _DONE, _WITHHELD = "deeds", "done", "withheld"
"""What an incident's facts call them: all deeds as values, and as lines the deeds and what is withheld now."""
_SILENT = frozenset({Health.WAITING, Health.NO_DATA})
_RUNS = "run"


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done of itself in an incident: `what` of which model, when, what came of it, and what undoes it."""

    what: str
    model: str
    at: str
    line: str
    undo: str = ""

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a deed from an incident's facts; raises KeyError or ValueError where it is none."""
        what, model, at, line = (str(value[name]) for name in ("what", "model", "at", "line"))
        found = cls(what, model, at, line, str(value.get("undo", "")))
        utc(found.at)
        return found


@dataclass(frozen=True, slots=True)
class Case:
    """One model of an incident that alerts, with all that the guards look at.

    `windows` are the model's, `known` all incidents that are recorded, `at` is now. `acknowledged` names who has taken
    the incident, `held` are the words of a hold on the stage.
    """

    model: str
    monitors: Monitors
    incident: Incident
    windows: Sequence[Judged]
    known: Sequence[Incident]
    at: str
    acknowledged: str | None = None
    held: str | None = None

    def deeds(self, what: str) -> tuple[Deed, ...]:
        """Return when this was done of this model before, in any incident, oldest first."""
        found = (deed for item in self.known for deed in deeds_of(item))
        mine = (deed for deed in found if deed.what == what and deed.model == self.model)
        return tuple(sorted(mine, key=lambda deed: utc(deed.at)))

    def here(self, what: str) -> int:
        """Return how often this was done of this model in this incident."""
        return sum(deed.what == what and deed.model == self.model for deed in deeds_of(self.incident))


@dataclass(frozen=True, slots=True)
class Earlier:
    """The version that a stage would go back to: when it was made, and the columns it needs that are not there."""

    version: str
    made: str | None
    missing: tuple[str, ...] = ()


def deeds_of(incident: Incident) -> tuple[Deed, ...]:
    """Return the deeds of an incident; what is none of custody's own is left out."""
    found = []
    values = incident.facts.get(_DEEDS, ())
    for value in values if isinstance(values, (list, tuple)) else ():
        try:
            found.append(Deed.from_dict(value))
        except (KeyError, ValueError, TypeError):
            continue
    return tuple(found)


def facts_with(incident: Incident, done: Iterable[Deed], withheld: Iterable[str]) -> dict[str, Any]:
    """Return the facts of the incident with what was done now, and with what is withheld now in the place of before."""
    deeds = (*deeds_of(incident), *done)
    facts = {name: value for name, value in incident.facts.items() if name not in {_DEEDS, _DONE, _WITHHELD}}
    lines = [deed.line for deed in deeds]
    facts |= {_DEEDS: [asdict(deed) for deed in deeds], _DONE: lines} if deeds else {}
    kept = list(withheld)
    return facts | ({_WITHHELD: kept} if kept else {})


def withheld_lines(incident: Incident) -> tuple[str, ...]:
    """Return what is withheld in an incident, as it stands."""
    return tuple(str(line) for line in incident.facts.get(_WITHHELD, ()))


def acts_on(incident: Incident) -> bool:
    """Whether an incident asks for deeds: it alerts and is not over."""
    return incident.firing and incident.level is Level.ALERT


def retraining_withheld(case: Case) -> str | None:
    """Return why the model is not to be trained now; None where nothing is against it.

    1. A person has it, or holds the stage. 2. What alarms is training itself, or the data. 3. Too few outcomes are
    known to tell whether a new model is better. 4. It was done of late, or often enough in this incident.
    """
    return next(_against_retraining(case), None)


def rollback_withheld(case: Case, earlier: Earlier | None) -> str | None:
    """Return why the stage is not to go back to `earlier`; None where nothing is against it but its scores, perhaps.

    1. A person has it, or holds the stage. 2. There is no earlier version, it is too old, or it needs columns that are
    not there. 3. No window of outcomes tells which one is better. 4. It was done of late, or in this incident.
    """
    return next(_against_rollback(case, earlier), None)


def latest_outcomes(case: Case) -> Judged | None:
    """Return the newest window of outcomes that was judged on enough rows; None where there is none."""
    found = [item for item in in_order(case.windows) if item.what == "outcomes" and item.health not in _SILENT]
    enough = [item for item in found if _labels(item) >= case.monitors.min_rows]
    return enough[-1] if enough else None


def failing_outcomes(case: Case) -> Window | None:
    """Return the newest window of outcomes that alarms: where an earlier model would have to be better."""
    newest = latest_outcomes(case)
    alarms = newest and any(signal.level is not Level.OFF for signal in newest.signals)
    return newest.window if newest and alarms else None


def better(metric: str, one: float, other: float) -> bool:
    """Whether `one` is a better value of the metric than `other`; what is no number is never better."""
    if not math.isfinite(one) or not math.isfinite(other):
        return False
    if metric in NEARER_ZERO_IS_BETTER:
        return abs(one) < abs(other)
    return one < other if metric in LOWER_IS_BETTER else one > other


def in_order_of_time(model: ModelSpec, dataset: DatasetSpec) -> bool:
    """Whether the model is tested on the latest rows: only then rows are known that it has not learnt from."""
    return model.split.kind is SplitKind.ORDERED and model.split.column == dataset.time


def learnt_until(run: Run, time: str | None) -> date:
    """Return the day up to which a run may have learnt from rows.

    That of its last training row, where its split is in order of the dataset's `time`; else the day on which it was
    made.
    """
    split = run.steps.get("split")
    facts = split.output.facts if split and split.output else {}
    ordered = split is not None and time is not None and split.inputs.get("column") == time
    last = str(facts.get("train_until")) if ordered else ""
    for text in (last, run.started or ""):
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            continue
    return date.max


def _against_retraining(case: Case) -> Iterator[str]:
    yield from _taken(case)
    if any(signal.monitor == _RUNS for signal in case.incident.signals):
        yield "its training runs fail"
    yield from _bad_data(case)
    if latest_outcomes(case) is None:
        yield f"no window has {case.monitors.min_rows} outcomes yet"
    yield from _spent(case, RETRAIN, case.monitors.on_alert.cooldown, case.monitors.on_alert.max_per_incident)


def _against_rollback(case: Case, earlier: Earlier | None) -> Iterator[str]:
    yield from _taken(case)
    if earlier is None:
        yield "there is no earlier version"
        return
    limit = case.monitors.on_alert.max_age
    if earlier.made is None or _seconds(earlier.made, case.at) > limit:
        yield f"{earlier.version} is more than {_days(limit)} old"
    if earlier.missing:
        yield f"{earlier.version} needs {', '.join(earlier.missing[:3])}, which is not there"
    if failing_outcomes(case) is None:
        yield "no window of outcomes alarms, by which the two could be compared"
    yield from _spent(case, ROLLBACK, DAY, 1)


def _taken(case: Case) -> Iterator[str]:
    if case.acknowledged:
        yield f"{case.acknowledged} acknowledged the incident"
    if case.held:
        yield case.held


def _bad_data(case: Case) -> Iterator[str]:
    """Yield which monitors of the data are red: in the newest window of inputs that says anything."""
    inputs = [item for item in in_order(case.windows) if item.what == "inputs"]
    if inputs and inputs[-1].health is Health.NO_DATA:
        yield f"no data came in {inputs[-1].window.name}"
    told = [item for item in inputs if item.health not in _SILENT]
    red = [signal for signal in (told[-1].signals if told else ()) if _is_red(signal.monitor, signal.level)]
    names = dict.fromkeys(f"{item.monitor}{f' of {item.column}' if item.column else ''}" for item in red)
    if names:
        shown = list(names)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""  # noqa: PLR2004
        yield f"{', '.join(shown[:3])}{more} red"


def _is_red(monitor: str, level: Level) -> bool:
    return monitor in QUALITY and level is Level.ALERT


def _spent(case: Case, what: str, cooldown: float, most: int) -> Iterator[str]:
    if case.here(what) >= most:
        yield f"done {'once' if most == 1 else f'{most} times'} in this incident"
    last = next(iter(reversed(case.deeds(what))), None)
    if last and _seconds(last.at, case.at) < cooldown:
        yield f"done {last.at[:16]}, less than {_days(cooldown)} ago"


def _labels(judged: Judged) -> int:
    return max((n for _, _, _, n in judged.measures.values()), default=0)


def _seconds(earlier: str, later: str) -> float:
    return (instant(later) - instant(earlier)) / timedelta(seconds=1)


def _days(seconds: float) -> str:
    return f"{seconds / DAY:g} d" if seconds >= DAY else f"{seconds / 3600:g} h"
