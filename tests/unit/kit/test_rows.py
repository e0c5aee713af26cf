"""Rows of a request and of a file: checked by kind, with messages that name the field; and back from the journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from custody.domain.serving import Prediction, Promoted
from custody.errors import ContractError
from custody.kit.predictions import leaves_of, seal
from custody.kit.rows import fitted, kept_rows, micros, refuse_missing, request_rows, table_of

PROMOTED = Promoted(
    "churn",
    "v3",
    "r1",
    "a" * 64,
    "classification",
    ("age", "active", "plan", "since", "seen"),
    ("number", "boolean", "text", "date", "timestamp"),
    (False, True),
    key="customer",
)
ROW = {"age": 31, "active": True, "plan": "pro", "since": "2026-01-02", "seen": "2026-01-02T03:04:05.5"}


def faults(row: Any) -> tuple[str, ...]:
    with pytest.raises(ContractError) as caught:
        request_rows([ROW, row], PROMOTED)
    return caught.value.because


def test_rows_become_features_in_order_of_training() -> None:
    shuffled = dict(reversed([*ROW.items(), ("customer", "c7")]))
    table, keys = request_rows([shuffled, {**dict.fromkeys(ROW)}], PROMOTED)
    assert table.column_names == list(PROMOTED.features)
    values = [31.0, True, "pro", date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 500_000)]  # noqa: DTZ001
    assert table.to_pylist() == [dict(zip(ROW, values, strict=True)), dict.fromkeys(ROW)]
    assert keys == ["c7", None]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("age", "31", "rows[1].age is a text, a number is expected"),
        ("age", True, "rows[1].age is true or false, a number is expected"),
        ("age", 2**60, "rows[1].age is a whole number, a number is expected"),
        ("age", [1], "rows[1].age is a list, a number is expected"),
        ("active", 1, "rows[1].active is a whole number, true or false is expected"),
        ("plan", 3, "rows[1].plan is a whole number, a text is expected"),
        ("plan", "\ud800", "rows[1].plan is a text, a text is expected"),
        ("since", "02.01.2026", "rows[1].since is a text, a date such as 2026-11-24 is expected"),
        ("seen", "2026-01-02T03:04:05Z", "rows[1].seen is a text, a time such as 2026-11-24T08:30:00 is expected"),
        ("customer", 1.5, "rows[1].customer is a number, a text or a whole number is expected"),
    ],
)
def test_a_value_of_another_kind_is_named_and_not_shown(field: str, value: Any, said: str) -> None:
    assert faults({**ROW, field: value}) == (said,)


def test_fields_that_are_missing_or_unknown_are_named() -> None:
    row = {name: value for name, value in ROW.items() if name != "plan"}
    assert faults({**row, "plans": "pro"}) == (
        "rows[1] has no plan",
        "rows[1] has 'plans', which is unknown: did you mean plan?",
    )
    assert faults({**ROW, "email": "a@b.c"}) == ("rows[1] has 'email', which is unknown",)
    assert faults([1]) == ("rows[1] is a list, an object is expected",)


def test_the_first_faults_stand_for_all() -> None:
    with pytest.raises(ContractError) as caught:
        request_rows([{}] * 100, PROMOTED)
    assert len(caught.value.because) == 6
    assert caught.value.because[-1] == "and 495 more"


def test_a_file_is_fitted_or_says_what_is_wrong() -> None:
    table = pa.table({"age": [3], "active": [1], "plan": ["x"], "since": [date(2026, 1, 2)], "seen": [None]})
    assert fitted(table, PROMOTED, "day.csv").schema.field("active").type == pa.bool_()
    with pytest.raises(ContractError, match=r"day.csv has no column since, seen"):
        refuse_missing(PROMOTED.features, ["age", "active", "plan"], "day.csv has no column", "churn")
    wrong = table.set_column(0, "age", pa.array(["three"]))
    with pytest.raises(ContractError, match=r"day.csv does not fit") as caught:
        fitted(wrong, PROMOTED, "day.csv")
    assert caught.value.because == ("age: holds string in the source and is declared as number",)
    with pytest.raises(ContractError, match="has no rows"):
        fitted(table.slice(0, 0), PROMOTED, "day.csv")


def test_what_is_personal_now_is_not_kept() -> None:
    promoted = replace(PROMOTED, hidden=("plan", "age"))
    table, _ = request_rows([ROW], promoted)
    (kept,) = kept_rows(table, promoted)
    assert kept == (True, "2026-01-02", "2026-01-02T03:04:05.500000")
    sealed = table_of(promoted, [Prediction("p", 0, True, (0.5, 0.5), kept)])
    assert not {"plan", "age"} & set(sealed.column_names)


def test_the_journal_gives_back_what_was_answered() -> None:
    table, keys = request_rows([{**ROW, "customer": 7}, dict.fromkeys(ROW)], PROMOTED)
    rows = zip("ab", kept_rows(table, PROMOTED), keys, strict=True)
    found = table_of(PROMOTED, [Prediction(name, 5, True, (0.25, 0.75), kept, key) for name, kept, key in rows])
    assert found.select(PROMOTED.features).equals(table)
    assert found.column("key").to_pylist() == [7, None]
    assert found.column("probability.true").to_pylist() == [0.75, 0.75]


def test_batches_end_with_the_month_and_do_not_depend_on_order() -> None:
    day = 86_400_000_000
    made = [Prediction(f"p{number}", number * 10 * day, number % 2 == 0, (), (None,) * 5) for number in range(7)]
    one = [item.batch for item in seal(table_of(PROMOTED, made), PROMOTED, "serve")]
    other = [item.batch for item in seal(table_of(PROMOTED, made[::-1]), PROMOTED, "serve")]
    assert one == other
    assert [(batch.period, batch.rows) for batch in one] == [("1970-01", 4), ("1970-02", 2), ("1970-03", 1)]
    assert one[0].counts == {"false": 2, "true": 2}
    assert len({batch.id for batch in one}) == 3


def test_ids_that_occur_twice_are_refused() -> None:
    made = [Prediction("p", 0, True, (), (None,) * 5)] * 2
    with pytest.raises(ContractError, match="'p' occurs twice"):
        list(seal(table_of(PROMOTED, made), PROMOTED, "serve"))
    assert len(leaves_of(table_of(PROMOTED, made))) == 2


def test_times_without_a_zone_are_those_of_the_project() -> None:
    naive = pa.chunked_array([pa.array([datetime(2026, 7, 1, 12)])])  # noqa: DTZ001
    assert micros(naive, "at", "Europe/Zurich").to_pylist() == [1_782_900_000_000_000]
    assert micros(naive, "at", "UTC").to_pylist() == [1_782_907_200_000_000]
    with pytest.raises(ContractError, match="holds string, no times"):
        micros(pa.chunked_array([["x"]]), "at", "UTC")
