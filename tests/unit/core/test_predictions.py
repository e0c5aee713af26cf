"""Ids, times and counts of predictions."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.predictions import (
    RANDOM,
    batch_id,
    decode_batch,
    feature_column,
    micros_of,
    moment,
    moment_of,
    prediction_id,
    sketch,
)


@given(st.integers(0, 2**47 * 1000), st.binary(min_size=RANDOM, max_size=RANDOM))
def test_an_id_is_a_uuid_of_version_7(micros: int, random: bytes) -> None:
    found = uuid.UUID(name := prediction_id(micros, random))
    assert (found.version, found.variant, str(found)) == (7, uuid.RFC_4122, name)
    assert found.int >> 80 == micros // 1000


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_says_when_it_was_made(at: datetime) -> None:
    micros = micros_of(at)
    assert moment(micros) == at.isoformat(timespec="microseconds")
    told = moment_of(prediction_id(micros, bytes(RANDOM)))
    assert told == at.replace(microsecond=at.microsecond // 1000 * 1000).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("name", ["", "7", "p-17", "01a2104f-48fe-47eb-aa56-ff7cfa3a6903", "x" * 36])
def test_an_id_of_another_kind_says_nothing(name: str) -> None:
    assert moment_of(name) is None


def test_features_never_take_the_columns_of_a_batch() -> None:
    names = ["age", "id", "time", "key", "prediction", "probability.true", "feature.id"]
    columns = [feature_column(name) for name in names]
    assert columns == ["age", *(f"feature.{name}" for name in names[1:])]
    assert [name.removeprefix("feature.") for name in columns] == names


@given(st.lists(st.floats(-1e9, 1e9)), st.lists(st.floats(-1e9, 1e9)))
def test_counts_of_numbers_add_up(one: list[float], other: list[float]) -> None:
    added = Counter(sketch("regression", one)) + Counter(sketch("regression", other))
    assert dict(added) == {cell: count for cell, count in sketch("regression", one + other).items() if count}


def test_counts_say_how_a_number_begins() -> None:
    assert sketch("regression", [0.0, 30.0, 39.99, 40, -0.25]) == {"0": 1, "3e1": 2, "4e1": 1, "-2e-1": 1}
    assert sketch("classification", [True, False, True]) == {"true": 2, "false": 1}
    assert sketch("classification", ["pro", "free"]) == {"pro": 1, "free": 1}


def test_a_batch_is_named_by_its_rows_and_their_run() -> None:
    assert batch_id("churn", "r1", "00") == batch_id("churn", "r1", "00")
    assert len({batch_id("churn", "r1", "00"), batch_id("churn", "r1", "01"), batch_id("churn", "r2", "00")}) == 3


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "id": 3}', b"\xff"])
def test_what_is_no_batch_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_batch(data)
