"""Writing specs back: the resolved spec of a model for the ledger, and the manifest of a dataset version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from custody.core.preparation import PIPELINE
from custody.domain.spec import Manifest, MetricGate, ModelSpec, SliceGate, Split
from custody.domain.uses import Uses
from custody.spec.emit import block

_MODEL_DEEP = frozenset(("features", "inputs", "prepare", "steps", "train", "with", "gates", "metrics", "slices"))
_MODEL_DEEP |= {"monitors", "live", "quality", "drift", "outcomes", "alert", "on_alert"}
_MANIFEST_DEEP = frozenset(("columns", "files"))
_MANIFEST_HEAD = "# written by custody; do not edit\n"


def dump_model(model: ModelSpec, manifest: Manifest, features: Sequence[str]) -> bytes:
    """Return the resolved spec of `model` as one YAML document: fixed order, one parameter a line.

    `manifest` is the version that its dataset resolved to, `features` the columns it learns from.
    """
    about: dict[str, Any] = {"owner": model.owner, "purpose": model.purpose, "tier": model.tier}
    about |= {"description": model.description, "task": str(model.task), "target": model.target}
    about |= {"positive": model.positive, "stages": dict(model.stages) or None}
    document = {
        **_given(about),
        "dataset": {"version": f"{manifest.dataset}@{manifest.version}", "logical": manifest.logical},
        "split": _split(model.split),
        "features": list(features),
        **({"inputs": {column: str(ref) for column, ref in model.inputs.items()}} if model.inputs else {}),
        "prepare": _prepare(model.prepare),
        "train": _uses(model.train),
        "seed": model.seed,
        **_given({"schedule": model.schedule}),
        "gates": _given(
            {
                "metrics": {gate.metric: _metric_limits(gate) for gate in model.metrics} or None,
                "slices": {gate.column: _slice_limits(gate) for gate in model.slices} or None,
            }
        ),
        **({"monitors": dict(model.monitors.declared)} if model.monitors else {}),
    }
    return block(document, deep=_MODEL_DEEP).encode()


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the file of a dataset version; `load_manifest` of it is `manifest` again.

    Raises ValueError for NaN and infinity, which no spec may hold.
    """
    document = {
        "format": manifest.format,
        "as_of": manifest.as_of,
        "by": manifest.by,
        **_given({"parent": manifest.parent}),
        "rows": manifest.rows,
        "logical": manifest.logical,
        "files": [{"path": item.path, "size": item.size, "sha256": item.sha256} for item in manifest.files],
        "source": manifest.source,
        "columns": manifest.columns,
    }
    return (_MANIFEST_HEAD + block(document, deep=_MANIFEST_DEEP)).encode()


def _given(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _split(split: Split) -> dict[str, Any]:
    seed = None if str(split.kind) == "ordered" else split.seed
    value = {"kind": str(split.kind), "column": split.column, "test": split.test, "from": split.start, "seed": seed}
    return _given(value)


def _uses(uses: Uses) -> dict[str, Any]:
    value = {"uses": uses.name, "with": dict(uses.with_) or None, "files": list(uses.files) or None}
    timeout = int(uses.timeout) if uses.timeout and uses.timeout.is_integer() else uses.timeout
    limits = {"timeout": timeout, "retries": uses.retries or None, "memory": uses.memory}
    return _given({**value, **limits})


def _prepare(uses: Uses) -> dict[str, Any]:
    """Steps as they are written in pipeline.yaml."""
    value = _uses(uses)
    if uses.name != PIPELINE:
        return value
    return {**uses.with_, **{key: item for key, item in value.items() if key not in {"uses", "with"}}}


def _metric_limits(gate: MetricGate) -> dict[str, Any]:
    return _given({"min": gate.min, "max": gate.max, "max_drop": gate.max_drop, "n": gate.n})


def _slice_limits(gate: SliceGate) -> dict[str, Any]:
    limits = {"metric": gate.metric, "min": gate.min, "max": gate.max, "min_ratio": gate.min_ratio, "n": gate.n}
    return _given(limits)
