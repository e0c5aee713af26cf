"""How many rows a window should have, by weekday and by the windows before it."""

from __future__ import annotations

from itertools import islice

import pytest

from custody.core.volume import slot_of, volume_of, volume_signals
from custody.domain.monitors import Every
from custody.domain.reference import Volume
from tests.unit.core.watched import calendar

WEEK = (100, 110, 105, 95, 100, 20, 0)


def told(rows: list[int], volume: Volume | None, every: Every = Every.DAY) -> list[tuple[str, float | None]]:
    """What is said of the last of some windows that began on a Monday."""
    found = list(islice(calendar(every), len(rows)))
    before = list(zip(found, rows, strict=True))[-2::-1]
    return [(str(one.level), one.limit) for one in volume_signals(volume, found[-1], rows[-1], before)]


def usual(weeks: int) -> list[int]:
    return [rows for _ in range(weeks) for rows in WEEK]


def test_slots_are_weekdays_and_hours():
    days, hours = islice(calendar(), 8), islice(calendar(Every.HOUR), 25)
    assert [slot_of(window) for window in days] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert [slot_of(window) for window in hours] == [*range(24), 0]
    assert {slot_of(window) for window in islice(calendar(Every.MONTH), 5)} == {0}


def test_each_weekday_has_its_own_usual():
    volume = volume_of(list(islice(calendar(), 84)), usual(12))
    assert volume == Volume(tuple(map(float, WEEK)), 0.5, 2.0)
    saturday = [*usual(5), *WEEK[:5]]
    assert told([*saturday, 20], volume) == []
    assert told([*saturday, 9], volume) == [("alert", 10.0)]
    assert told([*saturday, 50], volume) == [("warn", 40.0)]
    assert told([*saturday, 20, 0], volume) == []


@pytest.mark.parametrize(("rows", "said"), [(49, [("alert", 50.0)]), (50, []), (900, [])])
def test_without_four_of_a_slot_the_training_data_says_how_few(rows: int, said: list[tuple[str, float]]):
    volume = volume_of(list(islice(calendar(), 84)), usual(12))
    assert told([rows], volume) == said


def test_what_went_up_and_down_in_training_may_do_so_later():
    rows = [100, 100, 100, 100, 300, 100, 100, 30] * 4
    volume = volume_of(list(islice(calendar(Every.WEEK), len(rows))), rows)
    assert (volume.drop, volume.rise) == (pytest.approx(0.24), pytest.approx(3.75))
    assert told([100, 100, 100, 100, 370], volume, Every.WEEK) == []
    assert told([100, 100, 100, 100, 380], volume, Every.WEEK) == [("warn", 375.0)]


def test_growth_is_followed():
    rows = [round(100 * 1.1**week) for week in range(30)]
    volume = volume_of(list(islice(calendar(Every.WEEK), 12)), rows[:12])
    assert all(told(rows[:end], volume, Every.WEEK) == [] for end in range(13, 31))
