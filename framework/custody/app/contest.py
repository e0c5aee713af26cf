"""Contest: two runs of one model on the same rows of the same window of outcomes, and which one was better there.

Both are loaded, and score the live rows, in step processes; what the model said at the time is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from threading import Event as Cancel
from typing import Any

import numpy as np

from custody.app.judge_windows import Material, joined_rows
from custody.app.monitor_graph import Sight, observe_node
from custody.app.monitor_references import error_of, made_of
from custody.app.monitor_run import running
from custody.app.monitored import MonitorOptions
from custody.app.predictions import batches
from custody.app.project import Project
from custody.app.promoted import source_of_run
from custody.app.records import Recorded
from custody.app.watched import Watched
from custody.app.windows_recorded import recorded_reference
from custody.core.due import Asked, Due, end_of, start_of
from custody.core.guards import better, learnt_until
from custody.core.measures import Answers, measures
from custody.core.outcome_limits import usual
from custody.domain.graph import Event, Outcome
from custody.domain.monitoring import Window
from custody.domain.monitors import Monitors
from custody.errors import CustodyError

_EPOCH = date(1970, 1, 1)
"""What the days of joined rows are counted from."""


@dataclass(frozen=True, slots=True)
class Running:
    """How step processes are run: the engine, how many at a time, who hears of them, and what stops them."""

    engine: str
    jobs: int
    progress: Callable[[Event], None]
    cancel: Cancel
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contest:
    """What two runs reached by `metric` on the same `rows` of a window: `one` against the `other`, which serves."""

    window: str
    metric: str
    one: float
    other: float
    rows: int

    @property
    def won(self) -> bool:
        """Whether the one was better."""
        return better(self.metric, self.one, self.other)

    def __str__(self) -> str:
        return f"{self.metric} {self.one:.4g} against {self.other:.4g} in {self.window}, {self.rows:,} rows"


def contest(project: Project, watched: Watched, one: Recorded, window: Window, how: Running) -> Contest:
    """Hold `one` against the run that serves, on the rows that are later than all that either learnt from.

    Raises CustodyError where either cannot score the window's rows, or there are too few.
    """
    until = max(learnt_until(run, watched.dataset.time) for run in (one.run, watched.run))
    first, second = _answers(project, (_candidate(project, watched, one), watched), window, until, how)
    first, second = _shared(first, second)
    if len(first.ids) < watched.monitors.min_rows:
        told = f"{len(first.ids):,} rows of {window.name} have an outcome and are later than what it learnt from"
        raise CustodyError(f"{told} ({until}), {watched.monitors.min_rows:,} are needed")
    metric = _metric(watched.monitors, first)
    values = [measured.get(metric, float("nan")) for measured in map(_measured, (first, second))]
    return Contest(window.name, metric, values[0], values[1], len(first.ids))


def _candidate(project: Project, watched: Watched, one: Recorded) -> Watched:
    """Return what is watched with another run in the place of the one that serves, under a name of its own."""
    model = replace(watched.model, name=f"{watched.name}@{one.run.id[:8]}")
    return replace(watched, model=model, run=one.run, version=one.version or "", source=source_of_run(project, one))


def _answers(
    project: Project, items: tuple[Watched, Watched], window: Window, until: date, how: Running
) -> tuple[Answers, Answers]:
    """Return what two runs say of the rows of a window with an outcome, as far as these are later than `until`."""
    name = items[1].name
    reference = recorded_reference(project.ledger.files, name)
    if reference is None:
        raise CustodyError(f"there is no reference of {name}", help=(f"custody monitor {name}",))
    scored = [replace(item, monitors=_unsaid(item.monitors)) for item in items]
    sight = Sight(project.root, project.config.timezone, Asked(), project.now())
    kept = batches(project, name, *_span(window)) if items[1].monitors.live.uses is None else ()
    due = Due((), (window,))
    nodes = [observe_node(item, due, reference, kept, sight) for item in scored]
    options = MonitorOptions((name,), engine=how.engine, jobs=how.jobs)
    with running(project, scored, options, how.progress, how.cancel, how.say) as run:
        seen = {outcome.model: outcome for outcome in run(nodes)}
        materials = [
            Material(item, reference, (), due, _facts(seen[item.name], window), run.folder(item.name))
            for item in scored
        ]
        found = [joined_rows(material, window, material.seen["outcomes"][0]) for material in materials]
    first, second = (rows.answers.take(rows.days > (until - _EPOCH).days) for rows in found)
    return first, second


def _unsaid(monitors: Monitors) -> Monitors:
    """Return the monitors without the column of what the model said: the rows are scored."""
    return replace(monitors, live=replace(monitors.live, prediction=None))


def _facts(outcome: Outcome, window: Window) -> Mapping[str, Any]:
    seen = made_of(outcome)
    if seen is None:
        raise CustodyError(f"the rows of {window.name} could not be scored: {error_of(outcome)}")
    return seen


def _span(window: Window) -> tuple[str, str]:
    return start_of(window).isoformat(), end_of(window).isoformat()


def _shared(one: Answers, other: Answers) -> tuple[Answers, Answers]:
    """Return the rows that both answered, in the same order."""
    _, first, second = np.intersect1d(one.ids, other.ids, return_indices=True)
    return one.take(first), other.take(second)


def _metric(monitors: Monitors, found: Answers) -> str:
    """Return the metric that decides: the first that is declared of outcomes, else the usual one of the task."""
    declared = monitors.outcomes.metrics if monitors.outcomes else ()
    return declared[0].metric if declared else usual(found)


def _measured(found: Answers) -> dict[str, float]:
    once = np.ones((1, len(found.ids)))
    with np.errstate(all="ignore"):
        return {name: float(measure(once)[0]) for name, measure in measures(found).items()}
