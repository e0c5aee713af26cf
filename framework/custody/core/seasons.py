"""The same month of other years: what windows are compared with where the training data holds two years or more. Pure.

With one year nothing tells a season from a drift; with two, each year's months are measured against the others'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from custody.core.drift import distance
from custody.core.profiles import total_counts
from custody.domain.monitoring import Counts, Edges, Window
from custody.domain.monitors import SAME_PERIOD

_TWO_YEARS = timedelta(days=720)
"""The first and the last window may be missing."""


def season_of(window: Window) -> str:
    """Return the name of a window's season: `same_period 01`."""
    return f"{SAME_PERIOD} {window.start[5:7]}"


def two_years(windows: Sequence[Window]) -> bool:
    """Whether windows, in order of time, reach over two years."""
    if not windows:
        return False
    return datetime.fromisoformat(windows[-1].end) - datetime.fromisoformat(windows[0].start) >= _TWO_YEARS


def seasons(blocks: Sequence[Mapping[str, Counts]], windows: Sequence[Window]) -> dict[str, dict[str, Counts]]:
    """Return the counts of each season by column, over all years."""
    found: dict[str, list[Mapping[str, Counts]]] = {}
    for block, window in zip(blocks, windows, strict=True):
        found.setdefault(season_of(window), []).append(block)
    return {
        season: {name: total_counts(block[name] for block in same) for name in same[0]}
        for season, same in sorted(found.items())
    }


def season_distances(
    stat: str, edges: Edges, blocks: Sequence[Counts], windows: Sequence[Window], spans: Sequence[tuple[int, int]]
) -> Iterator[float]:
    """Yield how far each stretch of blocks is from its season in the other years, where there is one."""
    by_month: dict[tuple[str, str], list[Counts]] = {}
    for block, window in zip(blocks, windows, strict=True):
        by_month.setdefault((window.start[:4], season_of(window)), []).append(block)
    sums = {key: total_counts(same) for key, same in by_month.items()}
    for start, end in spans:
        year, season = windows[end - 1].start[:4], season_of(windows[end - 1])
        others = [counts for (other, same), counts in sums.items() if same == season and other != year]
        part = total_counts(blocks[start:end])
        if others and part.known:
            yield distance(stat, part, total_counts(others), edges)
