"""How many rows a window should have: by the reference, and by the windows before it of the same slot. Pure.

A slot is what rows follow whatever else happens: the weekday of a day, the hour of an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from statistics import median

from custody.core.drift import brief
from custody.domain.monitoring import Signal, Window
from custody.domain.monitors import Every, Level
from custody.domain.reference import BEFORE, Volume

_SLOTS = {Every.HOUR: 24, Every.DAY: 7}
_DROP, _RISE, _ROOM = 0.5, 2.0, 1.25


def slot_of(window: Window) -> int:
    """Return the hour of an hour and the weekday of a day, from 0; 0 of weeks and months."""
    match window.every:
        case Every.HOUR:
            return int(window.start[11:13])
        case Every.DAY:
            return date.fromisoformat(window.start[:10]).weekday()
        case _:
            return 0


def volume_of(windows: Sequence[Window], rows: Sequence[int]) -> Volume:
    """Return what one window or more say: how few rows there are, how far one may be from the four before it.

    That is half and twice, or what the windows themselves reached and a quarter more.
    """
    slots: dict[int, list[int]] = {}
    ratios = []
    for window, count in zip(windows, rows, strict=True):
        before = slots.setdefault(slot_of(window), [])
        if len(before) >= BEFORE and (usual := median(before[-BEFORE:])):
            ratios.append(count / usual)
        before.append(count)
    least = [sorted(slots.get(slot, [0])) for slot in range(_SLOTS.get(windows[0].every, 1))]
    drop, rise = min([_DROP, *(ratio / _ROOM for ratio in ratios)]), max([_RISE, *(ratio * _ROOM for ratio in ratios)])
    return Volume(tuple(counts[len(counts) // 20] for counts in least), brief(drop), brief(rise))


def volume_signals(
    volume: Volume | None, window: Window, rows: int, before: Iterable[tuple[Window, int]]
) -> Iterator[Signal]:
    """Yield a signal where a window has far too few rows or too many; `before` are earlier windows, the last first.

    `volume` None, for training data without a time: only a window without rows is told, where the last ones had some
    and none of its slot had none.
    """
    slot, earlier = slot_of(window), iter(before)
    last = list(islice(earlier, BEFORE))
    same = [count for other, count in last if slot_of(other) == slot]
    same += islice((count for other, count in earlier if slot_of(other) == slot), BEFORE - len(same))
    if volume is None:
        if not rows and len(last) == BEFORE and min(*same, *(count for _, count in last)):
            yield _signal(Level.ALERT, 0, 1.0, f"{last[0][1]:,} in the window before", "previous")
        return
    middle = median(same) if len(same) == BEFORE else None
    least = volume.least[slot] / 2
    if middle and rows < volume.drop * middle:
        yield _signal(Level.ALERT, rows, volume.drop * middle, f"usual are {middle:,.0f}", "previous")
    elif rows < least:
        yield _signal(Level.ALERT, rows, least, f"the training data had {2 * least:,.0f} or more", "training")
    elif middle and rows > volume.rise * middle:
        yield _signal(Level.WARN, rows, volume.rise * middle, f"usual are {middle:,.0f}", "previous")


def _signal(level: Level, rows: int, limit: float, usual: str, against: str) -> Signal:
    text = f"{rows:,} row{'' if rows == 1 else 's'}, {usual}"
    signal = Signal("volume", level, text, metric="rows", value=float(rows), limit=brief(limit), n=rows)
    return replace(signal, against=against, at_once=not rows)
