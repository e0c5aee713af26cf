"""The dataset's contract, and the warnings about what looks odd."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import ContractError
from custody.kit.checks import check_contract, hidden_columns
from custody.kit.oddities import warnings_of

TABLE = pa.table(
    {
        "id": ["a", "b", "c", "c", None],
        "age": [20, 130, 7, None, 140],
        "plan": ["pro", "free", "prp", None, "pro"],
        "paid": pa.array([1.0, float("nan"), None, 2.0, 3.0]),
    }
)


def broken(contract: dict[str, object], table: pa.Table = TABLE, hidden: tuple[str, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(ContractError) as caught:
        check_contract(table, contract, hidden)
    assert all(text in caught.value.message for text in caught.value.because)
    assert "\n" not in caught.value.message
    return caught.value.because


def test_all_violations_are_told_at_once_with_rows_and_values() -> None:
    columns = {
        "age": {"type": "integer", "min": 18, "max": 120},
        "plan": {"values": ["pro", "free"]},
        "paid": {"null_max": 0.25},
    }
    assert broken({"key": "id", "columns": columns}) == (
        "id: a null in the key (1 row; row 5: (null))",
        "id: not unique, though it is the key (1 row; row 4: c)",
        "age: less than min 18 (1 row; row 3: 7)",
        "age: greater than max 120 (2 rows; row 2: 130, row 5: 140)",
        "plan: none of pro, free (1 row; row 3: prp)",
        "paid: null in 40.0% of the rows, allowed are 25.0% (2 rows; row 2: nan, row 3: (null))",
    )


def test_values_of_hidden_columns_are_not_shown() -> None:
    texts = broken({"columns": {"plan": {"values": ["pro"]}, "age": {"max": 100}}}, hidden=("plan", "age"))
    assert texts == (
        "plan: none of pro (2 rows; row 2, row 3)",
        "age: greater than max 100 (2 rows; row 2, row 5)",
    )
    assert hidden_columns({"sensitive": ["a"], "columns": {"b": {"sensitive": True}, "c": {}}}) == {"a", "b"}


def test_types() -> None:
    table = pa.table({"day": [dt.date(2020, 1, 1)], "n": [1.5], "flag": [True], "text": ["x"], "none": pa.nulls(1)})
    good = {"day": "date", "n": "number", "flag": "boolean", "text": "string", "none": "integer"}
    assert check_contract(table, {"columns": {name: {"type": kind} for name, kind in good.items()}}) == 5
    bad = {"day": {"type": "timestamp"}, "n": {"type": "integer"}, "gone": {"type": "string"}}
    assert broken({"columns": bad}, table) == (
        "day: is date32[day], declared is timestamp (1 row)",
        "n: is double, declared is integer (1 row)",
        "gone: the column is missing (1 row)",
    )


def test_values_are_compared_by_what_they_look_like() -> None:
    table = pa.table({"flag": [True, False], "code": [1.0, 2.0]})
    columns = {"flag": {"values": [True, False]}, "code": {"values": [1, 2]}}
    assert check_contract(table, {"columns": columns}) == 2


def test_uniqueness_ignores_nulls_but_for_the_key() -> None:
    table = pa.table({"x": ["a", None, None], "y": ["a", "a", "a"]})
    assert check_contract(table, {"columns": {"x": {"unique": True}}}) == 1
    assert broken({"columns": {"y": {"unique": True}}}, table) == ("y: not unique (2 rows; row 2: a, row 3: a)",)


def test_control_characters_of_values_are_escaped() -> None:
    table = pa.table({"x": ["a\nb\x1b[31m"]})
    assert broken({"columns": {"x": {"values": ["a"]}}}, table) == (r"x: none of a (1 row; row 1: a\nb\x1b[31m)",)


@given(st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=1), st.integers(-50, 50))
def test_counts_are_those_of_a_plain_loop(values: list[int | None], limit: int) -> None:
    table = pa.table({"x": pa.array(values, pa.int64())})
    expected = sum(value is not None and value > limit for value in values)
    contract = {"columns": {"x": {"max": limit}}}
    if expected:
        assert f"({expected} row" in broken(contract, table)[0]
    else:
        assert check_contract(table, contract) == 1


def odd(**columns: object) -> tuple[str, ...]:
    return warnings_of(pa.table(columns), None)


def test_constant_and_empty_columns_are_told() -> None:
    table = pa.table({"a": ["x"] * 60, "b": pa.nulls(60, pa.int64()), "c": list(range(60))})
    assert warnings_of(table, None) == ("a has one value in all rows (x)", "b is null in every row")
    assert warnings_of(table, None, ("a",))[0] == "a has one value in all rows"


def test_duplicates_are_told_unless_they_are_likely_by_chance() -> None:
    rng = np.random.default_rng(1)
    numbers = {
        name: np.concatenate([column, column[:3]]) for name, column in zip("xyz", rng.normal(size=(3, 97)), strict=True)
    }
    assert warnings_of(pa.table(numbers), None) == ("3 of 100 rows are the same as an earlier row",)
    keyed = pa.table({"id": range(100), **numbers})
    assert warnings_of(keyed, "id") == ("3 of 100 rows, apart from id, are the same as an earlier row",)
    few = {name: rng.integers(0, 3, 100) for name in "xyz"}
    assert warnings_of(pa.table(few), None) == ()


def spread(low: float, high: float, sentinel: float, count: int = 20, rows: int = 500) -> np.ndarray:
    values = np.random.default_rng(2).uniform(low, high, rows).round(2)
    values[:count] = sentinel
    return values


@pytest.mark.parametrize(
    "values",
    [spread(0, 80, -999), spread(18, 90, 999), spread(18, 90, 9999), spread(60, 120, 0), spread(0, 300, -1).round()],
)
def test_likely_sentinels_are_told(values: np.ndarray) -> None:
    assert [text.split()[0] for text in odd(x=values)] == ["x"]


@pytest.mark.parametrize(
    "values",
    [
        spread(0, 1, 0),  # a share that is often nothing
        spread(-5, 5, -1),  # one number among others
        spread(0, 3000, 999),  # in the middle
        spread(1, 100_000, 0),  # no purchase
        spread(18, 90, 999, count=1),  # one mistake is the contract's business
        np.tile([-1, 0, 1], 200),  # a code
        np.arange(500) - 1,  # a count that begins at -1
        np.arange(1000) % 300 - 1,  # and one that repeats
        np.exp(np.random.default_rng(3).normal(3, 2, 500)).round(),  # a long tail
    ],
)
def test_ordinary_columns_are_not(values: np.ndarray) -> None:
    assert odd(x=values) == ()
