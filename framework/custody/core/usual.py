"""What is usual of one column, from the blocks of a reference each by itself, as windows are judged. Pure.

Blocks follow from one another, and so do windows: what twelve blocks never did, the next may do by luck. So shares and
extremes are carried on to what the next window exceeds with a small chance only: the farther, the fewer blocks there
are. Rows without a time are one block, of which nothing can be carried on: they are taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from custody.core.drift import brief
from custody.core.intervals import wilson
from custody.core.profiles import holds_one, total_counts
from custody.core.quantiles import student
from custody.domain.monitoring import Counts, Edges
from custody.domain.reference import Known
from custody.domain.spec import Column

COMMON = 0.05
"""The least share of a category whose absence is worth a word."""
RARE = 0.01
"""Blocks that are fewer than this part of all do not show what is usual: sensors were stuck in training, too."""
_MODE_ROOM = 1.25
_TOP, _ENDS = 4, 6
"""So many of the farthest blocks, or a quarter of all, say how far apart extremes are; digits of an end."""


def usual_of(edges: Edges, blocks: Sequence[Counts], declared: Column | None, luck: float) -> Known:
    """Return what is known of a column but its limits of drift. `luck` is the chance of what is no fault to look it."""
    whole = total_counts(blocks)
    size = median(block.known for block in blocks)
    full = [block for block in blocks if block.known and 2 * block.known >= size]
    mode = _greatest([(block.mode, block.known) for block in blocks]) if edges.mode is not None else None
    alone = sum(holds_one(block, edges) for block in full)
    return Known(
        edges,
        whole,
        mode=mode,
        commonest=None if mode is None else _commonest(mode, full, luck),
        nulls=_greatest([(block.nulls, block.rows) for block in blocks]),
        always=tuple(cell for cell in range(len(edges.values or ())) if _always(cell, whole, full, luck)),
        steady=alone > RARE * len(blocks) or _may_be_alone(edges, full, luck),
        reach=_reach(full, luck) if len(blocks) > 1 and whole.least is not None else None,
        least=declared.min if declared else None,
        greatest=declared.max if declared else None,
        closed=bool(declared and declared.values is not None),
    )


def share_limit(shares: Sequence[float], tail: float) -> float:
    """Return what the next of two shares or more exceeds with the chance `tail`: by Student's t on their angles."""
    angles = [math.asin(math.sqrt(share)) for share in shares]
    mean = math.fsum(angles) / len(angles)
    sd = math.sqrt(math.fsum((angle - mean) ** 2 for angle in angles) / (len(angles) - 1))
    reached = mean + student(tail, len(angles) - 1) * sd * math.sqrt(1 + 1 / len(angles))
    return math.sin(min(reached, math.pi / 2)) ** 2


def farthest(ends: Sequence[float], luck: float) -> float:
    """Return beyond what the next of these extremes lies with the chance `luck`; infinite where there are too few.

    Above the greatest of n lies the next by chance in 1 of n + 1, and farther up ever more rarely: by a factor of e for
    each mean distance of the top quarter to the next below.
    """
    ordered = sorted(ends, reverse=True)
    top = max(_TOP, len(ordered) // 4)
    if len(ordered) <= top:
        return math.inf
    apart = math.fsum(ordered[:top]) / top - ordered[top]
    return ordered[0] + apart * max(0.0, math.log(1 / (len(ordered) + 1) / luck))


def _commonest(mode: float, full: Sequence[Counts], luck: float) -> float:
    """Return the greatest share that the commonest value may have."""
    room = min(_MODE_ROOM * mode, (1 + mode) / 2)
    shares = [block.mode / block.known for block in full]
    return brief(max(room, share_limit(shares, luck)) if len(shares) > 1 else room)


def _always(cell: int, whole: Counts, full: Sequence[Counts], luck: float) -> bool:
    """Whether a category is in each block, and so much that it will be in the next."""
    if whole.cells[cell] < COMMON * whole.known or not all(block.cells[cell] for block in full):
        return False
    others = [1 - block.cells[cell] / block.known for block in full]
    return len(others) < 2 or share_limit(others, luck) < 1  # noqa: PLR2004 - of one nothing is known to vary


def _may_be_alone(edges: Edges, full: Sequence[Counts], luck: float) -> bool:
    """Whether the next block may hold one value alone without a fault."""
    if edges.values is None and edges.kind != "boolean":
        shares = [block.mode / block.known for block in full] if edges.mode is not None else []
    else:
        shares = [max(block.cells) / block.known for block in full]
    return len(shares) > 1 and share_limit(shares, luck) >= 1


def _reach(full: Sequence[Counts], luck: float) -> tuple[float, float] | None:
    """Return between what the extremes of the next window lie."""
    lows = [-block.least for block in full if block.least is not None]
    highs = [block.greatest for block in full if block.greatest is not None]
    low, high = -farthest(lows, luck / 2), farthest(highs, luck / 2)
    return float(f"{low:.{_ENDS}g}"), float(f"{high:.{_ENDS}g}")


def _greatest(shares: Sequence[tuple[int, int]]) -> float:
    """Return the greatest share that a block surely has, or that of all where it is greater."""
    parts, rows = sum(part for part, _ in shares), sum(of for _, of in shares)
    return brief(max([parts / rows if rows else 0.0, *(wilson(part, of)[0] for part, of in shares)]))
