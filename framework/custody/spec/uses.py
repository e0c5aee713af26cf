"""`uses:` with `with:` and how it is run, and the measures beside it: durations and sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from custody.domain.uses import Uses

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MEASURE = re.compile(r"([0-9.]+)([A-Za-z]+)")


def uses_of(value: str | Mapping[str, Any]) -> Uses:
    """Return what a `uses` says that is a mapping, or a name alone."""
    if isinstance(value, str):
        return Uses(value)
    return Uses(
        name=value["uses"],
        with_=value.get("with", {}),
        files=tuple(value.get("files", ())),
        timeout=seconds(value["timeout"]) if "timeout" in value else None,
        retries=int(value.get("retries", 0)),
        memory=size(value["memory"]) if "memory" in value else None,
    )


def seconds(value: str | float) -> float:
    """Return a duration such as `10m`, or a number of seconds, in seconds."""
    return _measured(value, _SECONDS)


def size(value: str | int) -> int:
    """Return a size such as `2GB`, or a number of bytes, in bytes."""
    return int(_measured(value, _BYTES))


def _measured(value: str | float, units: Mapping[str, int]) -> float:
    if not isinstance(value, str):
        return float(value)
    found = _MEASURE.match(value)
    if found is None:
        raise ValueError(f"{value} is no measure")
    return float(found[1]) * units[found[2]]
