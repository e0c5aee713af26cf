"""Step keys: what a step's result depends on, and nothing else.

`key = "k1:" + sha256(canonical JSON of ["k1", step, inputs, upstream])`. `inputs` are the step's part of the spec and
the digest of its code; `upstream` maps a role to the digest of the output used. Limits, labels, owners, time-outs
and retries are in no key, so that changing them can never train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custody.digest import digest
from custody.domain.spec import Column, DatasetSpec, Manifest, ModelSpec, Split

VERSION = "k1"
UPSTREAM: Mapping[str, Mapping[str, str]] = {
    "fetch": {},
    "validate": {"table": "fetch"},
    "split": {"table": "fetch"},
    "prepare": {"table": "fetch", "split": "split"},
    "train": {"table": "fetch", "split": "split", "transformer": "prepare"},
    "evaluate": {"table": "fetch", "split": "split", "model": "train"},
}
"""The roles of each step's upstream outputs, and the steps that make them."""

READ_INPUTS = frozenset({"prepare", "train", "evaluate"})
"""The steps that see the scores of other models."""
_DRAWS_NOTHING = frozenset({"tabular"})
"""What `prepare` may name that is not random; own code may be, whatever it does with its seed."""
_CONTRACT = ("type", "min", "max", "values", "null_max", "unique")


def step_key(step: str, inputs: Mapping[str, Any], upstream: Mapping[str, str]) -> str:
    """Return the key of `step`; `upstream` maps each role to the digest of the output used."""
    return f"{VERSION}:{digest([VERSION, step, inputs, upstream])}"


def features_of(model: ModelSpec, dataset: DatasetSpec, manifest: Manifest) -> tuple[str, ...]:
    """Return the columns that the model learns from, in the table's order.

    Those declared; without a declaration all stored columns but the target, the key, the time and the sensitive ones.
    The scores of other models come last.
    """
    if model.features is not None:
        return (*model.features, *model.inputs)
    kept_out = {model.target, dataset.key, dataset.time}
    kept_out |= {name for name, column in dataset.columns.items() if column.sensitive or column.personal}
    return (*(name for name in manifest.stored_columns if name not in kept_out), *model.inputs)


def step_inputs(
    model: ModelSpec,
    dataset: DatasetSpec,
    manifest: Manifest,
    code: Mapping[str, str | None],
    environment: str | None = None,
    artifacts: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the inputs of every step of `model`; `code` maps `prepare` and `train` to their closure's digest.

    The seed is no input of a `prepare` that draws nothing at random. `environment` is one where it is to retrain,
    `artifacts`, digests by column, where other models are read.
    """
    features = list(features_of(model, dataset, manifest))
    learning = {"features": features, "target": model.target, "task": str(model.task)}
    positive = {"positive": model.positive}
    seed = {"seed": model.seed}
    locked = {"environment": environment} if environment else {}
    read = {"inputs": dict(artifacts)} if artifacts else {}
    return {
        "fetch": {"logical": manifest.logical},
        "validate": {"contract": _contract(dataset, manifest)},
        "split": _split(model.split, dataset),
        "prepare": {
            "uses": model.prepare.name,
            "with": dict(model.prepare.with_),
            **learning,
            **({} if model.prepare.name in _DRAWS_NOTHING else seed),
            **locked,
            **read,
            "code": code.get("prepare"),
        },
        "train": {
            "uses": model.train.name,
            "with": dict(model.train.with_),
            **learning,
            **positive,
            **seed,
            **locked,
            **read,
            "code": code.get("train"),
        },
        "evaluate": {
            **learning,
            **positive,
            "slices": sorted(gate.column for gate in model.slices),
            **seed,
            **read,
        },
    }


def _split(split: Split, dataset: DatasetSpec) -> dict[str, Any]:
    value = {"kind": str(split.kind), "test": split.test, "column": split.column, "seed": split.seed}
    # only where it is given, so that the keys of all other splits stay what they were
    start = {"from": split.start} if split.start is not None else {}
    return {**value, "time": dataset.time, **start}


def _contract(dataset: DatasetSpec, manifest: Manifest) -> dict[str, Any]:
    stored = set(manifest.stored_columns)
    columns = {name: _rules(column) for name, column in dataset.columns.items() if name in stored}
    key = dataset.key if dataset.key in stored else None
    return {"key": key, "columns": {name: rules for name, rules in columns.items() if rules}}


def _rules(column: Column) -> dict[str, Any]:
    rules = {name: getattr(column, name) for name in _CONTRACT}
    # `is`, since 0 == False: a bound of nought is a rule
    kept = {name: rule for name, rule in rules.items() if rule is not None and rule is not False}
    return {name: list(rule) if name == "values" else rule for name, rule in kept.items()}
