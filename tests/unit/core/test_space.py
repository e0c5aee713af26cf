from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.space import Axis, Choice, Range, grid, sample, size
from custody.errors import UsageError
from custody.spec.space import parse_space


def axis(text: str) -> Axis:
    [found] = parse_space([text])
    return found


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=3", ("3",)),
        ("train.max_depth=4,6,8", ("4", "6", "8")),
        ("train.max_depth= 4, 6 ,4", ("4", "6")),
        ("train.max_depth=null,4", ("null", "4")),
        ("train.criterion=gini,'log_loss'", ("gini", "log_loss")),
        ("train.x='a, b','c'", ('"a, b"', "c")),
        ("train.hidden=[10, 5],[20]", ("[10, 5]", "[20]")),
        ("train.flag=true,false", ("true", "false")),
        ("train.text=a..b", ("a..b",)),
    ],
)
def test_values(text: str, values: tuple[str, ...]) -> None:
    found = axis(text)
    assert isinstance(found, Choice)
    assert found.values == values


def test_one_list_is_one_value() -> None:
    found = axis("train.hidden=[10, 5]")
    assert isinstance(found, Choice)
    assert len(found.values) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=2..8", Range("a", 2, 8, integer=True)),
        ("a=0.01..0.3", Range("a", 0.01, 0.3)),
        ("a=log:1e-4..1e-1", Range("a", 1e-4, 0.1, log=True)),
        ("a=log:1..1000", Range("a", 1, 1000, integer=True, log=True)),
        ("a=-1..1", Range("a", -1, 1, integer=True)),
    ],
)
def test_ranges(text: str, found: Range) -> None:
    assert axis(text) == found


@pytest.mark.parametrize("text", ["a=8..2", "a=log:0..1", "a=1..1", "a=1e999..2", "a=4,[6", "a=4,{6"])
def test_what_is_no_space(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        axis(text)
    assert caught.value.help


def test_an_axis_is_set_once() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_space(["a=1,2", "a=3"])


def test_a_grid_is_every_combination() -> None:
    axes = parse_space(["a=1,2", "b=2..4", "c=x"])
    assert size(axes) == 6
    assert list(grid(axes))[:4] == [("1", "2", "x"), ("1", "3", "x"), ("1", "4", "x"), ("2", "2", "x")]
    assert size(parse_space(["a=0.1..0.2", "b=1"])) is None


AXES = st.lists(
    st.sampled_from(["1,2,3", "2..9", "0.01..0.3", "log:1e-4..1e-1", "log:1..100", "x"]), min_size=1, max_size=4
).map(lambda texts: parse_space([f"p{place}={text}" for place, text in enumerate(texts)]))


@given(AXES, st.integers(1, 20), st.integers(0, 3))
def test_a_sample_is_different_combinations_within_the_space_and_the_same_again(
    axes: tuple[Axis, ...], count: int, seed: int
) -> None:
    found = sample(axes, count, seed)
    assert found == sample(axes, count, seed)
    assert len(set(found)) == len(found) <= count
    for combination in found:
        for one, value in zip(axes, combination, strict=True):
            if isinstance(one, Choice):
                assert value in one.values
            else:
                assert one.low <= float(value) <= one.high
                assert not one.integer or value.isdecimal()


def test_all_values_of_a_range_of_integers_are_drawn() -> None:
    axes = parse_space(["a=1..4"])
    assert {value for (value,) in sample(axes, 4, 0)} == {"1", "2", "3", "4"}


def test_every_magnitude_is_equally_likely() -> None:
    found = [float(value) for (value,) in sample(parse_space(["a=log:1e-4..1"]), 200, 1)]
    assert 60 < sum(value < 1e-2 for value in found) < 140
