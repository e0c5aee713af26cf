"""`prepare:` as steps: the one normal form of its spellings, and where in the file a part of it is written.

The normal form is `{steps: [step…]}`; a step is `{uses, with}` or, as the first, `{columns: {name: [step…]}, rest}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custody.domain.problem import Place
from custody.domain.spec import Document

PIPELINE = "pipeline"
"""What `prepare.uses` is called where it has steps."""
ESTIMATORS = "sklearn."
GROUPS: Mapping[str, tuple[str, ...]] = {
    "number": ("number", "integer", "decimal", "null"),
    "category": ("string", "boolean", "text"),
    "time": ("date", "timestamp", "instant"),
}
"""The names for columns of a kind, with the kinds: those of manifests and those of tables."""


def steps_of(value: Any) -> list[dict[str, Any]] | None:
    """Return `prepare:` in its normal form; None where it has no steps: a built-in or a function by itself."""
    if isinstance(value, list):
        return [_step(item) for item in value]
    if isinstance(value, str):
        return [_step(value)] if value.startswith(ESTIMATORS) else None
    if "steps" in value:
        return [_step(item) for item in value["steps"]]
    if "columns" in value or str(value.get("uses", "")).startswith(ESTIMATORS):
        return [_step(value)]
    return None


def group_of(kind: str) -> str | None:
    """Return the name for columns of `kind`; None for a kind that cannot be a feature."""
    plain = kind.partition(".")[0]
    return next((group for group, kinds in GROUPS.items() if plain in kinds), None)


def selected(columns: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the features that each key of `columns` means; a column that is named is taken out of its kind.

    `kinds` maps the features to their kinds.
    """
    named = {key for key in columns if key in kinds}
    return {
        key: (key,)
        if key in kinds
        else tuple(name for name, kind in kinds.items() if name not in named and group_of(kind) == key)
        for key in columns
    }


def changes(before: Any, now: Any, path: str = "steps") -> list[tuple[str, Any, Any]]:
    """Return (path, before, now) of the least parts in which two normal forms differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = dict.fromkeys((*now, *before))
        pairs = [(f"{path}.{key}", before.get(key), now.get(key)) for key in keys]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{path}.{place}", *pair) for place, pair in enumerate(zip(before, now, strict=True))]
    else:
        return [] if before == now and type(before) is type(now) else [(path, before, now)]
    return [change for name, old, new in pairs for change in changes(old, new, name)]


def place_of(document: Document, path: str, *, key: bool = False) -> Place:
    """Return where the part at `path` of the normal form is written, else what is written around it.

    `key`: the place of its key, where that is written.
    """
    forms = [path, path.removeprefix("steps."), path.removeprefix("steps.0.")]
    # one step need not stand in a list
    forms += [form.replace(".0.with", ".with").replace(".0.uses", ".uses") for form in forms]
    dotted = max((f"prepare.{form}" for form in forms), key=lambda form: _known(document, form))
    exact = document.places.get(f"{dotted}#key") if key else None
    return exact or document.place(dotted)


def _known(document: Document, dotted: str) -> int:
    """How many parts of the path are written, whole paths first."""
    parts = dotted.split(".")
    written = next((size for size in range(len(parts), 0, -1) if ".".join(parts[:size]) in document.places), 0)
    return 2 * written + (written == len(parts))


def _step(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"uses": item}
    if "columns" in item:
        columns = {
            name: [_step(step) for step in (steps if isinstance(steps, list) else [steps])]
            for name, steps in item["columns"].items()
        }
        return {"columns": columns, **({"rest": item["rest"]} if "rest" in item else {})}
    return {"uses": item.get("uses", ""), **({"with": dict(item["with"])} if item.get("with") else {})}
