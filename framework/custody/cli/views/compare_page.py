"""Runs side by side as one page of HTML: no other file, no script, nothing from elsewhere. Drawings are SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from custody.app.render import render_page
from custody.app.side_by_side import Side, SideBySide
from custody.cli.views.apply import number
from custody.cli.views.compare import name, note
from custody.cli.views.log import when
from custody.cli.views.measured import flips_line, flips_words, signed
from custody.cli.views.text import one_line
from custody.core.comparison import Difference
from custody.core.curves import Curve
from custody.core.side_by_side import shown

_TEMPLATE = "compare/page.html.j2"
_MACHINERY = frozenset({"code", "environment"})
"""Sections with many rows, which stand at the end."""
_STRIP, _STRIP_HEIGHT, _LANE = 320, 12, 18
_PLOT, _MARGIN = 240, 36
_DOT = 2.5


def page(found: SideBySide, version: str) -> str:
    """Return the whole page; `version` is custody's."""
    sides, sections = found.sides, list(_sections(found))
    return render_page(
        _TEMPLATE,
        title=" and ".join(dict.fromkeys(one_line(side.run.model) for side in sides)),
        version=version,
        sides=[_side(side) for side in sides],
        sections={
            "settings": [one for one in sections if one["name"] not in _MACHINERY],
            "machinery": [one for one in sections if one["name"] in _MACHINERY],
        },
        metrics=[_metric(found, metric) for metric in found.metrics],
        pairs=[_pair(sides[0], side) for side in sides[1:]],
        plots=list(_plots(sides)),
    )


def _side(side: Side) -> dict[str, Any]:
    run = side.run
    return {
        "letter": side.letter,
        "place": side.letter.lower(),
        "model": one_line(run.model),
        "name": name(side),
        "run": run.id,
        "commit": side.commit[:12],
        "when": when(run.finished or run.started or ""),
        "status": str(run.status),
        "gates": run.verdict.count if run.verdict and run.verdict.gates else "none",
        "data": one_line(f"{run.data.get('dataset')}@{run.data.get('version')}") if run.data else "",
    }


def _sections(found: SideBySide) -> Iterator[dict[str, Any]]:
    for section in dict.fromkeys(row.section for row in found.rows):
        rows = [row for row in found.rows if row.section == section]
        yield {
            "name": section,
            "rows": [
                {"name": one_line(row.name), "values": [one_line(shown(one)) for one in row.values]} for row in rows
            ],
        }


def _metric(found: SideBySide, metric: str) -> dict[str, Any]:
    """Return a metric's values, and its intervals on a strip of their own scale."""
    values = [side.run.metrics.get(metric) for side in found.sides]
    own = [side.own.metric(metric) for side in found.sides]
    ends = [end for value, item in zip(values, own, strict=True) for end in _ends(value, item)]
    scale = _Scale(ends, _STRIP)
    lanes = [
        {
            "place": side.letter.lower(),
            "letter": side.letter,
            "y": _LANE * (index + 0.5),
            "x": scale.at(value),
            "low": scale.at(item.least) if item and item.least is not None else None,
            "high": scale.at(item.most) if item and item.most is not None else None,
        }
        for index, (side, value, item) in enumerate(zip(found.sides, values, own, strict=True))
        if value is not None and math.isfinite(value)
    ]
    return {
        "name": one_line(metric),
        "values": [
            {"value": number(value), "interval": _interval(item)} for value, item in zip(values, own, strict=True)
        ],
        "lanes": lanes,
        "height": _LANE * len(found.sides),
        "low": number(scale.low),
        "high": number(scale.high),
    }


def _ends(value: float | None, found: Difference | None) -> Iterator[float]:
    yield from (
        end for end in (value, found.least if found else None, found.most if found else None) if end is not None
    )


def _interval(found: Difference | None) -> str:
    return "" if found is None or found.least is None else f"{number(found.least)} … {number(found.most)}"


class _Scale:
    """From values to whole and half pixels, so that equal pages have equal bytes."""

    def __init__(self, values: Sequence[float], length: int, *, flip: bool = False) -> None:
        kept = [value for value in values if math.isfinite(value)]
        self.low, self.high = (min(kept), max(kept)) if kept else (0.0, 1.0)
        self._length, self._flip = length, flip

    def at(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return round((1 - share if self._flip else share) * self._length, 1)


def _pair(first: Side, side: Side) -> dict[str, Any]:
    found = side.against
    if found is None:
        return {}
    return {
        "letter": side.letter,
        "place": side.letter.lower(),
        "first": first.letter,
        "note": note(found),
        "flips": flips_line(found.flips) if found.flips else "",
        "rows": [_row(one.metric, one) for one in found.metrics if one.change is not None],
        "slices": [
            {
                **_row(item.difference.metric, item.difference),
                "slice": one_line(f"{item.column} = {item.value}"),
                "count": f"{item.rows:,}",
                "flips": flips_words(item.flips) if item.flips else "",
            }
            for item in found.slices
            if item.difference.change is not None
        ],
    }


def _row(metric: str, found: Difference) -> dict[str, Any]:
    bounds = "" if found.low is None or found.high is None else f"{signed(found.low)} … {signed(found.high)}"
    change = signed(found.change) if found.change is not None else ""
    return {"name": one_line(metric), "change": change, "interval": bounds, "words": found.words}


def _plots(sides: Sequence[Side]) -> Iterator[dict[str, Any]]:
    for title in dict.fromkeys(curve.title for side in sides for curve in side.curves):
        drawn = [(side, curve) for side in sides for curve in side.curves if curve.title == title]
        yield _plot([curve for _, curve in drawn], [side for side, _ in drawn])


def _plot(curves: Sequence[Curve], sides: Sequence[Side]) -> dict[str, Any]:
    first = curves[0]
    points = [point for curve in curves for point in curve.points]
    unit = [0.0, 1.0] if first.unit else []
    x = _Scale([*unit, *(point[0] for point in points)], _PLOT)
    y = _Scale([*unit, *(point[1] for point in points), *([] if first.unit else [0.0])], _PLOT, flip=True)
    return {
        "title": first.title,
        "x": first.x,
        "y": first.y,
        "line": first.line,
        "marked": first.line and max(len(curve.points) for curve in curves) <= 10,  # noqa: PLR2004  (bins)
        "ticks": [
            {
                "at": _PLOT * share,
                "x": number(x.low + (x.high - x.low) * share),
                "y": number(y.high - (y.high - y.low) * share),
            }
            for share in (0.0, 0.5, 1.0)
        ],
        "zero": None if first.unit else y.at(0.0),
        "diagonal": first.unit and first.title != "Precision and recall",
        "series": [
            {
                "place": side.letter.lower(),
                "letter": side.letter,
                "points": [(x.at(point[0]), y.at(point[1])) for point in curve.points],
            }
            for side, curve in zip(sides, curves, strict=True)
        ],
        "size": _PLOT,
        "margin": _MARGIN,
        "radius": _DOT,
    }
