"""Many numbers as one line of text: what records hold of counts, edges and the like."""

from __future__ import annotations

from collections.abc import Iterable

_EXACT = 2**53


def numbers_text(numbers: Iterable[float]) -> str:
    """Return numbers as records hold many of them: `0.5 3 1e+20`, which reads back to the same floats."""
    return " ".join(map(_number_text, numbers))


def _number_text(number: float) -> str:
    return str(int(number)) if abs(number) < _EXACT and number == int(number) else repr(float(number))
