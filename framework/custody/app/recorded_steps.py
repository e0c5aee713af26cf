"""The steps of an unchanged model as a plan has them, read from its last run when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

from custody.domain.graph import STEPS
from custody.domain.plan import Do, PlannedStep
from custody.domain.record import ModelState


class RecordedSteps(Sequence[PlannedStep]):
    """All steps of a model's last run, each to be reused. Raises LedgerError where the record cannot be read."""

    def __init__(self, state: Callable[[], ModelState]) -> None:
        self._state = state

    @cached_property
    def _steps(self) -> tuple[PlannedStep, ...]:
        from custody.core.reuse import reused

        run = self._state().run
        if run is None:
            return ()
        records = [run.steps[step] for step in STEPS]
        return tuple(
            PlannedStep(record.step, Do.REUSE, record.inputs, record.key, reused(record, run.id)) for record in records
        )

    @overload
    def __getitem__(self, index: int) -> PlannedStep: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PlannedStep, ...]: ...
    def __getitem__(self, index: int | slice) -> PlannedStep | tuple[PlannedStep, ...]:
        return self._steps[index]

    def __len__(self) -> int:
        return len(STEPS)

    def __eq__(self, other: object) -> bool:
        return self._steps == (other._steps if isinstance(other, RecordedSteps) else other)

    def __hash__(self) -> int:
        return hash(len(self))
