"""A space of parameters and the combinations that are tried of it: all of a grid, or some at random. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

DIGITS = 6
"""Significant digits of a number that is drawn from a range: it is typed again by people."""
_TRIES = 50
Combination = tuple[str, ...]
"""One value for each axis, as YAML on one line."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An axis with values to choose from, each as YAML on one line."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """An axis of all numbers from `low` to `high`, both included; `log`: every magnitude is equally likely."""

    name: str
    low: float
    high: float
    integer: bool = False
    log: bool = False

    def holds(self, value: object) -> bool:
        """Whether `value` is a number of this range."""
        number = isinstance(value, int if self.integer else (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # type: ignore[operator]

    def drawn(self, share: float) -> str:
        """Return the value at `share` of the way, from 0 up to but not including 1."""
        low, high = (self.low, self.high + 1) if self.integer else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        if self.integer:
            return str(int(min(max(math.floor(value), self.low), self.high)))
        return repr(min(max(float(f"{value:.{DIGITS}g}"), float(self.low)), float(self.high)))


Axis = Choice | Range


def size(axes: Sequence[Axis]) -> int | None:
    """Return how many combinations there are; None for no end of them."""
    counts = [_count(axis) for axis in axes]
    known = [count for count in counts if count is not None]
    return math.prod(known) if len(known) == len(counts) else None


def grid(axes: Sequence[Axis]) -> Iterator[Combination]:
    """Yield every combination, the last axis first to change; ranges of integers count."""
    return product(*(_every(axis) for axis in axes))


def sample(axes: Sequence[Axis], count: int, seed: int) -> tuple[Combination, ...]:
    """Return at most `count` different combinations at random: the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311  (no secret)
    found: dict[Combination, None] = {}
    for _ in range(count * _TRIES):
        if len(found) == count:
            break
        found.setdefault(tuple(_drawn(axis, rng.random()) for axis in axes))
    return tuple(found)


def corners(axes: Sequence[Axis]) -> Iterator[Combination]:
    """Yield few combinations in which every value to choose and both ends of every range occur."""
    ends = [axis.values if isinstance(axis, Choice) else _ends(axis) for axis in axes]
    for place in range(max(map(len, ends), default=0)):
        yield tuple(values[min(place, len(values) - 1)] for values in ends)


def _ends(axis: Range) -> tuple[str, str]:
    return (str(int(axis.low)), str(int(axis.high))) if axis.integer else (repr(axis.low), repr(axis.high))


def _count(axis: Axis) -> int | None:
    if isinstance(axis, Choice):
        return len(axis.values)
    return int(axis.high - axis.low) + 1 if axis.integer else None


def _every(axis: Axis) -> Sequence[str]:
    if isinstance(axis, Choice):
        return axis.values
    return [str(number) for number in range(int(axis.low), int(axis.high) + 1)]


def _drawn(axis: Axis, share: float) -> str:
    return axis.values[int(share * len(axis.values))] if isinstance(axis, Choice) else axis.drawn(share)
