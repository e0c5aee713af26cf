"""Status: for each model what is declared and what is recorded, whether they agree, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.core.holds import hold_words
from custody.core.stages import serving
from custody.domain.plan import Change, Plan
from custody.domain.record import Entry, Hold, Kind, ModelState, Run, RunStatus, StagePointer
from custody.errors import InvalidSpecError, UsageError

_BAD = {str(item) for item in RunStatus} - {str(RunStatus.PASSED)}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model. `change` is what apply would do, None where the specs could not be planned.

    `serving` is the run that `stages` point to (the first stage's, else the last run); `last` is the newest record,
    `failure` the newest run that did not pass, where nothing passed since.
    """

    model: str
    declared: bool
    change: Change | None
    stages: dict[str, StagePointer]
    versions: int
    serving: Run | None
    last: Entry | None
    failure: Entry | None
    retired: bool = False
    holds: tuple[Hold, ...] = ()
    held: tuple[str, ...] = ()
    """The open holds in words."""


@dataclass(frozen=True, slots=True)
class Status:
    """All models in order of name; `problem` says why they could not be compared with the specs."""

    models: tuple[ModelStatus, ...]
    plan: Plan | None
    ledger_head: str | None
    problem: str = ""


def read_status(project: Project, models: Sequence[str] = ()) -> Status:
    """Compare the working tree with the ledger, for `models` or for all.

    Raises UsageError for an unknown one, LedgerError where a shared ledger was not fetched.
    """
    from custody.app.base import plan_against

    require_ledger(project)
    state = project.ledger.state()
    plan: Plan | None = None
    problem = ""
    try:
        plan = plan_against(project, None).plan
    except InvalidSpecError as error:
        problem = f"{error.message}: {error.problems[0].message}" if error.problems else error.message
    changes = {change.model: change for change in plan.changes} if plan else {}
    names = sorted({*changes, *state.models})
    unknown = [name for name in models if name not in names]
    if unknown:
        raise UsageError(f"there is no model {unknown[0]!r}", code="E601", help=("custody status",))
    wanted = [name for name in names if not models or name in models]
    found = tuple(_status(project, name, changes.get(name), state.models.get(name)) for name in wanted)
    return Status(found, plan, state.head, problem)


def _status(project: Project, name: str, change: Change | None, state: ModelState | None) -> ModelStatus:
    recorded = state or ModelState(name)
    declared = (project.root / project.config.models / name / "model.yaml").is_file()
    entries = tuple(project.ledger.entries(name)) if state else ()
    runs = [entry for entry in entries if entry.kind in {Kind.RUN, Kind.VERDICT}]
    failure = runs[0] if runs and runs[0].trailer("Status") in _BAD else None
    return ModelStatus(
        model=name,
        declared=declared,
        change=change,
        stages=dict(recorded.stages),
        versions=len(recorded.versions),
        serving=_serving(project, recorded),
        last=entries[0] if entries else None,
        failure=failure,
        retired=recorded.retired,
        holds=recorded.holds,
        held=tuple(hold_words(hold, recorded) for hold in recorded.holds),
    )


def _serving(project: Project, state: ModelState) -> Run | None:
    pointer = serving(state)
    if pointer is None or (state.run and state.run.id == pointer.run):
        return state.run
    entry = project.ledger.find_entry(pointer.run)
    return project.ledger.run(entry) if entry else None
