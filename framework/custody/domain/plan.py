"""The ordered changes from State to Spec: pure, printable values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from custody.domain.graph import StepRecord
from custody.domain.problem import Place, Problem

MONITORING = frozenset({"monitor.changed", "monitors.added", "monitors.removed"})
"""Codes of reasons that monitors.yaml gives."""
DESCRIBING = MONITORING | {"metadata.changed"}
"""Codes of reasons that are recorded without a step."""


class Category(Enum):
    """What a change costs, cheapest sufficient work; the sign is what a plan prints, always with the word."""

    NOOP = ("=", "unchanged")
    METADATA = ("·", "metadata")
    MONITOR = ("m", "monitor")
    REGATE = ("g", "re-gate")
    REEVALUATE = ("e", "re-evaluate")
    RETRAIN = ("t", "retrain")
    REBUILD = ("T", "rebuild")
    NEW = ("+", "new")
    PROMOTE = ("^", "promote")
    ROLLBACK = ("v", "roll back")
    RETIRE = ("x", "retire")
    RENAME = ("r", "rename")
    BLOCKED = ("!", "blocked")
    HELD = ("✗", "held")
    MAYBE = ("~", "maybe")

    def __init__(self, sign: str, word: str) -> None:
        self.sign = sign
        self.word = word

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the category called `word`."""
        return next(item for item in cls if item.word == word)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something changes: `code` is stable, `subject` says what, `place` where it is written.

    Codes: never-run, data.changed, data.resolved, contract.changed, param.changed, code.changed, seed.changed,
    target.changed, task.changed, split.changed, features.changed, slice.changed, metric.added, limit.changed,
    metadata.changed, stage.changed, stage.held, hold.released, run.failed, run.interrupted, run.crashed, run.missing,
    store.missing, forced, attempts.spent, model.removed, model.returned, purpose.refused, version.edited,
    stage.unknown, model.renamed, rename.refused, gate.failed, environment.changed, upstream.changed,
    upstream.pending, input.missing, monitor.changed, monitors.added, monitors.removed, alert.

    `details` are what it consists of: the files from the entry to the changed one, or packages.
    """

    code: str
    subject: str = ""
    before: Any = None
    after: Any = None
    place: Place | None = None
    note: str = ""
    details: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "code": self.code,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "place": str(self.place) if self.place else None,
            "note": self.note,
        }
        return {**value, "details": list(self.details)} if self.details else value


class Do(Enum):
    """What will be done with a step; `MAYBE` is decided when the outputs before it are known."""

    RUN = "run"
    REUSE = "reuse"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a change: its key's inputs, and the result that is reused, if any.

    `trial` is the trial whose result is reused, where it is one's; the ledger itself has none then. A `forced` step
    runs whatever is recorded.
    """

    step: str
    do: Do
    inputs: Mapping[str, Any]
    key: str | None = None
    known: StepRecord | None = None
    trial: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class StageMove:
    """A stage that will point to another run; `run` is None where the run of this change is meant.

    A `cleared` stage will point to nothing. `releases` are the holds that the move names and thereby ends.
    """

    stage: str
    before: str | None
    run: str | None
    version: str | None = None
    cleared: bool = False
    releases: tuple[str, ...] = ()


_IDLE = (Category.NOOP, Category.HELD, Category.BLOCKED)


@dataclass(frozen=True, slots=True)
class Change:
    """What will happen to one model, why, and by which steps. A change without reasons is a bug."""

    model: str
    category: Category
    reasons: tuple[Reason, ...] = ()
    steps: Sequence[PlannedStep] = ()
    moves: tuple[StageMove, ...] = ()
    run: str | None = None
    """The recorded run that is judged again, scored again, promoted or held, where there is one."""
    notes: tuple[str, ...] = ()
    annotations: tuple[Reason, ...] = ()
    """Differences that cause no work, such as another environment (`?`)."""
    asked: str | None = None
    """The digest of what its run is asked to do; see `core/attempts.py`."""
    failed: int = 0
    """Attempts at it that have failed in a row."""
    waits: tuple[str, ...] = ()
    """Models that have to be done first: what is read of them may change."""
    was: str | None = None
    """Its former name, where it is to be renamed first."""
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What it reads of other models, by column: `{model, at, version, run, artifact}`."""

    @property
    def active(self) -> bool:
        """Whether apply has anything to do for it."""
        return self.category not in _IDLE

    @property
    def to_run(self) -> tuple[str, ...]:
        """The steps that will or may run."""
        return tuple(step.step for step in self.steps if step.do is not Do.REUSE)


@dataclass(frozen=True, slots=True)
class StepTime:
    """What a step took in its `n` last runs, in seconds: median, ninth decile, and processor time (median)."""

    p50: float
    p90: float
    cpu: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        return {"p50": self.p50, "p90": self.p90, "cpu": self.cpu, "n": self.n}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the steps to run of one change took before, by step; the whole is their sum, `n` the least of theirs."""

    steps: Mapping[str, StepTime]

    @property
    def p50(self) -> float:
        return sum(step.p50 for step in self.steps.values())

    @property
    def p90(self) -> float:
        return sum(step.p90 for step in self.steps.values())

    @property
    def cpu(self) -> float:
        return sum(step.cpu for step in self.steps.values())

    @property
    def n(self) -> int:
        return min(step.n for step in self.steps.values())

    def to_dict(self) -> dict[str, Any]:
        steps = {name: step.to_dict() for name, step in self.steps.items()}
        return {"p50": self.p50, "p90": self.p90, "cpu": self.cpu, "n": self.n, "steps": steps}


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, models in order of name. `id` is the digest of the touched models' changes."""

    id: str
    changes: tuple[Change, ...]
    spec_commit: str | None
    branch: str | None
    ledger_head: str | None
    new_versions: tuple[str, ...] = ()
    """Dataset versions, `name@label`, that apply will record first."""
    dirty: tuple[str, ...] = ()
    """Files in which the working tree, which was planned, differs from the commit."""
    warnings: tuple[Problem, ...] = ()
    last: Mapping[str, Any] = field(default_factory=dict)
    """The last record of the ledger: `{id, subject, when, who, commit}`; empty where there is none."""
    crashed: tuple[str, ...] = ()
    """Runs that died without a record; the next apply records them."""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    """By model; models of which a step never ran here have none."""
    left_out: tuple[tuple[str, Category], ...] = ()
    """Models that have something to do and were left out by choice, with what it is."""

    @property
    def active(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.active)

    @property
    def has_changes(self) -> bool:
        return bool(self.active or self.new_versions)
