"""How far one distribution is from another, from counts over the same cells alone. Pure; no foreign library.

`psi` is the default. Cells are smoothed by half a row each where a logarithm is taken: a fixed small share would make
empty cells the greater part of what is measured in a small window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

from custody.core.quantiles import chi_square, normal
from custody.domain.monitoring import Counts, Edges

PSI, JS, KS, W1, CHI2 = "psi", "js", "ks", "w1", "chi2"
STATS = (PSI, JS, KS, W1, CHI2)
FLOOR = {PSI: 0.2, JS: 0.1, KS: 0.1, W1: 0.1, CHI2: 0.0}
"""What is small enough to be of no interest, however sure it is."""
_ORDERED_ONLY = frozenset({KS, W1})
_BITS = 8 * math.log(2)


def stat_of(edges: Edges, declared: str) -> str:
    """Return the statistic that a column is judged by: where values have no order, psi stands for ks and w1."""
    ordered = edges.values is None and edges.kind != "boolean"
    return declared if ordered or declared not in _ORDERED_ONLY else PSI


def distance(stat: str, window: Counts, reference: Counts, edges: Edges) -> float:
    """Return how far `window` is from `reference`; 0 where either knows no value. KeyError for another `stat`."""
    if not window.known or not reference.known or len(window.cells) < 2:  # noqa: PLR2004 - one cell holds all
        return 0.0
    if stat == W1:
        return w1(window, reference, edges)
    return counted_distance(stat, window.cells, reference.cells)


def counted_distance(stat: str, window: Sequence[float], reference: Sequence[float]) -> float:
    """Return how far the counts of a window are from those of the reference by any statistic but `w1`."""
    return _DISTANCES[stat](window, reference)


def psi(window: Sequence[float], reference: Sequence[float]) -> float:
    """Return the population stability index, sum of (p - q) ln(p / q)."""
    a, b = sum(window) + len(window) / 2, sum(reference) + len(reference) / 2
    found = 0.0
    for count, base in zip(window, reference, strict=True):
        p, q = (count + 0.5) / a, (base + 0.5) / b
        found += (p - q) * math.log(p / q)
    return found


def js(window: Sequence[float], reference: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance to the base 2, from 0 to 1."""
    a, b = sum(window) + len(window) / 2, sum(reference) + len(reference) / 2
    found = 0.0
    for count, base in zip(window, reference, strict=True):
        p, q = (count + 0.5) / a, (base + 0.5) / b
        middle = (p + q) / 2
        found += p * math.log2(p / middle) + q * math.log2(q / middle)
    return math.sqrt(max(found, 0.0) / 2)


def ks(window: Sequence[float], reference: Sequence[float]) -> float:
    """Return the greatest difference of the two distribution functions at the edges."""
    return max(map(abs, _differences(window, reference)))


def chi2(window: Sequence[float], reference: Sequence[float]) -> float:
    """Return Pearson's statistic of the window against the reference's shares, for both being samples."""
    n, m = sum(window), sum(reference)
    total = m + len(reference) / 2
    expected = [n * (base + 0.5) / total for base in reference]
    return sum((count - share) ** 2 / share for count, share in zip(window, expected, strict=True)) / (1 + n / m)


def w1(window: Counts, reference: Counts, edges: Edges) -> float:
    """Return the distance that mass must be moved on average, in standard deviations of the reference.

    Within a cell mass is taken as even; the outer cells end at the least and greatest of both.
    """
    bounds = [bound for counts in (window, reference) for bound in (counts.least, counts.greatest) if bound is not None]
    low, high = min([*bounds, *edges.edges]), max([*bounds, *edges.edges])
    spread = deviation(reference, edges)
    if not spread or not math.isfinite(high - low):
        return 0.0
    ends = [low, *edges.edges, high]
    away = [0.0, *map(abs, _differences(window.cells, reference.cells))]
    moved = sum((b - a) * (x + y) / 2 for (a, b), (x, y) in zip(pairwise(ends), pairwise(away), strict=True))
    return moved / spread


def deviation(counts: Counts, edges: Edges) -> float:
    """Return about the standard deviation of what was counted, mass within a cell taken as even; 0 of nothing."""
    ends = cell_ends(counts, edges)
    n = counts.known
    if ends is None or not n:
        return 0.0
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    mean = sum(count * middle for count, middle in zip(counts.cells, middles, strict=True)) / n
    within = [(b - a) ** 2 / 12 for a, b in pairwise(ends)]
    parts = zip(counts.cells, middles, within, strict=True)
    return math.sqrt(sum(count * ((middle - mean) ** 2 + even) for count, middle, even in parts) / n)


def cell_ends(counts: Counts, edges: Edges) -> list[float] | None:
    """Return the ends of all cells of a number column, the outer two at its range; None where there is no range."""
    if edges.low is None or edges.high is None:
        return None
    low = edges.low if counts.least is None else min(edges.low, counts.least)
    high = edges.high if counts.greatest is None else max(edges.high, counts.greatest)
    return [low, *edges.edges, high] if math.isfinite(high - low) else None


def by_size(stat: str, tail: float, cells: int, n: int, m: int) -> float:
    """Return what the statistic of `n` against `m` independent rows exceeds with the probability `tail`."""
    parts = 1 / n + 1 / m
    match stat:
        case "ks":
            return math.sqrt(-math.log(tail / 2) / 2 * parts)
        case "w1":
            return normal(tail / 2) * math.sqrt(parts)
        case "chi2":
            return chi_square(tail, cells - 1)
        case _:
            index = chi_square(tail, cells - 1) * parts
            return math.sqrt(index / _BITS) if stat == JS else index


def brief(value: float) -> float:
    """Return a value to four digits: the last bits of a logarithm differ between machines."""
    return float(f"{value:.{4}g}")


def _differences(window: Sequence[float], reference: Sequence[float]) -> list[float]:
    n, m = sum(window), sum(reference)
    return [x / n - y / m for x, y in zip(accumulate(window), accumulate(reference), strict=True)]


_DISTANCES: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {PSI: psi, JS: js, KS: ks, CHI2: chi2}
