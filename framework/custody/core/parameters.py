"""The parameters of a run under the names that people set them by: `train.max_depth`, `prepare.scale`, `seed`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from custody.digest import canonical_json
from custody.domain.record import Run

_LONGEST = 200
"""Characters of one value as JSON that the trailer holds; longer ones stand in spec.yaml alone."""
_ROOM = 4_000
"""Characters of the whole trailer."""


def parameters(run: Run) -> dict[str, Any]:
    """Return the parameters by name, each step's `uses` and the seed among them; mappings are taken apart by dots."""
    found: dict[str, Any] = {}
    for step in ("train", "prepare"):
        record = run.steps.get(step)
        inputs: Mapping[str, Any] = record.inputs if record else {}
        declared = run.params if step == "train" else inputs.get("with", {})
        found.update(_flat(step, declared if isinstance(declared, Mapping) else {}))
        if inputs.get("uses") is not None:
            found[f"{step}.uses"] = inputs["uses"]
    return found if run.seed is None else {**found, "seed": run.seed}


def params_trailer(run: Run) -> str:
    """Return the parameters as one line of JSON in ASCII, without what is too long; empty where there are none."""
    kept: dict[str, Any] = {}
    room = _ROOM
    for name, value in parameters(run).items():
        length = len(_json(value))
        room -= length + len(_json(name)) + 2
        if length <= _LONGEST and room >= 0:
            kept[name] = value
    return _json(kept) if kept else ""


def _flat(above: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{above}.{name}", value)
        else:
            yield f"{above}.{name}", value


def _json(value: Any) -> str:
    if value is None or type(value) in {bool, int, float} or (type(value) is str and value.isascii()):
        # the same text as below, for what nearly all parameters are
        return json.dumps(value, allow_nan=False)
    return json.dumps(json.loads(canonical_json([value]))[0], separators=(",", ":"))
