"""`new`: the specs of a first model, filled in from what the dataset's newest version tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.project import Project
from custody.app.render import render
from custody.domain.spec import DatasetSpec, Manifest, Task
from custody.errors import UsageError
from custody.spec.hints import meant
from custody.spec.load import name_fault
from custody.spec.words import say

FILES = ("model.yaml", "data.yaml", "pipeline.yaml", "gates.yaml", "monitors.yaml")
_CLASSES = 20
"""A target of whole numbers with more distinct values is taken for a quantity."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user said of the new model; what is None is inferred."""

    name: str
    dataset: str
    target: str
    task: str | None = None
    owner: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was written: the folder, its files, and what was inferred."""

    directory: str
    files: tuple[str, ...]
    inferred: Mapping[str, str]


def new(project: Project, wish: Wish) -> Scaffold:
    """Write the files of a new model.

    Raises UsageError where the name cannot be one or is taken, the dataset has no version, or the target is no column.
    """
    fault = name_fault(wish.name)
    if fault:
        raise UsageError(f"{say(wish.name)} cannot be the name of a model, expected {fault}", code="E643")
    directory = f"{project.config.models}/{wish.name}"
    folder = project.root / directory
    if folder.exists():
        message = f"{directory} is there already; nothing was written"
        raise UsageError(message, code="E644", help=(f"custody check {directory}", "or choose another name"))
    dataset, manifest = _version(project, wish)
    values = _values(wish, dataset, manifest)
    texts = {file: render(f"model/{file}.j2", root=project.root, **values) for file in FILES}
    _write(folder, texts)
    inferred = {key: str(values[key]) for key in ("task", "owner", "purpose") if getattr(wish, key) is None}
    return Scaffold(directory, tuple(f"{directory}/{file}" for file in FILES), inferred)


def _version(project: Project, wish: Wish) -> tuple[DatasetSpec, Manifest]:
    spec, _ = project.load()
    name, _, label = wish.dataset.partition("@")
    dataset = spec.datasets.get(name)
    if dataset is None:
        message = f"there is no sound dataset {say(name)}"
        raise UsageError(message, code="E201", help=(*meant(name, spec.datasets), "custody check"))
    manifest = dataset.versions.get(label or dataset.latest or "")
    if manifest is None:
        message = f"dataset {say(name)} has no version {say(label)}" if label else f"dataset {say(name)} has no version"
        raise UsageError(message, code="E203", help=(f"custody data add {name} {label} PATH".replace("  ", " "),))
    if wish.target not in manifest.stored_columns:
        message = f"target {say(wish.target)} is not a column of {name}@{manifest.version}"
        raise UsageError(message, code="E204", help=meant(wish.target, manifest.stored_columns))
    return dataset, manifest


def _values(wish: Wish, dataset: DatasetSpec, manifest: Manifest) -> dict[str, Any]:
    column = manifest.columns[wish.target]
    task = Task(wish.task) if wish.task else _task(column)
    classes = column.get("distinct", 0) if task is Task.CLASSIFICATION else 0
    return {
        "name": wish.name,
        "owner": wish.owner or dataset.owner,
        "purpose": wish.purpose or dataset.purposes[0],
        "task": str(task),
        "target": wish.target,
        "dataset": f"{manifest.dataset}@{manifest.version}",
        "split": _split(dataset, manifest, wish.target, task),
        "estimator": f"sklearn.HistGradientBoosting{'Classifier' if task is Task.CLASSIFICATION else 'Regressor'}",
        "metrics": _metrics(task, classes),
    }


def _task(column: Mapping[str, Any]) -> Task:
    kind = str(column.get("kind", ""))
    if kind.startswith("number") or (kind.startswith("integer") and column.get("distinct", 0) > _CLASSES):
        return Task.REGRESSION
    return Task.CLASSIFICATION


def _split(dataset: DatasetSpec, manifest: Manifest, target: str, task: Task) -> dict[str, Any]:
    if dataset.time in manifest.stored_columns:
        return {"by": dataset.time, "test": 0.2}
    return {"stratify": target, "test": 0.2, "seed": 7} if task is Task.CLASSIFICATION else {"test": 0.2, "seed": 7}


def _metrics(task: Task, classes: int) -> dict[str, dict[str, float]]:
    if task is Task.REGRESSION:
        return {"r2": {"min": 0.2, "max_drop": 0.02}}
    if classes > 2:  # noqa: PLR2004
        return {"balanced_accuracy": {"min": 0.6, "max_drop": 0.02}}
    return {"roc_auc": {"min": 0.7, "max_drop": 0.02}}


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
