"""Distances of counts: what they are worth on known cases, and that they never see what is not there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.drift import STATS, brief, by_size, chi2, deviation, distance, js, ks, psi, stat_of
from custody.core.quantiles import chi_square, normal, student
from custody.core.sensitivity import sees
from custody.domain.monitoring import Counts, Edges

TENTHS = Edges(tuple(float(edge) for edge in range(1, 10)), low=0.0, high=10.0)
EVEN = Counts((100,) * 10, least=0.0, greatest=10.0)
cells = st.lists(st.integers(0, 500), min_size=10, max_size=10).map(tuple)


def test_psi_of_a_known_case():
    window, reference = (30, 70), (50, 50)
    shares = [(30.5 / 101, 50.5 / 101), (70.5 / 101, 50.5 / 101)]
    assert psi(window, reference) == pytest.approx(sum((p - q) * math.log(p / q) for p, q in shares))
    assert ks(window, reference) == pytest.approx(0.2)
    assert chi2((30, 70), (5_000_000, 5_000_000)) == pytest.approx(16.0, rel=1e-4)
    assert js((100, 0), (0, 100)) == pytest.approx(1.0, abs=0.05)


def test_w1_is_the_way_in_standard_deviations():
    moved = Counts((0, *(100,) * 8, 200), least=1.0, greatest=11.0)
    assert deviation(EVEN, TENTHS) == pytest.approx(10 / math.sqrt(12))
    assert distance("w1", moved, EVEN, TENTHS) == pytest.approx(1.0 / (10 / math.sqrt(12)), rel=0.15)
    assert distance("w1", Counts((5,), least=1.0, greatest=1.0), Counts((9,)), Edges(low=1.0, high=1.0)) == 0.0


@given(cells, cells, st.sampled_from(STATS))
def test_nothing_is_far_from_itself_and_no_distance_is_negative(a: tuple[int, ...], b: tuple[int, ...], stat: str):
    one, other = Counts(a, least=0.0, greatest=10.0), Counts(b, least=0.0, greatest=10.0)
    assert stat == "chi2" or distance(stat, one, one, TENTHS) == pytest.approx(0.0, abs=1e-6)
    assert distance(stat, one, other, TENTHS) >= 0.0
    assert math.isfinite(distance(stat, one, other, TENTHS))


@given(cells, cells)
def test_js_stays_within_its_bounds(a: tuple[int, ...], b: tuple[int, ...]):
    assert 0.0 <= js(a, b) <= 1.0


def test_categories_have_no_order():
    assert [stat_of(Edges(values=("a",)), stat) for stat in STATS] == ["psi", "js", "psi", "psi", "chi2"]
    assert [stat_of(TENTHS, stat) for stat in STATS] == list(STATS)


def test_limits_by_size_shrink_with_the_rows_and_grow_with_rare_chances():
    for stat in STATS:
        few, many = (by_size(stat, 0.001, 10, rows, 10_000) for rows in (50, 5000))
        assert few >= many > 0
        assert by_size(stat, 0.0001, 10, 50, 10_000) > few
    assert by_size("psi", 0.01, 10, 48, 10_000) == pytest.approx(0.454, rel=0.01)


@pytest.mark.parametrize(
    ("tail", "degrees", "expected"),
    [(0.05, 1, 6.3138), (0.01, 2, 6.9646), (0.001, 4, 7.1732), (0.0005, 11, 4.4370), (0.0001, 51, 4.00787)],
)
def test_quantiles_of_student(tail: float, degrees: int, expected: float):
    assert student(tail, degrees) == pytest.approx(expected, rel=1e-4)


def test_quantiles_of_the_normal_and_of_chi_square():
    assert normal(0.025) == pytest.approx(1.95996, rel=1e-5)
    assert chi_square(0.01, 9) == pytest.approx(21.666, rel=0.005)
    assert 27.877 <= chi_square(0.001, 9) <= 27.877 * 1.01


def test_the_smallest_fault_that_is_seen_grows_with_the_limit():
    found = [sees("psi", TENTHS, EVEN, limit, 1000) for limit in (0.01, 0.1, 0.5, 2.0)]
    assert None not in found
    assert found == sorted(found)  # type: ignore[type-var]
    assert sees("psi", TENTHS, EVEN, 50.0, 1000) is None
    assert sees("w1", TENTHS, EVEN, 0.1, 1000) == pytest.approx(0.15)


def test_of_categories_it_is_the_share_that_turns_into_the_commonest():
    plans = Edges(values=("a", "b"), kind="text", mode="a", others=())
    share = sees("psi", plans, Counts((50, 50, 0)), 0.2, 1000)
    assert share is not None
    assert psi((500 + 500 * share, 500 - 500 * share, 0), (50, 50, 0)) > 0.2
    assert psi((500 + 500 * (share - 0.01), 500 - 500 * (share - 0.01), 0), (50, 50, 0)) <= 0.2


def test_four_digits_are_kept():
    assert [brief(value) for value in (0.123456, 1234567.0, 0.0)] == [0.1235, 1235000.0, 0.0]
