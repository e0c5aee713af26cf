"""From tables to arrays and labels."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import ContractError
from custody.kit.frame import kinds_of, matrix, target, text_of

TABLE = pa.table(
    {
        "number": pa.array([1.5, None, float("nan")]),
        "integer": pa.array([1, None, 3], pa.int16()),
        "flag": pa.array([True, None, False]),
        "day": pa.array([dt.date(1970, 1, 2), None, dt.date(2000, 1, 1)]),
        "at": pa.array([1_000_000, None, 86_400_000_000], pa.timestamp("us", tz="UTC")),
        "price": pa.array([Decimal("1.25"), None, Decimal("2.00")]),
        "text": pa.array(["a", None, "b"]),
        "coded": pa.array(["x", "y", None]).dictionary_encode(),
    }
)
NUMERIC = ("number", "integer", "flag", "day", "at", "price")


def test_numbers_become_floats_with_nan_for_nulls() -> None:
    values = matrix(TABLE, NUMERIC)
    assert values.dtype == np.float64
    assert values[0].tolist() == [1.5, 1.0, 1.0, 1.0, 1.0, 1.25]
    assert np.isnan(values[1]).all()
    assert values[2, 1:].tolist() == [3.0, 0.0, 10957.0, 86400.0, 2.0]


def test_with_a_text_all_cells_are_objects() -> None:
    values = matrix(TABLE, ("integer", "text", "coded"))
    assert values.dtype == object
    assert values[0].tolist() == [1.0, "a", "x"]
    assert np.isnan(values[1, 0])
    assert values[1, 1:].tolist() == [None, "y"]


def test_kinds() -> None:
    kinds = ("number", "number", "boolean", "date", "timestamp", "number", "text", "text")
    assert kinds_of(TABLE, TABLE.column_names) == kinds
    with pytest.raises(ContractError, match="no column missing"):
        kinds_of(TABLE, ("missing",))
    with pytest.raises(ContractError, match="cannot be a feature"):
        kinds_of(pa.table({"list": [[1]]}), ("list",))


def test_a_column_of_another_kind_than_in_training_is_refused() -> None:
    with pytest.raises(ContractError, match="column text is text, the model was trained on number"):
        matrix(TABLE, ("text",), ("number",))
    empty = pa.table({"text": pa.nulls(2), "number": pa.nulls(2)})
    assert matrix(empty, ("text", "number"), ("text", "number"))[:, 0].tolist() == [None, None]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-(2**53), 2**53)), min_size=1))
def test_every_number_survives_in_one_or_many_chunks(values: list[float | None]) -> None:
    floats = [None if value is None else float(value) for value in values]
    column = pa.chunked_array([pa.array(floats[:1], pa.float64()), pa.array(floats[1:], pa.float64())])
    made = matrix(pa.table({"x": column}), ("x",))[:, 0].tolist()
    assert [None if np.isnan(value) else value for value in made] == floats


def test_labels_keep_their_type_and_are_sorted() -> None:
    for values, classes in (
        (["no", None, "yes", "no"], ("no", "yes")),
        ([True, None, False, True], (False, True)),
        ([3, None, 1, 3], (1, 3)),
        ([2.0, None, 1.0, 2.0], (1, 2)),
    ):
        found = target(pa.table({"y": values}), "y", "classification")
        assert found.classes == classes
        assert [type(item) for item in found.classes] == [type(item) for item in classes]
        assert (found.dropped, found.known.tolist(), len(found.values)) == (1, [True, False, True, True], 3)


def test_targets_that_do_not_suit_the_task_are_refused() -> None:
    with pytest.raises(ContractError, match="3 distinct fractions") as caught:
        target(pa.table({"y": [0.5, 1.5, 2.5]}), "y", "classification")
    assert caught.value.help
    for values, task, said in (
        (["a"], "regression", "is text"),
        ([None, None], "regression", "no value in 2 rows"),
        ([1.0, float("inf")], "regression", "infinite in 1 of 2 rows"),
        ([dt.date(2020, 1, 1)], "classification", "is a date"),
    ):
        with pytest.raises(ContractError, match=said):
            target(pa.table({"y": values}), "y", task)


def test_texts_of_values() -> None:
    values = (None, True, 3, 3.0, 3.5, "x", dt.date(2020, 1, 1), np.bool_(False))
    assert [text_of(value) for value in values] == ["(null)", "true", "3", "3", "3.5", "x", "2020-01-01", "false"]
