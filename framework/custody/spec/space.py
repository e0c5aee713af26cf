"""From `train.max_depth=4,6,8` and `train.learning_rate=log:1e-3..0.3` to the axes of a space."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from custody.core.space import Axis, Choice, Range
from custody.errors import UsageError
from custody.spec.emit import flow
from custody.spec.override import OPTION
from custody.spec.yaml12 import parse

_RANGE = re.compile(r"\s*(?P<log>log:)?\s*(?P<low>[-+.\deE]+?)\s*\.\.\s*(?P<high>[-+.\deE]+)\s*")
_INTEGER = re.compile(r"[-+]?\d{1,9}")


def parse_space(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return an axis for each `PATH=VALUES`. Raises UsageError for what is neither values nor a range, or is twice."""
    axes = tuple(_axis(text) for text in texts)
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise _fault(f"{name} is set twice", f"{OPTION} {name}=4,6")
    return axes


def _axis(text: str) -> Axis:
    name, equals, value = text.partition("=")
    if equals and (found := _RANGE.fullmatch(value)):
        return _range(name, found, text)
    if "," not in value:
        return Choice(name, (value.strip(),))
    parsed = parse(f"value: [{value}]".encode(), OPTION)
    values = parsed.value.get("value") if not parsed.problems else None
    if not isinstance(values, list) or set(parsed.value) != {"value"}:
        message = f"{OPTION} {text}: the values are no YAML list"
        raise _fault(message, f"{OPTION} {name}=4,6,8", f"{OPTION} '{name}=[1, 2],[3]'   values that are lists")
    return Choice(name, tuple(dict.fromkeys(flow(item) for item in values)))


def _range(name: str, found: re.Match[str], text: str) -> Range:
    try:
        low, high = float(found["low"]), float(found["high"])
    except ValueError as error:
        raise _fault(
            f"{OPTION} {text}: a range goes from one number to another", f"{OPTION} {name}=0.01..0.3"
        ) from error
    log = bool(found["log"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        least = "above 0 " if log else ""
        message = f"{OPTION} {text}: a range goes from a number {least}up to a greater one"
        raise _fault(message, f"{OPTION} {name}={'log:1e-4..1e-1' if log else '0.01..0.3'}")
    integer = bool(_INTEGER.fullmatch(found["low"]) and _INTEGER.fullmatch(found["high"]))
    return Range(name, low, high, integer, log)


def _fault(message: str, *help: str) -> UsageError:
    return UsageError(message, code="E434", help=help)
