"""Status: for each model what is declared, what is recorded, what is live, whether they agree, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.quick import Quick, quick
from custody.core.deployments import Standing, standing
from custody.core.holds import hold_words
from custody.core.serving import Departure, departures
from custody.core.stages import serving
from custody.domain.plan import Change, Plan
from custody.domain.record import Deployed, Entry, Headline, Hold, ModelState, Run, RunStatus, StagePointer, State
from custody.errors import InvalidSpecError, UsageError

_BAD = {str(item) for item in RunStatus} - {str(RunStatus.PASSED)}


@dataclass(frozen=True, slots=True)
class Live:
    """What was said last to run at a place, and how that stands to its stage."""

    item: Deployed
    standing: Standing


@dataclass(frozen=True, slots=True)
class Left:
    """A version that left a stage, and the one that took its place (None: nothing)."""

    departure: Departure
    version: str | None
    replaced_by: str | None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model. `change` is what apply would do, None where the specs could not be planned.

    `serving` is the run that `stages` point to (the first stage's, else the last run); `last` is the newest record,
    `failure` the newest run that did not pass, where nothing passed since. `pinned` is what the spec says of each
    stage, `data_at` the time of the data that serves and `data_age` its seconds until now.
    """

    model: str
    declared: bool
    change: Change | None
    stages: Mapping[str, StagePointer]
    versions: int
    serving: Run | None
    last: Headline | None
    failure: Entry | None
    retired: bool = False
    holds: tuple[Hold, ...] = ()
    held: tuple[str, ...] = ()
    """The open holds in words."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    live: tuple[Live, ...] = ()
    left: tuple[Left, ...] = ()
    """What has left the stages, newest first."""
    data_at: str | None = None
    data_age: float | None = None
    was: tuple[str, ...] = ()
    renamed: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """All models in order of name; `problem` says why they could not be compared with the specs."""

    models: tuple[ModelStatus, ...]
    plan: Plan | None
    ledger_head: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """All that the ledger says, read once for all models."""

    project: Project
    state: State
    planned: Quick | None
    last: Mapping[str, Headline]
    ended: Mapping[str, tuple[str, str]]
    left: Mapping[str, tuple[Departure, ...]]
    now: datetime


def read_status(project: Project, models: Sequence[str] = ()) -> Status:
    """Compare the working tree with the ledger, for `models` or for all.

    Raises UsageError for an unknown one, LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    ledger = project.ledger
    state = ledger.state()
    planned: Quick | None = None
    problem = ""
    try:
        planned = quick(project)
    except InvalidSpecError as error:
        problem = f"{error.message}: {error.problems[0].message}" if error.problems else error.message
    plan = planned.plan if planned else None
    changes = {change.model: change for change in plan.changes} if plan else {}
    names = sorted({*changes, *state.models})
    _require(models, names)
    now = datetime.fromisoformat(project.now())
    known = _Known(project, state, planned, ledger.last_of_each(), ledger.last_ended(), departures(ledger.moves()), now)
    wanted = [name for name in names if not models or name in models]
    return Status(tuple(_status(known, name, changes.get(name)) for name in wanted), plan, state.head, problem)


def _require(models: Sequence[str], names: Sequence[str]) -> None:
    unknown = next((name for name in models if name not in names), None)
    if unknown is not None:
        near = get_close_matches(unknown, names, 1)
        hint = f"custody status {near[0]}" if near else "custody status"
        raise UsageError(f"there is no model {unknown!r}", code="E601", help=(hint,))


def _status(known: _Known, name: str, change: Change | None) -> ModelStatus:
    project = known.project
    recorded = known.state.models.get(name) or ModelState(name)
    serving = _serving(project, recorded)
    data_at = _data_at(known.state, serving)
    commit, status = known.ended.get(name, ("", ""))
    pinned = known.planned.stages.get(name) if known.planned else None
    declared = pinned is not None or (project.root / project.config.models / name / "model.yaml").is_file()
    return ModelStatus(
        model=name,
        declared=declared,
        change=change,
        stages=dict(recorded.stages),
        versions=len(recorded.versions),
        serving=serving,
        last=known.last.get(name),
        failure=project.ledger.find_entry(commit) if status in _BAD else None,
        retired=recorded.retired,
        holds=recorded.holds,
        held=tuple(hold_words(hold, recorded) for hold in recorded.holds),
        pinned=pinned or {},
        live=tuple(Live(item, standing(recorded, item)) for item in recorded.deployed),
        left=tuple(_left(recorded, item) for item in reversed(known.left.get(name, ()))),
        data_at=data_at,
        data_age=_seconds(data_at, known.now),
        was=recorded.was,
        renamed=recorded.renamed,
    )


def _left(state: ModelState, item: Departure) -> Left:
    return Left(item, state.version_of(item.run), state.version_of(item.replaced_by) if item.replaced_by else None)


def _serving(project: Project, state: ModelState) -> Run | None:
    pointer = serving(state)
    if pointer is None or (state.run and state.run.id == pointer.run):
        return state.run
    entry = project.ledger.find_entry(pointer.run)
    return project.ledger.run(entry) if entry else None


def _data_at(state: State, run: Run | None) -> str | None:
    """Return the time of the data that a run learned from, as its version says it."""
    version = state.datasets.get(f"{run.data.get('dataset')}@{run.data.get('version')}") if run and run.data else None
    found = version.get("as_of") if version else None
    return found if isinstance(found, str) else None


def _seconds(then: str | None, now: datetime) -> float | None:
    try:
        moment = datetime.fromisoformat(then) if then else None
    except ValueError:
        return None
    if moment is None:
        return None
    return max(0.0, (now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds())
