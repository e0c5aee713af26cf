"""Divisions into training and test rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.digest import sha256
from custody.errors import ContractError
from custody.kit.splits import Division, Rule, check_leaks, divide, facts


def rows(count: int, **columns: object) -> pa.Table:
    return pa.table({"id": range(count), **columns})


def cut(table: pa.Table, kind: str, test: float = 0.25, **more: object) -> Division:
    time = more.pop("time", None)
    return divide(table, Rule(kind, test, **{"seed": 7, **more}), time)


def test_the_same_seed_gives_the_same_rows_for_ever() -> None:
    table = rows(1000, y=[place % 3 for place in range(1000)])
    found = cut(table, "random")
    assert facts(table, Rule("random", 0.25), found) == {"train": 750, "test": 250, "warnings": []}
    assert sha256(found.to_bytes()) == "5ea9c3e8e1dd169c51c9059a7f7fb0e187380a9d6047ecfce5f9cc9444082c04"
    assert (
        sha256(cut(table, "stratified", column="y").to_bytes())
        == "19b2677aa35f4433fbb20df009bf0785d238093803c709b9e4f96e8d751c7ad9"
    )
    assert cut(table, "random", seed=8).to_bytes() != found.to_bytes()


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_random_shares_are_exact(count: int, test: float, seed: int) -> None:
    wanted = int(count * test + 0.5)
    if wanted in {0, count}:
        with pytest.raises(ContractError, match="leaves no"):
            cut(rows(count), "random", test, seed=seed)
    else:
        assert int(cut(rows(count), "random", test, seed=seed).test.sum()) == wanted


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=12, max_size=200), st.floats(0.1, 0.6))
def test_every_stratum_trains_and_keeps_its_share(labels: list[str | None], test: float) -> None:
    found = cut(rows(len(labels), y=pa.array(labels, pa.string())), "stratified", test, column="y")
    counts = Counter(labels)
    trained = Counter(label for label, tested in zip(labels, found.test.tolist(), strict=True) if not tested)
    assert set(trained) == set(counts)
    for label, number in counts.items():
        assert abs((number - trained[label]) - number * test) < 1 or trained[label] == 1


def test_a_stratum_too_small_to_test_is_told() -> None:
    found = cut(rows(41, y=["a"] * 20 + ["b"] * 20 + ["c"]), "stratified", column="y")
    assert found.warnings == ("1 of 3 values of y have too few rows to be tested on",)
    with pytest.raises(ContractError, match="too many to stratify"):
        cut(rows(40), "stratified", column="id")


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=200), st.floats(0.05, 0.95))
def test_ordered_test_rows_come_after_all_training_rows(values: list[int], test: float) -> None:
    table = rows(len(values), at=values)
    try:
        found = cut(table, "ordered", test, column="at")
    except ContractError as error:
        assert "leaves no" in error.message  # noqa: PT017
        return
    numbers = np.array(values)
    assert numbers[found.train].max() < numbers[found.test].min()
    assert found.test.sum() >= int(len(values) * test + 0.5)


def test_ordered_by_dates_and_texts() -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=(place * 7) % 40) for place in range(40)]
    found = cut(rows(40, day=days), "ordered", column="day")
    assert {days[place] for place in np.flatnonzero(found.test)} == set(sorted(days)[30:])
    assert cut(rows(4, name=["b", "d", "a", "c"]), "ordered", column="name").test.tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_many_equal_values_move_the_share_and_are_told() -> None:
    found = cut(rows(100, year=[2020] * 40 + [2021] * 60), "ordered", 0.2, column="year")
    assert found.test.sum() == 60
    assert found.warnings == ("60% of the rows are test rows, not 20%: many rows share a value of year",)
    with pytest.raises(ContractError, match="no training row of 10"):
        cut(rows(10, year=[2020] * 10), "ordered", column="year")


def test_nulls_in_the_order_and_missing_columns_are_refused() -> None:
    with pytest.raises(ContractError, match="null in 2 of 3 rows"):
        cut(rows(3, at=pa.array([1.0, None, float("nan")])), "ordered", column="at")
    with pytest.raises(ContractError, match="column gone"):
        cut(rows(3), "ordered", column="gone")


def test_a_random_split_of_rows_with_a_time_is_told() -> None:
    table = rows(40, at=range(40))
    assert "the rows have a time (at)" in cut(table, "random", time="at").warnings[0]
    assert cut(table, "ordered", column="at", time="at").warnings == ()
    assert cut(table, "random", time="dropped").warnings == ()


def test_what_is_stored_is_read_back_and_checked() -> None:
    found = cut(rows(40), "random")
    assert Division.from_bytes(found.to_bytes(), 40).rows.tolist() == found.rows.tolist()
    for data, count in ((found.to_bytes(), 41), (b"nothing", 40), (found.to_bytes()[:-1] + b"\x07", 40)):
        with pytest.raises(ContractError):
            Division.from_bytes(data, count)


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=200).filter(lambda found: len(set(found)) > 1),
    st.floats(0.05, 0.95),
    st.integers(0, 99),
)
def test_no_group_is_on_both_sides(groups: list[str], test: float, seed: int) -> None:
    table = rows(len(groups), group=groups)
    rule = Rule("grouped", test, "group", seed)
    try:
        found = divide(table, rule)
    except ContractError as error:
        assert "leaves no" in error.message  # noqa: PT017
        return
    sides = [{groups[place] for place in np.flatnonzero(side)} for side in (found.train, found.test)]
    assert not sides[0] & sides[1]
    assert facts(table, rule, found)["groups"] == {"train": len(sides[0]), "test": len(sides[1])}
    assert divide(table, rule).to_bytes() == found.to_bytes()
    wanted, smallest = int(len(groups) * test + 0.5), min(Counter(groups).values())
    assert abs(int(found.test.sum()) - wanted) <= max(Counter(groups).values()) - smallest / 2 or found.warnings


@given(st.lists(st.integers(0, 30), min_size=20, max_size=200), st.integers(0, 9), st.randoms())
def test_a_group_is_on_its_side_in_whatever_order_the_rows_are(values: list[int], seed: int, random: Any) -> None:
    if len(set(values)) < 5:
        return
    shuffled = random.sample(values, len(values))
    sides = []
    for column in (values, shuffled):
        try:
            found = cut(rows(len(column), group=column), "grouped", column="group", seed=seed)
        except ContractError:
            return
        sides.append({column[place] for place in np.flatnonzero(found.test)})
    assert sides[0] == sides[1]


def test_groups_that_cannot_be_divided_are_told() -> None:
    with pytest.raises(ContractError, match="one value in all rows"):
        cut(rows(4, group=["a"] * 4), "grouped", column="group")
    with pytest.raises(ContractError, match="groups the split, is null in 1 of 2"):
        cut(rows(2, group=["a", None]), "grouped", column="group")
    found = cut(rows(100, group=["a"] * 70 + ["b"] * 30), "grouped", 0.2, column="group")
    assert found.test.sum() == 30
    assert found.warnings == ("30% of the rows are test rows, not 20%: the groups of group are few or uneven",)


@pytest.mark.parametrize(
    ("values", "start", "tested"),
    [
        ([dt.date(2024, 12, 31), dt.date(2025, 1, 1), dt.date(2025, 1, 1)], "2025-01-01", [0, 1, 1]),
        ([dt.datetime.fromisoformat(day) for day in ("2024-12-31T23:00", "2025-01-01")], "2025-01-01", [0, 1]),
        (
            [dt.datetime(2025, 1, 1, 9, tzinfo=dt.UTC), dt.datetime(2025, 1, 1, 10, tzinfo=dt.UTC)],
            "2025-01-01T11:00+01:00",
            [0, 1],
        ),
        ([3, 1, 2], 2, [1, 0, 1]),
        ([0.5, 1.5], 1.5, [0, 1]),
        (["b", "a"], "b", [1, 0]),
    ],
)
def test_a_cut_has_its_value_on_the_test_side(values: list[Any], start: Any, tested: list[int]) -> None:
    table, rule = rows(len(values), at=values), Rule("ordered", None, "at", 0, start)
    found = divide(table, rule)
    assert found.rows.tolist() == tested
    told = facts(table, rule, found)
    assert ("train_until" in told) == (not isinstance(values[0], str))


def test_a_cut_that_leaves_nothing_or_is_no_value_is_told() -> None:
    table = rows(2, at=[dt.date(2024, 1, 1), dt.date(2024, 2, 1)])
    with pytest.raises(ContractError, match="leaves no test row of 2"):
        divide(table, Rule("ordered", None, "at", 0, "2030-01-01"))
    with pytest.raises(ContractError, match="no value of at"):
        divide(table, Rule("ordered", None, "at", 0, "soon"))


def test_a_division_that_leaks_is_refused() -> None:
    table = rows(4, group=["a", "a", "b", "b"], at=[1, 2, 2, 3])
    leaking = Division(np.array([0, 0, 1, 1], np.uint8))
    with pytest.raises(ContractError, match="not later than every training row"):
        check_leaks(table, Rule("ordered", 0.5, "at"), leaking)
    with pytest.raises(ContractError, match="1 values of group are on both sides"):
        check_leaks(table, Rule("grouped", 0.5, "group"), Division(np.array([0, 1, 1, 1], np.uint8)))
    check_leaks(table, Rule("grouped", 0.5, "group"), leaking)
