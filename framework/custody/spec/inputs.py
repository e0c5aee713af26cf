"""Models that read other models: whether what `inputs:` names is there, fits, and does not read itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from custody.core.upstream import cycle
from custody.domain.problem import Problem, Severity
from custody.domain.spec import DatasetSpec, Manifest, ModelRef, ModelSpec, Spec
from custody.spec.hints import meant
from custody.spec.words import listed, say

_VERSION = re.compile(r"v[1-9][0-9]*")


def input_problems(model: ModelSpec, spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with the inputs of one model."""
    manifest = spec.resolve(model.dataset)
    path = cycle(spec.models, model.name) if model.inputs else ()
    if path:
        column = next(name for name, ref in model.inputs.items() if ref.model == path[1])
        message = f"{model.name} reads itself: {' → '.join(path)}"
        place = model.place("data", f"inputs.{column}")
        yield Problem("E219", message, place, help=(f"remove `{column}` from `inputs`",))
        return
    for column, ref in model.inputs.items():
        yield from _reference_problems(model, column, ref, spec)
        upstream = spec.models.get(ref.model)
        if manifest and upstream:
            yield from _column_problems(model, column, upstream, (manifest, spec))


def _reference_problems(model: ModelSpec, column: str, ref: ModelRef, spec: Spec) -> Iterator[Problem]:
    place = model.place("data", f"inputs.{column}")
    upstream = spec.models.get(ref.model)
    if upstream is None:
        others = [name for name in spec.models if name != model.name]
        yield Problem("E218", f"there is no model {say(ref.model)}", place, help=meant(ref.model, others))
    elif ref.at not in upstream.stages and not _VERSION.fullmatch(ref.at):
        known = listed(upstream.stages) or "none"
        message = f"{ref.model} has no stage {say(ref.at)}"
        related = upstream.place("model", "stages")
        yield Problem(
            "E218", message, place, label=f"its stages: {known}", help=meant(ref.at, upstream.stages), related=related
        )


def _column_problems(
    model: ModelSpec, column: str, upstream: ModelSpec, where: tuple[Manifest, Spec]
) -> Iterator[Problem]:
    manifest, spec = where
    place = model.place("data", f"inputs.{column}")
    version = f"{manifest.dataset}@{manifest.version}"
    if column in manifest.columns:
        message = f"input {say(column)} has the name of a column of {version}"
        yield Problem("E218", message, model.place("data", f"inputs.{column}#key"), help=("choose another name",))
    absent = [name for name in _needed(upstream, spec) if name not in manifest.stored_columns]
    if absent:
        message = f"{upstream.name} learns from {listed(absent[:3], quote=True)}, which {version} does not have"
        advice = f"use a dataset that has what {upstream.name} reads"
        yield Problem("E218", message, place, help=(advice,), related=upstream.place("data", "features"))
    if upstream.dataset.name == model.dataset.name:
        message = (
            f"{upstream.name} learns from the same dataset: its scores of rows that it was trained on are too good"
        )
        advice = "let it learn from other or earlier rows"
        yield Problem("W208", message, place, help=(advice,), severity=Severity.WARNING)


def _needed(upstream: ModelSpec, spec: Spec) -> tuple[str, ...]:
    """Return the stored columns that a model reads, as far as its spec tells."""
    dataset: DatasetSpec | None = spec.datasets.get(upstream.dataset.name)
    manifest = spec.resolve(upstream.dataset)
    if upstream.features is not None:
        return upstream.features
    if dataset is None or manifest is None:
        return ()
    from custody.core.keys import features_of

    return tuple(name for name in features_of(upstream, dataset, manifest) if name not in upstream.inputs)
