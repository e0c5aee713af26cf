"""What the nodes of a sweep mean: those of its combinations, with every result that several need made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Condition
from threading import Event as Cancel

from custody.app.steps import Running, RunSteps
from custody.core.keys import step_key
from custody.core.reuse import reused
from custody.domain.graph import Node, Ref, StepRecord, StepStatus
from custody.domain.ports import ProcessEnd, Task

_POLL = 0.1


class SweepSteps:
    """Satisfies the port `Steps`. A node whose result another one is making waits for it, in the engine's thread.

    Whoever makes it is running, so there is always one that waits for nobody. A result that failed is not tried again
    by the next combination: it would fail in the same way.
    """

    def __init__(
        self, steps: RunSteps, model: str, runs: dict[str, Running], start: Callable[[str], Running], cancel: Cancel
    ) -> None:
        """`runs` are those that began, by label; `start` begins one. `steps` reads the same `runs`."""
        self._steps = steps
        self._model = model
        self._runs = runs
        self._start = start
        self._cancel = cancel
        self._changed = Condition()
        self._made: dict[str, tuple[str, StepRecord]] = {}
        self._at_work: dict[str, str] = {}

    def begin(self, node: Node, upstream: Mapping[str, Ref]) -> StepRecord | Task:
        """Return a result that is there or was just made, or the work to be done for it."""
        key = step_key(node.step, node.inputs, {role: ref.digest for role, ref in upstream.items()})
        if found := self._claim(key, node.id):
            return found
        try:
            if node.model not in self._runs:
                self._runs[node.model] = self._start(node.model)
            begun = self._steps.begin(node, upstream)
        except BaseException:
            self._release(key, node.id)
            raise
        if isinstance(begun, StepRecord):
            self._release(key, node.id)
            return begun
        return replace(begun, payload={**begun.payload, "model": self._model})

    def end(self, node: Node, task: Task, end: ProcessEnd) -> StepRecord:
        """Turn the end of the process into the step's record, and let go on who waits for it."""
        try:
            record = self._steps.end(node, task, end)
            if record.status is not StepStatus.CANCELLED:
                self._made[task.key] = self._runs[node.model].id, record
            return record
        finally:
            self._release(task.key, node.id)

    def _claim(self, key: str, node: str) -> StepRecord | None:
        """Return what was made under the key; None where `node` is to make it, or all is to stop."""
        with self._changed:
            while key in self._at_work and not self._cancel.is_set():
                self._changed.wait(_POLL)
            if key in self._made:
                run, record = self._made[key]
                return reused(record, run) if record.usable else record
            self._at_work.setdefault(key, node)
            return None

    def _release(self, key: str, node: str) -> None:
        with self._changed:
            if self._at_work.get(key) == node:
                del self._at_work[key]
            self._changed.notify_all()
