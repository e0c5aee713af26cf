"""The rows that a reference is made from, in order of time, and the windows of time that they are blocks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.step import Work
from custody.core.due import start_of
from custody.core.instants import MICROS, micros, of_micros
from custody.core.windows import windows
from custody.domain.monitoring import Window
from custody.domain.monitors import Every, Monitors
from custody.kit import lenient

_HOUR = 3600 * MICROS
_WHOLE = 0.8
"""A first or last block with a smaller share of the rows of others is a part of a window."""
_STRETCHES = 20
"""So many blocks are rows without a time cut into."""
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows in order of time; `times` are their moments in microseconds since 1970, None where they have none."""

    table: pa.Table
    times: NDArray[np.int64] | None
    zone: str

    @property
    def hours(self) -> float:
        """How long the rows take together."""
        return 0.0 if self.times is None or not len(self.times) else float(self.times[-1] - self.times[0]) / _HOUR

    def blocks(self, every: Every) -> tuple[NDArray[np.int64], tuple[Window, ...]]:
        """Return the number of the window that each row is of, and the windows.

        A window at an end that is there in part only is left out: its rows have -1. Rows without a time are cut into
        equal stretches of no window.
        """
        if self.times is None or not len(self.times):
            rows = max(self.table.num_rows, 1)
            return np.arange(self.table.num_rows) * min(_STRETCHES, rows) // rows, ()
        first, last = (of_micros(int(at)) for at in (self.times[0], self.times[-1]))
        spans = tuple(windows(first, last + _MOMENT, every, ZoneInfo(self.zone)))
        number = np.searchsorted(np.array([micros(start_of(span)) for span in spans]), self.times, side="right") - 1
        counts = np.bincount(number, minlength=len(spans))
        least = _WHOLE * float(np.median(counts[counts > 0]))
        start, end = 0, len(spans)
        if len(spans) > 2:  # noqa: PLR2004 - something is left between two ends
            start, end = int(counts[0] < least), end - int(counts[-1] < least)
        return np.where((number >= start) & (number < end), number - start, -1), spans[start:end]


def rows_of(work: Work, meta: Mapping[str, Any], monitors: Monitors) -> Rows:
    """Return the rows of the run's data with the columns that a reference needs; those without a time are left out."""
    slices = monitors.outcomes.slices if monitors.outcomes else ()
    time, zone = work.inputs["time"], work.inputs["zone"]
    table = work.table([*meta["features"], meta["target"], *slices, *([time] if time else [])])
    if not time:
        return Rows(table, None, zone)
    times, dated = lenient.moments(table.column(time), None, zone)
    order = np.argsort(times[dated], kind="stable")
    return Rows(table.filter(pa.array(dated)).take(pa.array(order)), times[dated][order], zone)


def stretches(numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return where each block begins and how many rows it has; rows of no block are at the ends only."""
    within = np.flatnonzero(numbers >= 0)
    if not len(within):
        return []
    start = int(within[0])
    ends = start + np.searchsorted(numbers[start : within[-1] + 1], np.arange(int(numbers.max()) + 2))
    return [(int(a), int(b - a)) for a, b in pairwise(ends)]
