"""What the nodes of a sweep of monitors mean while an engine runs them. Nothing of them is recorded but what is judged.

The graph itself: `app/monitor_graph.py`; the work in the step process: `app/refer.py` and `app/observe.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.monitor_graph import OBSERVE, REFERENCE
from custody.app.project import Project
from custody.app.watched import Watched
from custody.core.keys import step_key
from custody.domain.graph import Node, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.ports import Ending, ProcessEnd, Task
from custody.errors import StoreError

ENTRY = {REFERENCE: "custody.app.refer:run", OBSERVE: "custody.app.observe:run"}
_STATUS = {
    Ending.DONE: StepStatus.DONE,
    Ending.TIMED_OUT: StepStatus.TIMED_OUT,
    Ending.CANCELLED: StepStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class MonitorSteps:
    """Satisfies the port `Steps`. `scratch` is a folder for logs and for what the command reads back."""

    project: Project
    watched: Mapping[str, Watched]
    scratch: Path

    def begin(self, node: Node, upstream: Mapping[str, Ref]) -> Task:
        """Return the work: what is recorded already is no node."""
        used = {role: ref.digest for role, ref in upstream.items()}
        self._bring(node)
        folder = self.folder(node.model)
        folder.mkdir(parents=True, exist_ok=True)
        key = step_key(node.step, node.inputs, used)
        return Task(ENTRY[node.step], self._payload(node), folder / f"{node.step}.log", key, used)

    def end(self, node: Node, task: Task, end: ProcessEnd) -> StepRecord:
        """Return how the step ended, with what it made."""
        status = _STATUS.get(end.ending, StepStatus.FAILED)
        output = StepOutput.from_dict(end.result) if end.result and status is StepStatus.DONE else None
        seconds = round(end.seconds, 3)
        return StepRecord(node.step, status, task.key, node.inputs, task.upstream, output, end.error, seconds=seconds)

    def folder(self, model: str) -> Path:
        """Return where the files of a model's observation are."""
        return self.scratch / model

    def _payload(self, node: Node) -> dict[str, Any]:
        source = self.watched[node.model].source
        told = {**node.settings, "scratch": str(self.folder(node.model))}
        return {
            "step": node.step,
            "model": source.made,
            "directory": source.directory,
            "inputs": dict(node.inputs),
            "upstream": told.pop("stored"),
            "settings": told,
            "store": str(self.project.root / ".mlops" / "store"),
            "code": str(source.code) if source.code else None,
            "extensions": list(source.extensions),
        }

    def _bring(self, node: Node) -> None:
        """Have what the step reads in the folder that its process reads. Raises StoreError where it is nowhere."""
        objects = [ref["object"] for ref in node.settings["stored"].values()]
        for digest in (*objects, *(node.settings.get("batches") or ())):
            if not self.project.store.has(digest):
                run = self.watched[node.model].run
                message = f"what {node.step} of {node.model} reads is not in the content store: sha256 {digest[:12]}…"
                help_ = ("custody sync", f"custody reproduce {run.id[:8]}")
                raise StoreError(message, code="store.missing", help=help_)
