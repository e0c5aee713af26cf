"""What differs between recorded runs: parameters, data, code, environment, limits. Only from their records; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from custody.core.parameters import parameters
from custody.digest import canonical_json
from custody.domain.record import Run

_SHORT = 12
_MANY = 6
ABSENT = "absent"
"""How a file is shown that was looked up and not there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of which the runs differ: `values` are in the order of the runs, None where a run has none."""

    section: str
    name: str
    values: tuple[Any, ...]


def differing(runs: Sequence[Run]) -> tuple[Row, ...]:
    """Return what the runs differ in, by section."""
    return tuple(row for section, facts in _SECTIONS.items() for row in _rows(section, [facts(run) for run in runs]))


def _rows(section: str, facts: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for name in dict.fromkeys(name for item in facts for name in item):
        values = tuple(item.get(name) for item in facts)
        if len({canonical_json([value]) for value in values}) > 1:
            yield Row(section, name, values)


def _data(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if run.data:
        found["version"] = f"{run.data.get('dataset')}@{run.data.get('version')}"
        found["rows"] = run.data.get("rows")
        found["digest"] = str(run.data.get("logical"))[:_SHORT]
    split, train = (run.steps.get(step) for step in ("split", "train"))
    found |= {f"split.{name}": value for name, value in (split.inputs if split else {}).items()}
    return found | {name: train.inputs.get(name) for name in ("target", "features") if train}


def _code(run: Run) -> dict[str, Any]:
    files = {path: ABSENT if blob is None else blob[:_SHORT] for path, blob in run.closure.items()}
    return {"commit": run.code[:_SHORT] if run.code else None, **files}


def _environment(run: Run) -> dict[str, Any]:
    found = {name: run.environment.get(name) for name in ("python", "implementation", "platform")}
    found["lock"] = str(run.environment.get("lock") or "")[:_SHORT] or None
    for item in run.environment.get("distributions", ()):
        name, _, version = str(item).partition("==")
        found[name] = version
    return found | {str(name): value for name, value in run.environment.get("threads", {}).items()}


def _limits(run: Run) -> dict[str, Any]:
    return {
        f"{kind}.{name}.{limit}": value
        for kind, limits in run.limits.items()
        for name, one in limits.items()
        for limit, value in one.items()
    }


_SECTIONS: Mapping[str, Callable[[Run], Mapping[str, Any]]] = {
    "parameters": parameters,
    "data": _data,
    "code": _code,
    "environment": _environment,
    "gates": _limits,
}


def shown(value: Any) -> str:
    """Return a value of a row for a person: short lists whole, long ones by their length."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value)) if len(value) <= _MANY else f"{len(value)} items"
    return str(value).lower() if isinstance(value, bool) else str(value)
