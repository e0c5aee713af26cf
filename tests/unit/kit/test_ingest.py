from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import ContractError
from custody.kit.ingest import conform, remarks

MIDNIGHT = dt.datetime(2026, 1, 2)  # noqa: DTZ001 - of a clock without a zone


def one(values: list[Any], kind: pa.DataType | None, declared: str | None) -> pa.ChunkedArray:
    rules = {"x": {"type": declared}} if declared else {}
    return conform(pa.table({"x": pa.array(values, kind)}), rules).column("x")


def fault(table: pa.Table, columns: dict[str, dict[str, Any]] | None = None, key: str | None = None) -> ContractError:
    with pytest.raises(ContractError) as caught:
        conform(table, columns or {}, key=key)
    return caught.value


@pytest.mark.parametrize(
    ("values", "kind", "declared", "expected", "type_"),
    [
        ([1, None], pa.int8(), None, [1, None], pa.int64()),
        ([1.5], pa.float32(), None, [1.5], pa.float64()),
        (["a"], pa.large_string(), None, ["a"], pa.string()),
        ([2**63], pa.uint64(), None, [2**63], pa.uint64()),
        ([None], pa.null(), None, [None], pa.string()),
        ([None], pa.null(), "integer", [None], pa.int64()),
        ([1.0, 2.0], pa.float64(), "integer", [1, 2], pa.int64()),
        ([1, 2], pa.int64(), "number", [1.0, 2.0], pa.float64()),
        ([Decimal("1.50")], pa.decimal128(5, 2), "number", [1.5], pa.float64()),
        ([Decimal("1.50")], pa.decimal128(5, 2), None, [Decimal("1.50")], pa.decimal128(5, 2)),
        ([0, 1], pa.int64(), "boolean", [False, True], pa.bool_()),
        ([7], pa.int64(), "string", ["7"], pa.string()),
        ([MIDNIGHT], pa.timestamp("ns"), "date", [dt.date(2026, 1, 2)], pa.date32()),
        ([dt.date(2026, 1, 2)], pa.date32(), "timestamp", [MIDNIGHT], pa.timestamp("us")),
        ([dt.date(2026, 1, 2)], pa.date64(), None, [dt.date(2026, 1, 2)], pa.date32()),
    ],
)
def test_types_without_loss(
    values: list[Any], kind: pa.DataType, declared: str | None, expected: list[Any], type_: pa.DataType
) -> None:
    column = one(values, kind, declared)
    assert column.to_pylist() == expected
    assert column.type == type_


@pytest.mark.parametrize(
    ("values", "kind", "declared", "said"),
    [
        ([1.5, 2.0, 2.5], pa.float64(), "integer", "x: 2 values are not whole, such as 1.5, 2.5"),
        ([2.0**60], pa.float64(), "integer", "too great to be exact"),
        ([2**60], pa.int64(), "number", "1 value is too great to be exact"),
        ([2**63], pa.uint64(), "integer", "beyond 64 bits"),
        ([0, 2], pa.int64(), "boolean", "1 value is neither 0 nor 1, such as 2"),
        (["1"], pa.string(), "integer", "holds string in the source and is declared as integer"),
        ([1.5], pa.float64(), "string", "holds double in the source and is declared as string"),
        ([MIDNIGHT.replace(hour=3)], pa.timestamp("us"), "date", "1 value is not at midnight"),
        ([math.inf, 1.0], pa.float64(), None, "1 value is infinite"),
        ([[1]], pa.list_(pa.int64()), None, "nested type list"),
        ([{"a": 1}], pa.struct({"a": pa.int64()}), None, "nested type struct"),
    ],
)
def test_what_would_be_lost_is_refused(values: list[Any], kind: pa.DataType, declared: str | None, said: str) -> None:
    error = fault(pa.table({"x": pa.array(values, kind)}), {"x": {"type": declared}} if declared else {})
    assert said in error.because[0]


def test_all_columns_that_do_not_fit_are_told_at_once_and_personal_values_never() -> None:
    table = pa.table({"a": [1.5], "b": ["t"], "secret": [43.25]})
    rules = {"a": {"type": "integer"}, "b": {"type": "date"}, "secret": {"type": "integer", "personal": True}}
    error = fault(table, rules)
    assert error.message == "the source does not fit its declared types: a, b, secret"
    assert len(error.because) == 3
    assert "43.25" not in " ".join(error.because)


def test_zones_become_utc_and_nanoseconds_stay_only_where_they_are_needed() -> None:
    moment = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    assert one([moment], pa.timestamp("ns", "Europe/Paris"), None).type == pa.timestamp("us", "UTC")
    assert one([moment], pa.timestamp("ns", "Europe/Paris"), "timestamp").to_pylist() == [moment]
    assert one([1], pa.timestamp("ns"), None).type == pa.timestamp("ns")
    assert one([1000], pa.timestamp("ns"), None).type == pa.timestamp("us")


def test_nan_is_null_unless_it_is_kept() -> None:
    table = pa.table({"x": [math.nan, 1.0, None]})
    assert conform(table, {}).column("x").to_pylist() == [None, 1.0, None]
    kept = conform(table, {}, nan_is_null=False).column("x")
    assert kept.null_count == 1
    assert math.isnan(kept[0].as_py())


@given(st.lists(st.integers(-1000, 1000), min_size=1, unique=True), st.randoms())
def test_rows_are_sorted_by_key(keys: list[int], random: Any) -> None:
    table = pa.table({"id": keys, "x": [key * 2 for key in keys]})
    order = list(range(len(keys)))
    random.shuffle(order)
    stored = conform(table.take(order), {}, key="id")
    assert stored.column("id").to_pylist() == sorted(keys)
    assert stored.column("x").to_pylist() == [key * 2 for key in sorted(keys)]


def test_a_personal_key_orders_the_rows_and_is_dropped() -> None:
    table = pa.table({"mail": ["b@x", "a@x"], "phone": ["2", "1"], "x": [2, 1]})
    rules = {"mail": {"personal": True}, "phone": {"personal": True}}
    stored = conform(table, rules, key="mail")
    assert stored.column_names == ["x"]
    assert stored.column("x").to_pylist() == [1, 2]


def test_without_a_key_the_order_of_rows_stays() -> None:
    assert conform(pa.table({"x": [3, 1, 2]}), {}).column("x").to_pylist() == [3, 1, 2]


def test_a_key_must_be_there_unique_and_not_null() -> None:
    twice = fault(pa.table({"id": ["b", "a", "b", "b"]}), key="id")
    assert twice.message == "the key id is not unique: 1 value occurs more than once, such as 'b'"
    secret = fault(pa.table({"id": ["b", "a", "b"], "x": [1, 2, 3]}), {"id": {"personal": True}}, key="id")
    assert secret.message == "the key id is not unique: 1 value occurs more than once"
    assert fault(pa.table({"id": [1, None, None]}), key="id").message == "2 rows have no id, which is the key"
    assert "no column idd" in fault(pa.table({"id": [1]}), key="idd").message


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "a\u202eb", "a\x1b[31m", "x" * 129, " a", "a\u200b"])
def test_unsafe_column_names_are_refused(name: str) -> None:
    error = fault(pa.table({name: [1], "b": [1]}))
    assert error.code == "data.names"
    assert not any(character in "".join(error.because) for character in "\n\x00\u202e\x1b\u200b")


def test_columns_must_differ_and_be_there() -> None:
    double = pa.table([pa.array([1]), pa.array([1])], names=["a", "a"])
    assert fault(double).because == ("'a' occurs twice",)
    error = fault(pa.table({"TotalCharges": [1]}), {"TotalCharge": {}, "other": {}})
    assert error.message == "the source has no column TotalCharge, other, which dataset.yaml declares"
    assert "did you mean TotalCharges for TotalCharge?" in error.help


def test_a_table_must_have_rows_and_a_column_that_is_not_personal() -> None:
    assert "no rows" in fault(pa.table({"a": pa.array([], pa.int64())})).message
    assert "all are personal" in fault(pa.table({"a": [1]}), {"a": {"personal": True}}).message


def test_remarks() -> None:
    table = pa.table(
        {
            "same": [1, 1, 1, 1],
            "none": pa.array([None] * 4, pa.string()),
            "accent": ["e\u0301", "a", "b", "c"],
            "at": [dt.date(2026, 1, 1)] * 3 + [dt.date(2026, 1, 2)],
            "fine": [1, 2, 3, 4],
        }
    )
    found = " | ".join(remarks(table, time="at"))
    assert "same: the same value in every row" in found
    assert "none: null in every row" in found
    assert "accent: not in Unicode's composed form" in found
    assert "the time column at looks like a time of loading, not of an event: 75% of the rows share one value" in found
    assert "fine" not in found
    assert remarks(pa.table({"at": [1, 2, 3]}), time="at") == ()
