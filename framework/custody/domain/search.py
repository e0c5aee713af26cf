"""Searching runs: a condition as a value, the question that it is part of, and one row of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Operator(StrEnum):
    """How a name is compared with a value, or with a list of them."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a condition and where it stands: columns count from 1."""

    text: str
    column: int

    @property
    def width(self) -> int:
        return max(1, len(self.text))


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written: a number, true or false, or a text; `quoted` texts are nothing else."""

    value: float | int | bool | str
    word: Word
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name operator value`; IN has several values, every other operator one."""

    name: Word
    operator: Operator
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """`name is null`: the run has no such value."""

    name: Word


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; of a comparison with a value that is not there, neither holds."""

    term: Condition


@dataclass(frozen=True, slots=True)
class All:
    """All of the terms."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of the terms."""

    terms: tuple[Condition, ...]


Condition = Comparison | IsNull | Not | All | Either


class Order(StrEnum):
    """In which order runs are listed by a value. BEST: a metric's best first, everything else as it ascends."""

    BEST = "best first"
    ASCENDING = "ascending"
    DESCENDING = "descending"


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs of a ledger, of one model or of all, in which order; newest first where `sort` names nothing.

    `text` is what `where` was written as. `now` is the time that `-7d` counts from, ISO 8601 in UTC. `stages` maps a
    stage to the ids of the runs that it points to.
    """

    where: Condition | None = None
    text: str = ""
    model: str | None = None
    sort: Word | None = None
    order: Order = Order.BEST
    limit: int | None = None
    now: str = ""
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the index knows it, as it was last judged; metrics have six significant digits.

    `trial` is whether it is one of `custody try`. Times are ISO 8601 in UTC; `finished` is when it was recorded where
    the run itself does not say. `rank` is the value that it was sorted by.
    """

    run: str
    commit: str
    trial: bool
    model: str
    status: str
    category: str
    version: int | None
    started: str | None
    finished: str
    seconds: float | None
    data: str
    digest: str
    gates_passed: int | None
    gates: int | None
    code: str
    actor: str
    branch: str
    artifact: str
    metrics: Mapping[str, float]
    params: Mapping[str, Any]
    rank: Any = None

    @property
    def dataset(self) -> str:
        return self.data.partition("@")[0]
