"""Divisions into training and test rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.digest import sha256
from custody.errors import ContractError
from custody.kit.splits import Division, divide, facts


def rows(count: int, **columns: object) -> pa.Table:
    return pa.table({"id": range(count), **columns})


def cut(table: pa.Table, kind: str, test: float = 0.25, **more: object) -> Division:
    return divide(table, kind, test, **{"column": None, "seed": 7, "time": None, **more})


def test_the_same_seed_gives_the_same_rows_for_ever() -> None:
    table = rows(1000, y=[place % 3 for place in range(1000)])
    found = cut(table, "random")
    assert facts(found) == {"train": 750, "test": 250, "warnings": []}
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
