"""A model's merged spec: each value with the line that it comes from."""

from __future__ import annotations

from typing import Any

from custody.app.show import Explained
from custody.cli.views.text import Tone, columns, fit, one_line
from custody.domain.problem import Place
from custody.spec.emit import flow
from custody.spec.explain import Origin

_WIDEST = 60


def text(found: Explained) -> str:
    """Return the values file by file: key, value, `file:line`, and what is to be known besides."""
    kinds = dict.fromkeys(item.kind for item in found.values)
    parts = []
    for kind in kinds:
        rows = [_row(item) for item in found.values if item.kind == kind]
        parts.append("\n".join([f"{kind}.yaml", *(f"  {line}" for line in columns(rows))]))
    return "\n\n".join(parts)


def to_json(found: Explained) -> dict[str, Any]:
    """Return the same facts."""
    return {"model": found.model, "profile": found.profile, "values": [_json(item) for item in found.values]}


def _row(item: Origin) -> list[str]:
    origin = _line(item.place) if item.place else Tone.FAINT(item.note)
    notes = [item.note] if item.place and item.note else []
    if item.below_place:
        notes.append(f"{'takes out' if item.removed else 'replaces'} {_value(item.below)}, {_line(item.below_place)}")
    value = Tone.FAINT("none") if item.removed else _value(item.value)
    return [one_line(item.key), value, origin, Tone.FAINT("; ".join(notes))]


def _value(value: Any) -> str:
    return fit(one_line(flow(value)), _WIDEST)


def _line(place: Place) -> str:
    return one_line(f"{place.path}:{place.line}")


def _json(item: Origin) -> dict[str, Any]:
    below = {"value": item.below, "place": str(item.below_place)} if item.below_place else None
    return {
        "file": f"{item.kind}.yaml",
        "key": item.key,
        "value": item.value,
        "place": str(item.place) if item.place else None,
        "default": item.place is None,
        "note": item.note,
        "replaces": below,
        "removed": item.removed,
    }
