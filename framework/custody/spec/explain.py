"""Where every value of a model comes from: its own files, its profile's, or a default."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.core.keys import features_of
from custody.domain.problem import Place
from custody.domain.spec import LATEST, DatasetSpec, Document, Manifest, ModelSpec
from custody.spec.build import TABULAR
from custody.spec.functions import PARAMS
from custody.spec.schema import schema

_KEPT_OUT = "all columns but the target, the key, the time and sensitive ones"


@dataclass(frozen=True, slots=True)
class Origin:
    """One value of one file of a merged spec.

    `place` is where it is written; None for a default. `note` says what else is to be known of it. `below` is the
    value of the profile that it replaces or, where `removed`, takes out, written at `below_place`.
    """

    kind: str
    key: str
    value: Any
    place: Place | None = None
    note: str = ""
    below: Any = None
    below_place: Place | None = None
    removed: bool = False


def explain(model: ModelSpec, dataset: DatasetSpec | None, manifest: Manifest | None) -> tuple[Origin, ...]:
    """Return all values of a model in the order of its files, with the defaults of what no file says.

    `manifest` is the version that its dataset resolves to, where there is one.
    """
    found = [item for kind in model.documents for item in _of_file(kind, model.documents[kind])]
    known = {(item.kind, item.key) for item in found}
    noted = [_resolved(item, model, manifest) for item in found]
    if model.features is None and dataset and manifest:
        learned = list(features_of(model, dataset, manifest))
        noted.append(Origin("data", "features", learned, note=f"default: {_KEPT_OUT}"))
    if model.prepare.name == TABULAR:
        noted += [
            Origin("pipeline", key, value, note="default of tabular")
            for key, value in _tabular_defaults()
            if ("pipeline", key) not in known
        ]
    order = list(model.documents)
    return tuple(sorted(noted, key=lambda item: order.index(item.kind)))


def _of_file(kind: str, document: Document) -> Iterator[Origin]:
    written = dict(_leaves(document.value))
    before = dict(_leaves(document.below.value)) if document.below else {}
    for key, value in written.items():
        place = document.place(key)
        below = document.below.place(key) if document.below and key in before else None
        if below is None or below == place:
            yield Origin(kind, key, value, place)
        else:
            yield Origin(kind, key, value, place, below=before[key], below_place=below)
    for key, value in before.items():
        if document.below and key not in written and document.place(key) != document.below.place(key):
            yield Origin(kind, key, None, document.place(key), "", value, document.below.place(key), removed=True)
    for key, value in _defaults(schema(kind), document.value):
        if key != "split.seed" or "by" not in document.value.get("split", {}):
            yield Origin(kind, key, value, note="default")


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _defaults(rules: Mapping[str, Any], value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the defaults that a schema has for what is not in `value`, below what is."""
    known: Mapping[str, Any] = rules.get("properties", {})
    for key, inner in known.items():
        if key not in value and "default" in inner:
            yield f"{prefix}{key}", inner["default"]
    rest = rules.get("additionalProperties")
    for key, item in value.items():
        inner = known.get(key, rest)
        if isinstance(item, Mapping) and isinstance(inner, Mapping):
            yield from _defaults(inner, item, f"{prefix}{key}.")


def _resolved(item: Origin, model: ModelSpec, manifest: Manifest | None) -> Origin:
    if (item.kind, item.key) != ("data", "dataset") or model.dataset.version != LATEST or manifest is None:
        return item
    note = f"now {manifest.dataset}@{manifest.version}"
    return Origin(item.kind, item.key, item.value, item.place, note, item.below, item.below_place)


def _tabular_defaults() -> Iterator[tuple[str, Any]]:
    """Yield the defaults of `tabular`, read from its source: the module itself belongs to the steps' processes."""
    source = (Path(__file__).parents[1] / "kit" / f"{TABULAR}.py").read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name == PARAMS:
                for key, rules in ast.literal_eval(value)["properties"].items():
                    if "default" in rules:
                        yield f"prepare.with.{key}", rules["default"]
