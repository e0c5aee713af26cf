"""What the plan that led to a run was read from, by Git's ids, as `run.json` holds it: its basis.

A clone that finds the same ids, and the record's stages where the spec wants them, knows without reading the spec that
nothing is to be done. A forged basis says no more than a forged run could. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from custody.core.recognition import Data, Files
from custody.core.stages import AUTO, NONE
from custody.domain.record import ModelState

_MARK = b'\n  "basis": {'
"""How it begins in `run.json`, where it comes last: nothing else begins so far left, as texts hold no newline."""


@dataclass(frozen=True, slots=True)
class Basis:
    """`run` passed its gates, `base` is the digest of what everything depends on, `own` the tree of the model's folder.

    `files` are its code elsewhere. `stages` are what the spec declares, `auto` or `none` each: what a pinned one
    means hangs on other records.
    """

    run: str
    base: str
    own: str
    data: Data
    stages: Mapping[str, str]
    files: Files = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the basis as `run.json` holds it."""
        value = {"run": self.run, "base": self.base, "model": self.own, "dataset": list(self.data)}
        return {**value, "stages": dict(self.stages), "files": dict(self.files)}

    @classmethod
    def from_dict(cls, value: Any) -> Self | None:
        """Read a basis; None where there is none, or none that this custody reads."""
        try:
            run, base, own, stages = (value[name] for name in ("run", "base", "model", "stages"))
            dataset, tree, ledger = value["dataset"]
            declared, files = set(stages.values()), tuple(sorted(value["files"].items()))
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
        if not all(isinstance(text, str) and text for text in (run, base, own, dataset, tree, ledger)):
            return None
        if not declared <= {AUTO, NONE} or not all(isinstance(blob, str | None) for _, blob in files):
            return None
        return cls(run, base, own, (dataset, tree, ledger), stages, files)

    @classmethod
    def read(cls, data: bytes) -> Self | None:
        """Read the basis at the end of a `run.json`, of which nothing else is parsed."""
        at = data.rfind(_MARK)
        try:
            return cls.from_dict(json.loads(b"{" + data[at:])["basis"]) if at >= 0 else None
        except (ValueError, KeyError, RecursionError):
            return None

    def settles(self, state: ModelState) -> bool:
        """Whether nothing is to be decided: each stage points to the run, or to nothing, as it is declared."""
        if state.retired or state.renamed or state.holds:
            return False
        pointed = {stage: pointer.run for stage, pointer in state.stages.items()}
        wanted = {stage: self.run if declared == AUTO else None for stage, declared in self.stages.items()}
        stands = not pointed or self.run in pointed.values()
        return stands and all(pointed.get(stage) == wanted.get(stage) for stage in {**pointed, **wanted})


def elsewhere(closure: Mapping[str, str | None], folder: str) -> Files:
    """Return the code that the tree of the model's folder says nothing of."""
    return tuple(sorted((path, blob) for path, blob in closure.items() if not covered(path, folder)))


def covered(path: str, folder: str) -> bool:
    """Whether the identity of a folder tells of the file: others there count only where they are committed."""
    return path.startswith(f"{folder}/") and path.endswith(".py")
