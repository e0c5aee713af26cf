"""Which limits a change loosens: what a reviewer must not overlook. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_LOOSER_WHEN_LOWER = {"metrics": {"min", "n"}, "slices": {"min", "min_ratio"}}
_LOOSER_WHEN_HIGHER = {"metrics": {"max", "max_drop"}, "slices": {"max", "n"}}
"""Slices of fewer than `n` rows are not judged: there a greater `n` is the looser one."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A limit that judges less than before; `path` is as in gates.yaml. `after` is None where it was removed."""

    path: str
    before: Any
    after: Any = None


def relaxed(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Relaxed, ...]:
    """Return the limits that `now` loosens or no longer has; both as `core.gates.limits_of` gives them."""
    return tuple(_relaxed(before, now))


def _relaxed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Relaxed]:
    for group in ("metrics", "slices"):
        for name, old in before.get(group, {}).items():
            new = now.get(group, {}).get(name, {})
            for field in dict.fromkeys((*old, *new)):
                if _looser(group, field, old, new):
                    yield Relaxed(f"{group}.{name}.{field}", old.get(field), new.get(field))


def _looser(group: str, field: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = old.get(field), new.get(field)
    if before == after:
        return False
    if field == "metric":
        return True  # another metric is judged by limits that were set for the first
    if field == "n" and group == "slices":
        return after is not None and (before is None or after > before)
    if before is None:
        return False
    if after is None:
        return True
    lower = field in _LOOSER_WHEN_LOWER[group] and after < before
    return lower or (field in _LOOSER_WHEN_HIGHER[group] and after > before)
