"""What a model's windows are compared with: the data it was trained on, cut into blocks of one window each.

One a model, `monitoring/<model>/reference.json`: the cells of each column, how many rows fell into each, and what the
blocks say of how much a column varies by itself. Windows name it by its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from custody.digest import digest
from custody.domain.monitoring import FORMAT, Counts, Edges
from custody.domain.monitors import Every
from custody.domain.numbers import numbers_text

BLOCKS = 12
"""With fewer blocks a reference does not know its own variation: drift is not judged by it."""

BEFORE = 4
"""How many windows before one are what `previous` compares it with, and by how many its rows are judged."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far windows may be from what they are compared with: `value`, for windows of `rows` rows or more.

    `spread` are values of the blocks in ascending order, evenly thinned; `of` is how many there were. `sees` is the
    smallest fault that is found: a shift in standard deviations, of categories the share of rows that turn into the
    commonest; None: none is. `stat` is what was measured.
    """

    value: float
    rows: int
    of: int
    spread: tuple[float, ...] = ()
    sees: float | None = None
    stat: str = "psi"

    def to_dict(self) -> dict[str, Any]:
        value = {"value": self.value, "rows": self.rows, "of": self.of, "spread": numbers_text(self.spread)}
        value |= {"sees": self.sees} if self.sees is not None else {}
        return value | ({"stat": self.stat} if self.stat != "psi" else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        facts = {name: value[name] for name in ("value", "rows", "of", "sees", "stat") if name in value}
        return cls(**facts, spread=tuple(map(float, value["spread"].split())))


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference knows of one column, or of the predictions.

    `limits` are by what windows are compared with (training, previous, same_period); none where drift is not judged,
    and `why` says why. `mode` is the greatest share of its commonest value in a block and `commonest` what it may be in
    a window, `nulls` the greatest share of nulls. `always` are the cells of categories that no block lacked, `steady`:
    blocks held one value alone, or the next may. Between the two of `reach` lie the extremes of the next window.
    `least`, `greatest` and `closed` (no other values than those known) are what the dataset declares.
    """

    edges: Edges
    counts: Counts
    limits: Mapping[str, Limit] = field(default_factory=dict)
    why: str | None = None
    mode: float | None = None
    commonest: float | None = None
    nulls: float = 0.0
    always: tuple[int, ...] = ()
    steady: bool = False
    reach: tuple[float, float] | None = None
    least: float | None = None
    greatest: float | None = None
    closed: bool = False

    @property
    def constant(self) -> bool:
        """Whether the reference holds one value alone, and shows it."""
        varied = self.edges.edges or (self.edges.values is not None and (len(self.edges.values) != 1 or self._rest))
        return not varied and not self.edges.hidden and self.counts.known > 0

    @property
    def _rest(self) -> bool:
        return bool(self.counts.cells[-1]) or self.edges.others is None

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"edges": self.edges.to_dict(), "counts": self.counts.to_text()}
        value |= {"limits": {name: limit.to_dict() for name, limit in self.limits.items()}} if self.limits else {}
        value |= {name: getattr(self, name) for name in _SCALARS if getattr(self, name) != getattr(_NOTHING, name)}
        value |= {"reach": numbers_text(self.reach)} if self.reach else {}
        return value | ({"always": list(self.always)} if self.always else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        low, high = map(float, value.get("reach", "nan nan").split())
        return cls(
            Edges.from_dict(value["edges"]),
            Counts.from_text(value["counts"]),
            {name: Limit.from_dict(limit) for name, limit in value.get("limits", {}).items()},
            always=tuple(value.get("always", ())),
            reach=(low, high) if "reach" in value else None,
            **{name: value[name] for name in _SCALARS if name in value},
        )


_SCALARS = ("why", "mode", "commonest", "nulls", "steady", "least", "greatest", "closed")
_NOTHING = Known(Edges(), Counts(()))


@dataclass(frozen=True, slots=True)
class Volume:
    """How many rows a window has.

    `least` is the 5 % quantile of the blocks' rows, by slot: seven days of the week for windows of a day, 24 hours for
    those of an hour, else one. `drop` and `rise` are how far a window may be from the median of the last four of its
    slot, as factors.
    """

    least: tuple[float, ...]
    drop: float = 0.5
    rise: float = 2.0

    def to_dict(self) -> dict[str, Any]:
        return {"least": list(self.least), "drop": self.drop, "rise": self.rise}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(tuple(value["least"]), value["drop"], value["rise"])


@dataclass(frozen=True)  # without slots: the digest is made once, and asked for with each window
class Reference:
    """All that windows of one model are judged by.

    `data` names the dataset version or versions, `run` the run whose predictions were taken. `every` None: the rows
    have no time and are taken as independent, with limits by size. `blocks` is how many blocks `limits` come from.
    `outcomes` is what is judged against when outcomes arrive: JSON values, see `core/outcomes.py`. `others` are the
    counts of further versions that windows are compared with, by name.
    """

    model: str
    run: str
    data: str
    edges: str
    rows: int
    every: Every | None
    blocks: int
    stat: str
    columns: Mapping[str, Known]
    prediction: Known | None = None
    volume: Volume | None = None
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """The digest by which windows name it."""
        return digest(self.to_dict())

    @property
    def cells(self) -> dict[str, Edges]:
        """The edges by column, as profiles of windows are counted over."""
        return {name: known.edges for name, known in self.columns.items()}

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"format": FORMAT} | {name: getattr(self, name) for name in _FACTS}
        value |= {"every": str(self.every) if self.every else None}
        value |= {"columns": {name: known.to_dict() for name, known in self.columns.items()}}
        value |= {"prediction": self.prediction.to_dict()} if self.prediction else {}
        value |= {"volume": self.volume.to_dict()} if self.volume else {}
        value |= {"outcomes": dict(self.outcomes)} if self.outcomes else {}
        others = {
            other: {name: counts.to_text() for name, counts in columns.items()}
            for other, columns in self.others.items()
        }
        return value | ({"others": others} if others else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a reference's file; raises KeyError, TypeError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the reference has format {value['format']!r}, this custody reads {FORMAT}")
        others = value.get("others", {})
        return cls(
            **{name: value[name] for name in _FACTS},
            every=Every(value["every"]) if value["every"] else None,
            columns={name: Known.from_dict(known) for name, known in value["columns"].items()},
            prediction=Known.from_dict(value["prediction"]) if "prediction" in value else None,
            volume=Volume.from_dict(value["volume"]) if "volume" in value else None,
            outcomes=value.get("outcomes", {}),
            others={
                other: {name: Counts.from_text(counts) for name, counts in columns.items()}
                for other, columns in others.items()
            },
        )


_FACTS = ("model", "run", "data", "edges", "rows", "blocks", "stat")
