"""What a plan found of models and datasets, with the ids of all that it depended on, by which it is found again.

A finding holds for as long as its ids are the same, whatever happens in between; so it can never be stale. Pure: what
lies at a path now is told by functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from custody.digest import sha256
from custody.domain.plan import Reason
from custody.domain.problem import Place, Problem, Severity

FORMAT = 2
Files = tuple[tuple[str, str | None], ...]
"""Paths with the blob ids that were there; None for a name that was looked up and not found."""
Data = tuple[str, str, str]
"""A dataset as a model's plan found it: its name, its folder's identity, the tree of its records."""


class Standing(StrEnum):
    """What a plan found: the record matches, the model is retired and its folder gone, or the folder holds no spec."""

    UNCHANGED = "unchanged"
    RETIRED = "retired"
    NO_SPEC = "no spec"


_STANDINGS = {item.value: item for item in Standing}


@dataclass(frozen=True, slots=True)
class ModelFinding:
    """A model for which nothing was to be done: `own` is its folder's identity, `ledger` the tree of its records.

    `files` is its code elsewhere, and declared files. `warnings` are those of its specs, `sights` those of its code.
    """

    standing: Standing
    own: str
    ledger: str
    data: Data | None = None
    files: Files = ()
    stages: tuple[tuple[str, str], ...] = ()
    """What its spec says of each stage."""
    run: str | None = None
    annotations: tuple[Reason, ...] = ()
    warnings: tuple[Problem, ...] = ()
    sights: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetFinding:
    """A dataset without errors: its folder's identity, and the tree of its records."""

    own: str
    ledger: str
    warnings: tuple[Problem, ...] = ()

    def is_(self, data: Data) -> bool:
        """Whether the dataset is as a model's plan found it."""
        return data[1:] == (self.own, self.ledger)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is remembered. `base` is the digest of what all of it depends on: settings, environment, custody itself."""

    base: str
    models: Mapping[str, ModelFinding] = field(default_factory=dict)
    datasets: Mapping[str, DatasetFinding] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the bytes of these findings, checked by a digest in the first line."""
        shared: dict[Any, int] = {}
        models = {name: _row(item, shared) for name, item in self.models.items()}
        datasets = {name: [item.own, item.ledger, *map(asdict, item.warnings)] for name, item in self.datasets.items()}
        value = {"format": FORMAT, "base": self.base, "shared": list(shared), "datasets": datasets, "models": models}
        body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
        return f"{sha256(body)}\n".encode() + body

    @classmethod
    def decode(cls, data: bytes, base: str) -> Self:
        """Read findings back; none where they are damaged, of another format, or depended on something else."""
        head, _, body = data.partition(b"\n")
        if head.decode("ascii", "replace") != sha256(body):
            return cls(base)
        value = json.loads(body)
        if value["format"] != FORMAT or value["base"] != base:
            return cls(base)
        shared = [tuple(tuple(item) if isinstance(item, list) else item for item in one) for one in value["shared"]]
        models = {name: _model(row, shared) for name, row in value["models"].items()}
        datasets = {
            name: DatasetFinding(own, ledger, tuple(map(_problem, warnings)))
            for name, (own, ledger, *warnings) in value["datasets"].items()
        }
        return cls(base, models, datasets)

    def with_(self, models: Mapping[str, ModelFinding], datasets: Mapping[str, DatasetFinding]) -> Self:
        """Return these findings with others added, which win."""
        return replace(self, models={**self.models, **models}, datasets={**self.datasets, **datasets})


@dataclass(slots=True)
class Here:
    """What is there now: the identity of a folder, the blob id of a file, the trees of recorded models and datasets."""

    folder: Callable[[str], str | None]
    file: Callable[[str], str | None]
    models: Mapping[str, str]
    datasets: Mapping[str, str]
    _files: dict[Files, bool] = field(default_factory=dict)

    def holds_model(self, finding: ModelFinding, name: str, folder: str) -> bool:
        """Whether the finding still stands for what is there."""
        same = finding.ledger == self.models.get(name, "") and finding.own == self.folder(folder)
        return same and self._same(finding.files)

    def holds_dataset(self, finding: DatasetFinding, name: str, folder: str) -> bool:
        """Whether the finding still stands for what is there."""
        return finding.ledger == self.datasets.get(name, "") and finding.own == self.folder(folder)

    def _same(self, files: Files) -> bool:
        if files not in self._files:
            self._files[files] = all(self.file(path) == blob for path, blob in files)
        return self._files[files]


def _row(item: ModelFinding, shared: dict[Any, int]) -> list[Any]:
    places = [shared.setdefault(one, len(shared)) for one in (item.data or (), item.files, item.stages)]
    row: list[Any] = [item.standing, item.own, item.ledger, *places, item.run]
    said = (item.annotations, item.warnings, item.sights)
    return [*row, *([asdict(one) for one in kind] for kind in said)] if any(said) else row


def _model(row: list[Any], shared: list[Any]) -> ModelFinding:
    standing, own, ledger, data, files, stages, run, *said = row
    found = _STANDINGS[standing], own, ledger, shared[data] or None, shared[files], shared[stages], run
    if not said:
        return ModelFinding(*found)
    annotations, warnings, sights = said
    told = tuple(map(_reason, annotations)), tuple(map(_problem, warnings)), tuple(map(_problem, sights))
    return ModelFinding(*found, *told)


def _problem(value: Mapping[str, Any]) -> Problem:
    said = {name: tuple(value[name]) for name in ("because", "help")}
    places = {name: _place(value[name]) for name in ("place", "related")}
    return Problem(**{**value, **said, **places, "severity": Severity(value["severity"])})


def _reason(value: Mapping[str, Any]) -> Reason:
    return Reason(**{**value, "place": _place(value["place"])})


def _place(value: Mapping[str, Any] | None) -> Place | None:
    return Place(**value) if value else None
