"""A model's windows as a picture: which monitor fired when, how outcomes went, what the worst columns look like. Pure.

Positions are in pixels of an SVG; the page that draws them is templates/monitor/page.html.j2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from custody.core.drift import distance, stat_of
from custody.core.due import end_of, start_of
from custody.domain.incident import Incident
from custody.domain.monitoring import Counts, Judged
from custody.domain.reference import Known, Reference

STEP, ROW, LEFT, TOP = 14, 20, 230, 26
"""Width of a window, height of a monitor, room for the names on the left and for dates above."""
WINDOWS, COLUMNS = 120, 6
"""The most windows that are drawn, the newest, and the most columns that are compared."""
_WIDE, _HIGH = 300, 110
_APART, _LABEL = 7, 90
"""Windows between two names above them, and the room that the last name takes."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One window of one monitor: `level` is ok, warn, alert, waiting or no data."""

    x: int
    y: int
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: from `x` on, `width` pixels long, or a line where that is 0."""

    x: int
    width: int
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """The time line of one kind of windows: a row a monitor that fired, the first for the windows as a whole."""

    what: str
    rows: tuple[str, ...]
    cells: tuple[Cell, ...]
    ticks: tuple[tuple[int, str], ...]
    incidents: tuple[Mark, ...]
    promotions: tuple[Mark, ...]

    @property
    def width(self) -> int:
        return max((cell.x for cell in self.cells), default=LEFT) + STEP + _LABEL

    @property
    def height(self) -> int:
        return TOP + ROW * (len(self.rows) + bool(self.incidents)) + 8


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure of outcomes over windows: the points of its line, and of the band of its interval."""

    name: str
    line: str
    band: str
    low: float
    high: float
    last: float


@dataclass(frozen=True, slots=True)
class Bars:
    """One column of the newest window beside the reference: shares by cell, from 0 to 1."""

    column: str
    stat: str
    distance: float
    cells: tuple[tuple[str, float, float], ...]


def time_line(
    what: str, windows: Sequence[Judged], incidents: Sequence[Incident], promotions: Sequence[tuple[str, str]]
) -> Line | None:
    """Return the time line of the windows of a kind, None where there are none; `promotions` are (time, words)."""
    shown = [item for item in windows if item.what == what][-WINDOWS:]
    if not shown:
        return None
    keys = list(dict.fromkeys(signal.key for item in shown for signal in item.signals))
    rows = ("all", *(" ".join(dict.fromkeys(part for part in key.split("|") if part)) for key in keys))
    cells = []
    for place, item in enumerate(shown):
        x = LEFT + place * STEP
        cells.append(Cell(x, TOP, str(item.health), f"{item.window.name}: {item.health}, {item.rows:,} rows"))
        for signal in item.signals:
            y = TOP + ROW * (1 + keys.index(signal.key))
            cells.append(Cell(x, y, str(signal.level), f"{item.window.name}: {signal.text}"))
    every = max(_APART, len(shown) // 10)
    ticks = tuple((LEFT + place * STEP, shown[place].window.name) for place in range(0, len(shown), every))
    return Line(
        what,
        rows,
        tuple(cells),
        ticks,
        tuple(mark for item in incidents if (mark := _incident(item, shown))),
        tuple(mark for at, words in promotions if (mark := _moment(at, words, shown))),
    )


def curves(windows: Sequence[Judged]) -> tuple[Curve, ...]:
    """Return a curve for each measure that two windows or more have."""
    names = dict.fromkeys(name for item in windows for name in item.measures)
    found = []
    for name in names:
        points = [item.measures[name] for item in windows if name in item.measures][-WINDOWS:]
        if len(points) < 2:  # noqa: PLR2004 - a line
            continue
        low, high = min(point[1] for point in points), max(point[2] for point in points)
        span = high - low or 1.0
        xs = [round(place * _WIDE / (len(points) - 1), 1) for place in range(len(points))]
        ys = [[round(_HIGH - (value - low) / span * _HIGH, 1) for value in point[:3]] for point in points]
        line = " ".join(f"{x},{y[0]}" for x, y in zip(xs, ys, strict=True))
        upper = [f"{x},{y[2]}" for x, y in zip(xs, ys, strict=True)]
        lower = [f"{x},{y[1]}" for x, y in zip(xs, ys, strict=True)]
        found.append(Curve(name, line, " ".join([*upper, *reversed(lower)]), low, high, points[-1][0]))
    return tuple(found)


def bars(window: Judged, reference: Reference) -> tuple[Bars, ...]:
    """Return the columns of a window that are farthest from the reference, the farthest first."""
    known: Mapping[str, Known] = {name: item for name, item in reference.columns.items() if item.why is None}
    found = []
    for name, item in known.items():
        if name not in window.profile or window.reference != reference.digest or item.edges.hidden:
            continue
        counts, stat = Counts.from_text(window.profile[name]), stat_of(item.edges, reference.stat)
        away = distance(stat, counts, item.counts, item.edges)
        found.append(Bars(name, stat, away, tuple(_shares(counts, item))))
    return tuple(sorted(found, key=lambda one: (-one.distance, one.column))[:COLUMNS])


def _shares(counts: Counts, known: Known) -> list[tuple[str, float, float]]:
    edges = known.edges
    if edges.values is not None:
        names = [*edges.values, "others"]
    else:
        names = [f"to {edge:g}" for edge in edges.edges] + [f"over {edges.edges[-1]:g}" if edges.edges else "all"]
    n, m = counts.known or 1, known.counts.known or 1
    return [(name, a / m, b / n) for name, a, b in zip(names, known.counts.cells, counts.cells, strict=True)]


def _incident(incident: Incident, shown: Sequence[Judged]) -> Mark | None:
    names = [item.window.name for item in shown]
    if incident.last not in names:
        return None
    start = names.index(incident.opened) if incident.opened in names else 0
    title = f"incident {incident.id}: {incident.level}, {incident.state}, {incident.opened} to {incident.last}"
    return Mark(LEFT + start * STEP, (names.index(incident.last) - start + 1) * STEP - 2, title)


def _moment(at: str, words: str, shown: Sequence[Judged]) -> Mark | None:
    moment = datetime.fromisoformat(at)
    for place, item in enumerate(shown):
        if start_of(item.window) <= moment < end_of(item.window):
            return Mark(LEFT + place * STEP, 0, words)
    return None
