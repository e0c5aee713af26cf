"""What the planner looks at for one model: its spec, what is recorded of it, and what can be asked besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from custody.core.attempts import asked
from custody.core.codechange import CodeChange
from custody.core.difference import Comparison, metadata_of, metadata_reasons, monitor_reasons, monitors_of
from custody.core.gates import limits_of
from custody.core.locked import Lock
from custody.domain.graph import StepRecord
from custody.domain.plan import Reason
from custody.domain.record import ModelState, Run
from custody.domain.spec import DatasetSpec, Manifest, ModelSpec


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the planner asks of the record and the store; see the ports Ledger and Store.

    `code` tells what changed in the code of a model's step since a run.
    """

    step: Callable[[str], tuple[str, StepRecord] | None]
    runs: Callable[[str, str], Iterable[Run]]
    has: Callable[[str], bool]
    code: Callable[[str, str, Run], CodeChange | None] = lambda _model, _step, _run: None


@dataclass(frozen=True, slots=True)
class Subject:
    """One declared model with all that its plan depends on."""

    model: ModelSpec
    dataset: DatasetSpec
    manifest: Manifest
    state: ModelState
    inputs: Mapping[str, Mapping[str, Any]]
    lookup: Lookup
    lock: Lock | None = None
    again: str | None = None
    """The step that is run again whatever is recorded, and why."""
    why: str = ""
    alert: str = ""
    """The incident that asks for what is done, if one does."""

    @property
    def limits(self) -> dict[str, Any]:
        return limits_of(self.model)

    def described(self, run: Run) -> list[Reason]:
        """Return what is recorded beside results and differs from what `run` has: metadata and monitors."""
        reasons = metadata_reasons(self.model, run.metadata, metadata_of(self.model, self.manifest))
        return reasons + monitor_reasons(self.model, run.monitors, monitors_of(self.model))

    def against(self, run: Run) -> Comparison:
        """Return the pair to compare."""
        changed = partial(self.lookup.code, self.model.name)
        return Comparison(self.model, self.dataset, self.manifest, run, lambda step: changed(step, run), self.lock)

    @property
    def question(self) -> str:
        """The digest of all that may make a run of it succeed."""
        return asked(self.model, self.inputs, self.lock.blob if self.lock else None)
