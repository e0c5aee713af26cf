"""What the plan that led to a run was read from, by Git's ids, as `run.json` holds it: its basis.

A clone that finds the same ids, and the record's stages where the spec wants them, knows without reading the spec that
nothing is to be done. A forged basis says no more than a forged run could. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from custody.core.recognition import Data, Files
from custody.core.stages import AUTO, NONE
from custody.domain.record import ModelState, Run, RunStatus


@dataclass(frozen=True, slots=True)
class Basis:
    """`base` is the digest of what everything depends on, `own` the tree of the model's folder.

    `stages` are those that the spec declares, `auto` or `none` each: what a pinned one means hangs on other records.
    """

    base: str
    own: str
    data: Data
    stages: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the basis as `run.json` holds it."""
        return {"base": self.base, "model": self.own, "dataset": list(self.data), "stages": dict(self.stages)}

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """Return the basis of a recorded run; None where it has none, or none that this custody reads."""
        value = run.basis
        try:
            name, own, ledger = value["dataset"]
            base, model, stages = value["base"], value["model"], dict(value["stages"])
        except (KeyError, ValueError, TypeError):
            return None
        texts = (name, own, ledger, base, model, *stages)
        if not all(isinstance(text, str) and text for text in texts) or not set(stages.values()) <= {AUTO, NONE}:
            return None
        return cls(base, model, (name, own, ledger), stages)

    def settles(self, run: Run, state: ModelState) -> bool:
        """Whether nothing is to be decided: the run passed, and each stage points to it, or to nothing, as declared."""
        if run.status is not RunStatus.PASSED or state.retired or state.holds:
            return False
        pointed = {stage: pointer.run for stage, pointer in state.stages.items()}
        wanted = {stage: run.id if declared == AUTO else None for stage, declared in self.stages.items()}
        stands = not pointed or run.id in pointed.values()
        return stands and all(pointed.get(stage) == target for stage, target in wanted.items())


def elsewhere(run: Run, folder: str) -> Files | None:
    """Return the code of a run that the tree of the model's folder says nothing of; None where it cannot be read."""
    files = run.closure.items() if isinstance(run.closure, Mapping) else [("", 0)]
    found = tuple(sorted((path, blob) for path, blob in files if not covered(path, folder)))
    return found if all(isinstance(blob, str | None) for _, blob in found) else None


def covered(path: str, folder: str) -> bool:
    """Whether the identity of a folder tells of the file: others there count only where they are committed."""
    return path.startswith(f"{folder}/") and path.endswith(".py")
