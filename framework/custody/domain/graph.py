"""One wave of a plan as a DAG of nodes, and what came of each node. Knows nothing of Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

STEPS = ("fetch", "validate", "split", "prepare", "train", "evaluate")
"""The steps of every model, in order."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A stored thing: `digest` is its identity and flows into the keys of later steps, `object` names its bytes.

    They are equal but for tables, whose `digest` is the logical one.
    """

    kind: str
    digest: str
    object: str

    def to_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "digest": self.digest, "object": self.object}

    @classmethod
    def from_dict(cls, value: Mapping[str, str]) -> Self:
        return cls(value["kind"], value["digest"], value["object"])


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a step made: the output that flows on, further stored objects by name, and small facts for the record."""

    ref: Ref
    extra: Mapping[str, Ref] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"ref": self.ref.to_dict()}
        if self.extra:
            value["extra"] = {name: ref.to_dict() for name, ref in self.extra.items()}
        if self.facts:
            value["facts"] = dict(self.facts)
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        extra = {name: Ref.from_dict(ref) for name, ref in value.get("extra", {}).items()}
        return cls(Ref.from_dict(value["ref"]), extra, value.get("facts", {}))


class StepStatus(StrEnum):
    """How a step ended."""

    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What came of one step: its key and the key's inputs as fixed before the run, and its end.

    `key` is as in `core/keys.py`, `upstream` maps a role to the digest of the output used.
    `error` is one line; `log` is the SHA-256 of the stored log; `seconds`, `cpu` (seconds) and `memory` (peak
    bytes) are measured on the step's process; `source` is the run whose result was reused.
    """

    step: str
    status: StepStatus
    key: str
    inputs: Mapping[str, Any]
    upstream: Mapping[str, str]
    output: StepOutput | None = None
    error: str | None = None
    log: str | None = None
    seconds: float | None = None
    cpu: float | None = None
    memory: int | None = None
    attempts: int = 1
    source: str | None = None

    @property
    def usable(self) -> bool:
        """Whether its output may be used by a later step or run."""
        return self.output is not None and self.status in {StepStatus.DONE, StepStatus.REUSED}

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "status": str(self.status),
            "key": self.key,
            "inputs": dict(self.inputs),
            "upstream": dict(self.upstream),
        }
        if self.output:
            value["output"] = self.output.to_dict()
        for name in ("error", "log", "seconds", "cpu", "memory", "source"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        if self.attempts != 1:
            value["attempts"] = self.attempts
        return value

    @classmethod
    def from_dict(cls, step: str, value: Mapping[str, Any]) -> Self:
        output = StepOutput.from_dict(value["output"]) if "output" in value else None
        rest = {name: value.get(name) for name in ("error", "log", "seconds", "cpu", "memory", "source")}
        return cls(
            step,
            StepStatus(value["status"]),
            value["key"],
            value["inputs"],
            value["upstream"],
            output,
            attempts=value.get("attempts", 1),
            **rest,
        )


@dataclass(frozen=True, slots=True)
class Node:
    """One step of one model. `inputs` are all of its key's inputs but the upstream digests, fixed by the plan.

    `upstream` maps a role (`table`, `split`, `transformer`, `model`) to the id of the node that makes it.
    `settings` goes to the step beside the inputs and is no part of the key. `known` is a result that is reused; a
    `forced` node runs even where its key has a result.
    """

    id: str
    model: str
    step: str
    inputs: Mapping[str, Any]
    upstream: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    retries: int = 0
    memory: int | None = None
    known: StepRecord | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in topological order: a node stands after all that it needs."""

    nodes: tuple[Node, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node.model for node in self.nodes))


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that came of one model in a wave: one record for every step that was reached, in order."""

    model: str
    steps: tuple[StepRecord, ...]
    cancelled: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> StepRecord | None:
        """The first step that did not end well, if any."""
        return next((step for step in self.steps if not step.usable), None)


class Progress(StrEnum):
    """What just happened to a node."""

    STARTED = "started"
    RETRYING = "retrying"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """Live progress of one node; `detail` is one line (an error, a retry count)."""

    node: Node
    progress: Progress
    detail: str = ""
    seconds: float | None = None
