"""Side by side: recorded runs and trials beside the first of them, from what is stored of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from custody.app.branch import require_ledger
from custody.app.compare import compare_runs, read_answers, trials
from custody.app.project import Project
from custody.app.records import find_record, find_run
from custody.core.comparison import Comparison
from custody.core.curves import Curve, curves
from custody.core.side_by_side import Row, differing
from custody.domain.record import Run
from custody.errors import CustodyError, UsageError

MOST = 8
LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs: `target` is how it was asked for, `own` its metrics with their intervals.

    `against` compares it with the first one, whose own is None. `curves` are empty where no predictions are here.
    """

    letter: str
    target: str
    run: Run
    commit: str
    trial: bool
    version: str | None
    stages: tuple[str, ...]
    own: Comparison
    against: Comparison | None = None
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The runs in the order they were asked for, and in which facts they differ."""

    sides: tuple[Side, ...]
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics of any of the runs, those with limits first."""
        runs = [side.run for side in self.sides]
        judged = [name for run in runs for name in run.limits.get("metrics", {})]
        every = dict.fromkeys(name for run in runs for name in run.metrics)
        return tuple(dict.fromkeys([*(name for name in judged if name in every), *every]))


def side_by_side(project: Project, targets: Sequence[str]) -> SideBySide:
    """Return two to eight runs beside the first: ids of runs or trials, MODEL[@STAGE | @vN], vN.

    Raises UsageError for another number of them and for what is recorded nowhere.
    """
    if not 1 < len(targets) <= MOST:
        message = f"compare needs two to {MOST} runs, not {len(targets)}"
        raise UsageError(message, code="E611", help=("custody runs", "custody compare churn@production v3"))
    require_ledger(project)
    found = [_find(project, letter, target) for letter, target in zip(LETTERS, targets, strict=False)]
    runs = [side.run for side in found]
    slices = _slices(runs)
    first = found[0].run
    sides = []
    for side in found:
        against = None if side is found[0] else compare_runs(project, first, side.run, slices)
        own = against if against and against.paired else compare_runs(project, side.run, side.run, slices)
        sides.append(_measured(project, side, own, against))
    return SideBySide(tuple(sides), differing(runs))


def _find(project: Project, letter: str, target: str) -> Side:
    nothing = Comparison(())
    try:
        found = find_run(project.ledger, target)
    except UsageError as error:
        side = _find_trial(project, letter, target)
        if side is None:
            raise UsageError(error.message, code=error.code, help=("custody runs",)) from error
        return side
    commit, run = found.holder.commit, found.run
    return Side(letter, target, run, commit, False, found.version, found.stages, nothing)


def _find_trial(project: Project, letter: str, target: str) -> Side | None:
    for ledger in trials(project):
        entry = find_record(ledger, target)
        run = ledger.run(entry) if entry else None
        if entry is not None and run is not None:
            return Side(letter, target, run, entry.commit, True, None, (), Comparison(()))
    return None


def _measured(project: Project, side: Side, own: Comparison, against: Comparison | None) -> Side:
    try:
        drawn = curves(read_answers(project, side.run))
    except (CustodyError, ValueError, KeyError, TypeError, IndexError):
        drawn = ()  # the comparison says why there are no predictions
    return replace(side, own=own, against=against, curves=drawn)


def _slices(runs: Sequence[Run]) -> dict[str, str]:
    """Return the metric that is shown for each column of which slices are judged."""
    return {column: one["metric"] for run in runs for column, one in run.limits.get("slices", {}).items()}
