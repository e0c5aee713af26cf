"""What monitoring measures and says: windows, profiles and signals.

Each has one JSON form (`to_dict`, `from_dict`), which is what the ledger holds: monitoring/<model>/…
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from custody.domain.monitors import Every, Level
from custody.domain.numbers import numbers_text

FORMAT = 1


class Health(StrEnum):
    """How a window is judged; from good to bad, the two that say nothing first."""

    WAITING = "waiting"
    NO_DATA = "no data"
    OK = "ok"
    WARN = "warn"
    ALERT = "alert"

    @classmethod
    def of(cls, signals: Iterable[Signal]) -> Self:
        """Return the health of a window that was judged: that of its worst signal."""
        levels = {signal.level for signal in signals}
        return cls.ALERT if Level.ALERT in levels else cls.WARN if Level.WARN in levels else cls.OK


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, from `start` to before `end`, both ISO 8601 with offset.

    `name` is `2012-01-05T07`, `2012-01-05`, `2012-W05` or `2012-01`, in the configured time zone.
    """

    name: str
    every: Every
    start: str
    end: str

    @property
    def period(self) -> str:
        """The month in which it starts, `2012-01`: the folder of its files."""
        return self.start[:7]

    def to_dict(self) -> dict[str, str]:
        return {"name": self.name, "every": str(self.every), "start": self.start, "end": self.end}

    @classmethod
    def from_dict(cls, value: Mapping[str, str]) -> Self:
        return cls(value["name"], Every(value["every"]), value["start"], value["end"])


@dataclass(frozen=True, slots=True)
class Edges:
    """The cells of one column. Numbers: interior edges, cell i holds (e[i-1], e[i]], the outer two are open.

    Categories: `values`, one cell each, then one for all others. `others` are those others as far as the reference knew
    them; None: too many to list, so that no category is new. `low` and `high` are the reference's range, None for
    categories and for columns of which no value may be shown (`hidden`). `kind` is number, boolean, text, date (days
    since 1970) or timestamp (seconds since 1970, UTC).
    """

    edges: tuple[float, ...] = ()
    values: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    mode: float | str | None = None
    kind: str = "number"
    others: tuple[str, ...] | None = None
    hidden: bool = False

    @property
    def cells(self) -> int:
        return len(self.edges) + 1 if self.values is None else len(self.values) + 1

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {} if self.kind == "number" else {"kind": self.kind}
        value |= {"edges": numbers_text(self.edges)} if self.edges else {}
        value |= {"values": list(self.values)} if self.values is not None else {}
        value |= {"others": list(self.others)} if self.others is not None else {}
        value |= {name: getattr(self, name) for name in ("low", "high", "mode") if getattr(self, name) is not None}
        return value | ({"hidden": True} if self.hidden else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        facts: dict[str, Any] = {name: tuple(value[name]) for name in ("values", "others") if name in value}
        facts |= {name: value[name] for name in ("low", "high", "mode", "kind", "hidden") if name in value}
        return cls(tuple(map(float, value.get("edges", "").split())), **facts)


@dataclass(frozen=True, slots=True)
class Counts:
    """One column of a profile; all but `least` and `greatest` add up exactly.

    `cells` over the reference's edges; beside them `nulls`, `new` (categories that the reference does not know),
    `text` (values of a number column that are no numbers), `below` and `above` (outside the reference's range by more
    than a tenth of it), `mode` (rows that hold the reference's commonest value).
    """

    cells: tuple[int, ...]
    nulls: int = 0
    new: int = 0
    text: int = 0
    below: int = 0
    above: int = 0
    mode: int = 0
    least: float | None = None
    greatest: float | None = None

    @property
    def known(self) -> int:
        """Rows that fell into a cell."""
        return sum(self.cells)

    @property
    def rows(self) -> int:
        """All rows, also those that fell into no cell."""
        return self.known + self.nulls + self.new + self.text

    def to_text(self) -> str:
        """Return them as text: `412 420 398|3 0 0 0 0 57|0.02 0.97`.

        That is the cells, `|nulls new text below above mode` without zeros at the end, and `|least greatest` if any.
        """
        beside = [self.nulls, self.new, self.text, self.below, self.above, self.mode]
        while beside and not beside[-1]:
            beside.pop()
        bounds = [bound for bound in (self.least, self.greatest) if bound is not None]
        return "|".join(map(numbers_text, (self.cells, beside, bounds))).rstrip("|")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote; raises ValueError for anything else."""
        counted, beside, bounds, *more = (*text.split("|"), "", "")[: max(3, text.count("|") + 1)]
        cells, others = tuple(map(int, counted.split())), tuple(map(int, beside.split()))
        ends = bounds.split() if bounds else []
        if not cells or more or len(others) > 6 or len(ends) not in {0, 2} or "-" in counted or "-" in beside:  # noqa: PLR2004
            raise ValueError(f"{text[:80]!r} are no counts")
        nulls, new, letters, below, above, mode = others + (0,) * (6 - len(others))
        return cls(cells, nulls, new, letters, below, above, mode, *map(float, ends))


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of `rows` rows over the edges whose digest is `edges`.

    `missing` columns were not there at all, `unknown` ones are not in the reference.
    """

    edges: str
    rows: int
    columns: Mapping[str, Counts] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """One monitor that fired in one window.

    `monitor` is schema, freshness, volume, nulls, constant, range, categories, mode, text_number, drift, prediction,
    outcome, bias, outcomes_missing, estimate, or run (a training run that failed). `value` against `limit` by `metric`
    (psi, roc_auc …), `interval` is a 95 % one, `n` the rows behind it. `at_once`: it opens an incident without
    confirmation. `text` is a line for people.
    """

    monitor: str
    level: Level
    text: str
    column: str | None = None
    metric: str | None = None
    value: float | None = None
    limit: float | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    against: str | None = None
    at_once: bool = False

    @property
    def key(self) -> str:
        """What it is about, the same in each window: `drift|temp|psi`."""
        return "|".join((self.monitor, self.column or "", self.metric or ""))

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"monitor": self.monitor, "level": str(self.level), "text": self.text}
        for name in ("column", "metric", "value", "limit", "n", "against"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        value |= {"interval": list(self.interval)} if self.interval else {}
        return value | ({"at_once": True} if self.at_once else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        interval = value.get("interval")
        return cls(
            value["monitor"],
            Level(value["level"]),
            value["text"],
            value.get("column"),
            value.get("metric"),
            value.get("value"),
            value.get("limit"),
            (interval[0], interval[1]) if interval else None,
            value.get("n"),
            value.get("against"),
            value.get("at_once", False),
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """One window of one model as it was judged: `monitoring/<model>/<month>/<window>[.outcomes].json`.

    `what` is `inputs` (quality, drift, predictions) or `outcomes`. `inputs` is the digest of all that it was judged
    from: judged again with the same, nothing is recorded. Late outcomes make another `revision`. `profile` and
    `prediction` are encoded counts (see `core/profiles.py`), `measures` what outcomes gave: metric to
    [value, low, high, n]. `notes` are lines on what could not be judged, and why. `near` are the keys of monitors that
    did not fire and lie above 0.8 x their limit: such a window does not count as clean for them.
    `together` is of how many windows, this one the last, drift was judged; 0: it waits for rows.
    """

    model: str
    run: str
    version: str | None
    window: Window
    what: str
    health: Health
    rows: int
    inputs: str
    reference: str
    signals: tuple[Signal, ...] = ()
    revision: int = 1
    profile: Mapping[str, str] = field(default_factory=dict)
    prediction: str | None = None
    measures: Mapping[str, tuple[float, float, float, int]] = field(default_factory=dict)
    joined: float | None = None
    notes: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    together: int = 1

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "format": FORMAT,
            "model": self.model,
            "run": self.run,
            "version": self.version,
            "window": self.window.to_dict(),
            "what": self.what,
            "revision": self.revision,
            "health": str(self.health),
            "rows": self.rows,
            "inputs": self.inputs,
            "reference": self.reference,
            "signals": [signal.to_dict() for signal in self.signals],
        }
        value |= {"profile": dict(self.profile)} if self.profile else {}
        value |= {"prediction": self.prediction} if self.prediction else {}
        value |= {"measures": {name: list(item) for name, item in self.measures.items()}} if self.measures else {}
        value |= {"joined": self.joined} if self.joined is not None else {}
        value |= {"notes": list(self.notes)} if self.notes else {}
        value |= {"near": list(self.near)} if self.near else {}
        return value | ({"together": self.together} if self.together != 1 else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a window's file; raises KeyError, TypeError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the window has format {value['format']!r}, this custody reads {FORMAT}")
        return cls(
            value["model"],
            value["run"],
            value["version"],
            Window.from_dict(value["window"]),
            value["what"],
            Health(value["health"]),
            value["rows"],
            value["inputs"],
            value["reference"],
            tuple(Signal.from_dict(item) for item in value["signals"]),
            value["revision"],
            value.get("profile", {}),
            value.get("prediction"),
            {name: tuple(item) for name, item in value.get("measures", {}).items()},
            value.get("joined"),
            tuple(value.get("notes", ())),
            tuple(value.get("near", ())),
            value.get("together", 1),
        )
