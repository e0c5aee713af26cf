"""What an apply did, as values: for each model what happened, what was measured, and where it is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from custody.domain.incident import Incident
from custody.domain.plan import Category, Plan, StageMove
from custody.domain.record import Run, RunStatus


@dataclass(frozen=True, slots=True)
class AppliedModel:
    """What came of one model: its run (new, judged again or promoted), and what was decided about it.

    `promoted` are the stages that moved, `registered` the version that the run became, `commit` its newest record.
    `reused` and `ran` are steps in order. `note` is one line about what surprises.
    """

    model: str
    category: Category
    run: Run | None = None
    run_status: RunStatus | None = None
    promoted: tuple[StageMove, ...] = ()
    registered: str | None = None
    commit: str | None = None
    note: str = ""
    reused: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    skipped: bool = False
    """Whether it was planned and left alone, since a model that it reads did not pass."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One apply: its plan, the models in order of name, the dataset versions recorded, and the ledger's head after it.

    `seconds` is wall time; `cancelled` is whether it was interrupted. Where `unshared_reason` is not empty, the records
    `pending` are safe here and not on the remote, and the decisions `undecided` were not made. `share_note` is what the
    remote did not take although all records landed. `left_out` is what is not in `mlops/store`, and why, a line each.
    `incidents` are those that its runs opened, changed or ended.
    """

    plan: Plan
    models: tuple[AppliedModel, ...] = ()
    data: tuple[str, ...] = ()
    seconds: float = 0.0
    ledger_head: str | None = None
    cancelled: bool = False
    pending: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unshared_reason: str = ""
    share_note: str = ""
    left_out: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
