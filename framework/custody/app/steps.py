"""What a node means while a wave runs: its key, what may be reused, the task for its process, and its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from custody.core.keys import step_key
from custody.core.reuse import reused
from custody.core.subject import Lookup
from custody.domain.graph import Node, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.ports import Ending, ProcessEnd, Store, Task
from custody.errors import CustodyError
from custody.ledger.intents import Intent

ENTRY = "custody.app.step:run"
PRELOAD = (
    "custody.app.step",
    "custody.app.ingest",
    "pyarrow.compute",
    "pyarrow.parquet",
    "skops.io",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.experimental.enable_iterative_imputer",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "threadpoolctl",
)
"""What every step process finds imported already."""
_STATUS = {
    Ending.DONE: StepStatus.DONE,
    Ending.TIMED_OUT: StepStatus.TIMED_OUT,
    Ending.CANCELLED: StepStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Running:
    """One run that is under way: its id, its intent on disk, its code folder and its model's directory."""

    id: str
    intent: Intent
    directory: str
    code: Path | None


@dataclass(frozen=True, slots=True)
class RunSteps:
    """Satisfies the port `Steps`. `runs` is by model; `logs` is the folder for the logs of steps."""

    runs: Mapping[str, Running]
    lookup: Lookup
    store: Store
    store_root: Path
    logs: Path
    extensions: tuple[str, ...]

    def begin(self, node: Node, upstream: Mapping[str, Ref]) -> StepRecord | Task:
        """Fix the key; reuse what it already has if the bytes are here, else return the work."""
        used = {role: ref.digest for role, ref in upstream.items()}
        key = step_key(node.step, node.inputs, used)
        found = None if node.forced else self.lookup.step(key)
        if found and found[1].output and self._here(found[1].output):
            return reused(found[1], found[0])
        run = self.runs[node.model]
        self._bring(node, upstream)
        run.intent.started(node.step)
        payload = {
            "step": node.step,
            "model": node.model,
            "directory": run.directory,
            "inputs": dict(node.inputs),
            "upstream": {role: ref.to_dict() for role, ref in upstream.items()},
            "settings": dict(node.settings),
            "store": str(self.store_root),
            "code": str(run.code) if run.code else None,
            "extensions": list(self.extensions),
        }
        return Task(ENTRY, payload, self.logs / run.id / f"{node.step}.log", key, used)

    def end(self, node: Node, task: Task, end: ProcessEnd) -> StepRecord:
        """Turn the end of the process into the step's record, with its log stored."""
        record = StepRecord(
            node.step,
            _STATUS.get(end.ending, StepStatus.FAILED),
            task.key,
            node.inputs,
            task.upstream,
            error=end.error,
            log=self._log(task.log),
            seconds=round(end.seconds, 3),
            cpu=round(end.cpu, 3),
            memory=end.memory,
            attempts=end.attempts,
        )
        if end.ending is Ending.DONE:
            record = _with_output(record, end.result)
        self.runs[node.model].intent.step(record)
        return record

    def _here(self, output: StepOutput) -> bool:
        return all(self.store.has(ref.object) for ref in (output.ref, *output.extra.values()))

    def _bring(self, node: Node, upstream: Mapping[str, Ref]) -> None:
        """Have what the step reads in the folder that its process reads; what is missing, the process says."""
        read = node.inputs.get("inputs", {}).values()
        for digest in (*(ref.object for ref in upstream.values()), str(node.settings.get("file", "")), *read):
            self.store.has(digest)

    def _log(self, path: Path) -> str | None:
        try:
            return self.store.put_file(path) if path.stat().st_size else None
        except (OSError, CustodyError):
            return None


def _with_output(record: StepRecord, result: Mapping[str, Any] | None) -> StepRecord:
    """A step is done only if what it returned has the shape of a StepOutput; facts must be finite JSON."""
    try:
        output = StepOutput.from_dict(result or {})
        json.dumps(dict(output.facts), allow_nan=False)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        wrong = f"the step returned the wrong thing: {type(error).__name__}: {error}"
        return replace(record, status=StepStatus.FAILED, error=wrong)
    return replace(record, output=output)
