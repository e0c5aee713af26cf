from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.content.logical import column_digests
from custody.content.profile import DIGEST_ROWS, profile


def test_numbers_texts_and_booleans() -> None:
    table = pa.table(
        {
            "age": pa.array([20, 30, None, 40] * 50, pa.int64()),
            "plan": pa.array(["No", "Yes", "No", None] * 50),
            "churned": pa.array([True, False, False, None] * 50),
            "name": pa.array([f"n{row}" for row in range(200)]),
        }
    )
    found = profile(table)
    digests = column_digests(table)
    assert found["age"] == {
        "kind": "integer",
        "digest": digests["age"][1],
        "nulls": 50,
        "distinct": 3,
        "min": 20,
        "max": 40,
        "mean": 30,
        "top": {"20": 50, "30": 50, "40": 50},
    }
    assert found["plan"]["top"] == {"No": 100, "Yes": 50}
    assert found["churned"]["top"] == {"false": 100, "true": 50}
    assert found["name"] == {"kind": "string", "digest": digests["name"][1], "nulls": 0, "distinct": 200}
    assert list(found) == table.column_names


def test_dates_and_times_are_texts() -> None:
    table = pa.table(
        {
            "day": pa.array([dt.date(2026, 1, 2), dt.date(2026, 1, 1)]),
            "at": pa.array([dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        }
    )
    found = profile(table)
    assert (found["day"]["min"], found["day"]["max"]) == ("2026-01-01", "2026-01-02")
    assert found["at"]["min"].startswith("2026-01-01 12:00:00")
    assert "mean" not in found["day"]


@pytest.mark.parametrize(("rows", "shown"), [(DIGEST_ROWS - 1, False), (DIGEST_ROWS, True)])
def test_small_tables_have_no_column_digests(rows: int, shown: object) -> None:
    assert ("digest" in profile(pa.table({"n": list(range(rows))}))["n"]) is shown


def test_no_value_of_a_sensitive_column_with_many_values_is_shown() -> None:
    table = pa.table({"age": [float(row) for row in range(200)], "gender": ["f", "m"] * 100})
    found = profile(table, sensitive={"age", "gender"})
    assert not {"min", "max", "top"} & set(found["age"])
    assert found["age"]["mean"] == 99.5
    assert found["gender"]["top"] == {"f": 100, "m": 100}
    assert "min" in profile(table)["age"]


def test_at_most_ten_of_the_commonest_values_are_listed_ties_by_text() -> None:
    table = pa.table({"code": [f"c{row % 15:02}" for row in range(150)] + ["c14"]})
    top = profile(table)["code"]["top"]
    assert list(top) == ["c14", *(f"c{row:02}" for row in range(9))]


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_a_profile_can_always_be_written_as_json(values: list[float | None]) -> None:
    (found,) = profile(pa.table({"x": pa.array(values, pa.float64())})).values()
    json.dumps(found, allow_nan=False)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), st.randoms())
def test_a_mean_does_not_depend_on_the_order_of_summing(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert profile(pa.table({"x": values}))["x"]["mean"] == profile(pa.table({"x": shuffled}))["x"]["mean"]


def test_a_mean_is_rounded_to_twelve_digits() -> None:
    assert profile(pa.table({"x": [1.0, 0.0, 0.0]}))["x"]["mean"] == 0.333333333333
