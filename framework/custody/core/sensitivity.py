"""The smallest fault that a limit lets through unseen no more: a silent monitor may be a blind one. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from custody.core.drift import W1, cell_ends, counted_distance, deviation
from custody.domain.monitoring import Counts, Edges

_STEP, _FARTHEST = 0.05, 5.0
"""Steps of a shift, and the farthest that is tried, in standard deviations."""
_SHARE = 0.01


def sees(stat: str, edges: Edges, reference: Counts, limit: float, rows: int) -> float | None:
    """Return the smallest fault that windows of `rows` rows show beyond `limit`; None where none is.

    Of numbers it is a shift up or down, in standard deviations; of categories and booleans the share of rows that turn
    into the commonest.
    """
    ends = cell_ends(reference, edges)
    if not reference.known:
        return None
    if ends is None or edges.kind == "boolean":
        return _turned(stat, reference, limit, rows)
    spread = deviation(reference, edges)
    for step in range(1, round(_FARTHEST / _STEP) + 1):
        shift = step * _STEP
        moved = [_shifted(reference, ends, sign * shift * spread, rows) for sign in (1, -1)]
        away = [shift if stat == W1 else counted_distance(stat, cells, reference.cells) for cells in moved]
        if min(away) > limit:
            return round(shift, 2)
    return None


def _shifted(reference: Counts, ends: Sequence[float], shift: float, rows: int) -> list[float]:
    """Return what of `rows` rows is expected in each cell after a shift, mass within a cell taken as even."""
    below = [0.0]
    for count in reference.cells:
        below.append(below[-1] + count / reference.known)
    edges = [0.0, *(_share_below(edge - shift, ends, below) for edge in ends[1:-1]), 1.0]
    return [rows * (b - a) for a, b in pairwise(edges)]


def _share_below(value: float, ends: Sequence[float], below: Sequence[float]) -> float:
    if value <= ends[0]:
        return 0.0
    if value >= ends[-1]:
        return 1.0
    cell = bisect_right(ends, value) - 1
    return below[cell] + (below[cell + 1] - below[cell]) * (value - ends[cell]) / (ends[cell + 1] - ends[cell])


def _turned(stat: str, reference: Counts, limit: float, rows: int) -> float | None:
    commonest = max(range(len(reference.cells)), key=lambda cell: reference.cells[cell])
    for step in range(1, round(1 / _SHARE) + 1):
        share = step * _SHARE
        cells = [rows * (1 - share) * count / reference.known for count in reference.cells]
        cells[commonest] += rows * share
        if counted_distance(stat, cells, reference.cells) > limit:
            return round(share, 2)
    return None
