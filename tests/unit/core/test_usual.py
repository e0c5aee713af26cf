"""What twelve blocks never did, the thirteenth may do: how far shares and extremes are carried on."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.usual import farthest, share_limit, usual_of
from custody.domain.monitoring import Counts, Edges
from tests.unit.core.watched import Watched, cut

LUCK = 0.001
PLANS = Edges(values=("a", "b"), kind="text", mode="a", others=())
shares = st.lists(st.floats(0, 1), min_size=2, max_size=40)


def plans(*counts: tuple[int, int]) -> list[Counts]:
    return [Counts((a, b, 0), mode=a) for a, b in counts]


@given(shares)
def test_a_share_is_carried_on_within_its_bounds_and_farther_for_rarer_luck(values: list[float]):
    found = share_limit(values, LUCK)
    assert math.sin(np.mean([math.asin(math.sqrt(value)) for value in values])) ** 2 - 1e-9 <= found <= 1
    assert share_limit(values, LUCK / 10) >= found


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=60))
def test_extremes_are_carried_on_beyond_the_greatest(values: list[float]):
    found = farthest(values, LUCK)
    assert found >= max(values)
    assert farthest([value + 1000 for value in values], LUCK) == pytest.approx(found + 1000, abs=1e-6)


def test_of_few_extremes_nothing_is_said_and_many_say_it_closely():
    assert farthest([1.0, 2.0, 3.0, 4.0], LUCK) == math.inf
    values = np.linspace(0, 1, 12)
    assert farthest([*values], LUCK) > 1.3
    assert farthest([*np.linspace(0, 1, 365), *[1.0] * 200], LUCK) == 1.0


def test_a_category_that_comes_and_goes_is_not_expected_in_each_window():
    assert usual_of(PLANS, plans(*[(90, 10)] * 12), None, LUCK).always == (0, 1)
    assert usual_of(PLANS, plans(*[(99 - 3 * block, 1 + 3 * block) for block in range(12)]), None, LUCK).always == (0,)
    assert usual_of(PLANS, plans(*[(90, 10)] * 11, (100, 0)), None, LUCK).always == (0,)


def test_what_is_nearly_alone_in_some_blocks_may_be_alone_in_the_next():
    assert not usual_of(PLANS, plans(*[(60 + block, 40 - block) for block in range(12)]), None, LUCK).steady
    assert usual_of(PLANS, plans(*[(60 + 3 * block, 40 - 3 * block) for block in range(12)]), None, LUCK).steady
    assert usual_of(PLANS, plans(*[(60, 40)] * 11, (100, 0)), None, LUCK).steady
    assert not usual_of(PLANS, plans(*[(60, 40)] * 364, (100, 0)), None, LUCK).steady


def test_the_commonest_value_may_be_as_common_as_blocks_differ():
    even, uneven = (
        usual_of(PLANS, plans(*counts), None, LUCK) for counts in ([(50, 50)] * 12, [(30, 70), (70, 30)] * 6)
    )
    assert even.commonest == pytest.approx(1.25 * (even.mode or 0), rel=1e-3)
    assert (uneven.commonest or 0) > 0.8 > (even.commonest or 1)


def test_rows_without_a_time_are_taken_as_they_are():
    found = usual_of(PLANS, plans((600, 400)), None, LUCK)
    assert (found.mode, found.commonest, found.always, found.steady, found.reach) == (0.6, 0.75, (0, 1), False, None)


def test_a_walk_leaves_its_former_range_without_a_fault():
    """Rows that follow from one another: twelve blocks have seen little of where they go."""
    random = np.random.default_rng(2)
    steps = random.normal(size=12 * 200) * math.sqrt(1 - 0.99**2)
    walk = np.empty_like(steps)
    walk[0] = 0.0
    for place in range(1, len(walk)):
        walk[place] = 0.99 * walk[place - 1] + steps[place]
    watched = Watched(cut(pa.table({"level": walk}), 200), ("number",))
    beyond = pa.table({"level": np.linspace(walk.max(), walk.max() + 0.3 * np.ptp(walk), 200)})
    assert "range" not in {signal.monitor for signal in watched.judge(beyond).signals}
    far = pa.table({"level": np.linspace(walk.max(), walk.max() + 9 * np.ptp(walk), 200)})
    assert "range" in {signal.monitor for signal in watched.judge(far).signals}
