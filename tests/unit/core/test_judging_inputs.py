"""What one window of inputs is judged to be: planted faults, quiet without them, and what waits for rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from custody.core.drift import distance
from custody.core.jsonfile import json_bytes
from custody.core.profiles import edges_digest
from custody.domain.monitoring import Counts, Profile
from custody.domain.monitors import Drift, DriftRule, Every, Level, Monitors, Quality
from custody.domain.spec import Column
from tests.unit.core.watched import KINDS, Watched, customers, cut, drifts, fired

ROWS = 300
Fault = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def reference() -> Watched:
    """Twenty windows of training and eight that were judged since, none with a fault."""
    watched = Watched(cut(customers(20 * ROWS), ROWS))
    for seed in range(8):
        assert watched.judge(customers(ROWS, seed + 1), age=3600.0).signals == ()
    return watched


def after(reference: Watched, fault: Fault, **facts: object) -> list[tuple[str, str | None, str]]:
    """What the next window says, if it is a usual one with the fault."""
    found = _next(reference).judge(fault(customers(ROWS, 99)), **facts)
    return fired(found)


def _next(reference: Watched) -> Watched:
    """The same model once more, so that what is judged does not count for the next test."""
    copy = object.__new__(Watched)
    copy.__dict__ |= reference.__dict__ | {"history": list(reference.history)}
    following = list(zip(range(40), reference.calendar, strict=False))
    reference.calendar = iter([window for _, window in following])
    copy.calendar = iter([window for _, window in following])
    return copy


def put(name: str, values: object) -> Fault:
    return lambda table: table.set_column(table.column_names.index(name), name, values(table[name]))  # type: ignore[operator]


def some(value: object, every: int) -> Callable[[pa.ChunkedArray], pa.Array]:
    def change(column: pa.ChunkedArray) -> pa.Array:
        mask = pa.array(np.arange(len(column)) % every == 0)
        return pc.if_else(mask, pa.scalar(value, column.type), column)

    return change


def swapped(table: pa.Table) -> pa.Table:
    return table.rename_columns(["age", "usage", *table.column_names[2:]]).select(table.column_names)


FAULTS: dict[str, tuple[Fault, list[tuple[str, str | None, str]]]] = {
    "none": (lambda table: table, []),
    "nulls in a third": (put("usage", some(None, 3)), [("nulls", "usage", "alert")]),
    "nulls of a category": (put("plan", some(None, 3)), [("nulls", "plan", "alert")]),
    "a new category": (put("plan", some("gold", 20)), [("categories", "plan", "warn")]),
    "a category is gone": (
        put("plan", lambda column: pc.replace_substring(column, "pro", "plus")),
        [("categories", "plan", "warn"), ("drift", "plan", "warn")],
    ),
    "stuck": (
        put("age", lambda column: pa.array([40] * len(column))),
        [("constant", "age", "alert"), ("drift", "age", "warn")],
    ),
    "stuck category": (
        put("plan", lambda column: pa.array(["plus"] * len(column))),
        [("constant", "plan", "alert"), ("drift", "plan", "warn")],
    ),
    "a constant varies": (put("country", some("BE", 100)), [("constant", "country", "alert")]),
    "swapped": (swapped, [("range", "age", "warn"), ("drift", "usage", "warn"), ("drift", "age", "warn")]),
    "text among numbers": (
        put("age", lambda column: pc.if_else(pa.array(np.arange(ROWS) % 50 == 0), "unknown", column.cast(pa.string()))),
        [("text_number", "age", "alert")],
    ),
    "gone": (lambda table: table.drop_columns(["usage"]), [("schema", "usage", "alert")]),
    "one more": (lambda table: table.append_column("extra", table["age"]), [("schema", "extra", "warn")]),
    "another unit": (
        put("age", lambda column: pc.multiply(column, 12)),
        [("range", "age", "warn"), ("drift", "age", "warn")],
    ),
    "zeros filled in": (put("age", some(0, 3)), [("range", "age", "warn"), ("drift", "age", "warn")]),
    "commoner commonest": (put("plan", some("basic", 2)), [("mode", "plan", "warn"), ("drift", "plan", "warn")]),
    "shifted": (put("usage", lambda column: pc.add(column, 12.0)), [("drift", "usage", "warn")]),
    "half the rows": (lambda table: table.slice(0, 120), [("volume", None, "alert")]),
    "no rows": (lambda table: table.slice(0, 0), [("volume", None, "alert")]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_in_the_first_window(reference: Watched, name: str):
    fault, expected = FAULTS[name]
    assert after(reference, fault) == expected


def test_dates_in_another_format_are_a_change_of_the_schema():
    days = pa.array(np.datetime64("2010-01-01") + np.arange(4800) % 700)
    table = pa.table({"since": days, "x": np.arange(4800) % 7})
    watched = Watched(cut(table, ROWS), ("date", "number"))
    written = pc.strftime(table["since"].slice(0, ROWS), format="%d/%m/%y")
    verdict = watched.judge(pa.table({"since": written, "x": table["x"].slice(0, ROWS)}))
    assert fired(verdict) == [("schema", "since", "alert")]
    assert "300 of 300 values are no dates, the format may have changed" in verdict.signals[0].text
    later = pa.array(np.datetime64("2015-01-01") + np.arange(ROWS) % 300)
    assert not [
        item
        for item in fired(watched.judge(pa.table({"since": later, "x": table["x"].slice(0, ROWS)})))
        if item[0] == "range"
    ]


def test_a_stale_feed_and_times_that_cannot_be_read(reference: Watched):
    assert after(reference, lambda table: table, age=2 * 86400.0 + 1) == [("freshness", None, "alert")]
    assert after(reference, lambda table: table, age=2 * 86400.0) == []
    assert after(reference, lambda table: table, undated=3, time="at") == [("schema", "at", "alert")]
    no_rows = _next(reference).judge(customers(ROWS).slice(0, 0), age=3 * 86400.0)
    assert [item[0] for item in fired(no_rows)] == ["freshness", "volume"]
    assert (no_rows.notes, no_rows.waiting) == (("there are no rows",), True)


def test_without_a_time_in_the_training_data_only_a_window_without_rows_is_told():
    watched = Watched([customers(4000)], timed=False)
    none = customers(ROWS).slice(0, 0)
    assert fired(watched.judge(none)) == []
    for rows in (300, 30, 900, 300):
        assert fired(watched.judge(customers(rows, rows))) == []
    found = watched.judge(none).signals
    assert [(one.monitor, one.level, one.at_once) for one in found] == [("volume", "alert", True)]
    assert found[0].text == "0 rows, 300 in the window before"


def test_a_shop_that_is_closed_on_sundays_is_told_of_once():
    watched = Watched([customers(4000)], timed=False)
    closed = [bool(watched.judge(customers(0 if day % 7 == 6 else ROWS, day)).signals) for day in range(28)]
    assert [day for day, told in enumerate(closed) if told] == [6] if closed[6] else not any(closed)


def test_a_feed_that_stays_away_is_stale_after_two_windows():
    watched = Watched([customers(4000)], timed=False)
    watched.judge(customers(ROWS, 1), age=0.0)
    found = [fired(watched.judge(customers(ROWS).slice(0, 0))) for _ in range(3)]
    assert found == [[], [], [("freshness", None, "alert")]]


def test_what_is_switched_off_is_not_told(reference: Watched):
    off = Level.OFF
    quiet = Quality(
        None, 0, volume=False, schema=off, constant=off, range=off, categories=off, mode=off, text_number=off
    )
    for name in FAULTS:
        watched = _next(reference)
        watched.monitors = Monitors(Every.DAY, quality=quiet, drift=Drift(None, None))
        assert watched.judge(FAULTS[name][0](customers(ROWS, 99)), age=1e9, undated=3).signals == (), name


def test_what_the_dataset_declares_is_judged_by_the_row():
    contract = {"age": Column("age", min=18, max=120), "plan": Column("plan", values=("basic", "plus", "pro"))}
    watched = Watched(cut(customers(20 * ROWS), ROWS), contract=contract)
    table = put("age", some(130, ROWS))(put("plan", some("gold", ROWS))(customers(ROWS, 99)))
    found = watched.judge(table).signals
    assert [(one.monitor, one.column, one.level, one.value) for one in found] == [
        ("range", "age", "alert", 130.0),
        ("categories", "plan", "alert", 0.003333),
    ]


def test_nulls_say_their_share_and_open_at_once_only_where_they_are_many():
    watched = Watched(cut(put("usage", some(None, 10))(customers(20 * ROWS)), ROWS))
    few = watched.judge(put("usage", some(None, 5))(customers(ROWS, 1)))
    assert fired(few) == []
    more = watched.judge(put("usage", some(None, 3))(customers(ROWS, 2))).signals
    assert [(one.column, one.value, one.at_once) for one in more] == [("usage", 0.3333, False)]
    assert "usage is null in 33.3 % of 300 rows, 10 % at most in training" in more[0].text
    single = watched.judge(put("usage", some(None, 1))(customers(1, 4)))
    assert fired(single) == [("volume", None, "alert")]
    many = watched.judge(put("usage", some(None, 2))(customers(ROWS, 3))).signals
    assert many[0].at_once


def test_windows_with_too_few_rows_wait_and_are_judged_together():
    watched = Watched(cut(customers(20 * ROWS), 60), monitors=Monitors(Every.DAY, min_rows=200))
    shifted = [put("usage", lambda column: pc.add(column, 15.0))(part) for part in cut(customers(ROWS * 3, 9), 60)]
    verdicts = [watched.judge(part) for part in shifted[:9]]
    assert [verdict.together for verdict in verdicts] == [0, 0, 0, 4, 0, 0, 0, 4, 0]
    assert [verdict.waiting for verdict in verdicts[:5]] == [True, True, True, False, True]
    assert [len(drifts(verdict)) for verdict in verdicts] == [0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert verdicts[0].notes == ("drift waits for rows: 60 of 200",)
    assert verdicts[7].notes == ("drift is judged of 4 windows together, 240 rows",)
    assert [drifts(verdict)[0].n for verdict in (verdicts[3], verdicts[7])] == [240, 240]


def test_a_jump_is_seen_against_the_windows_before_and_then_becomes_usual():
    """The season hides it from what is compared with the training data."""
    watched = Watched(_tides(0, 40), ("number",))
    for part in _tides(40, 44):
        assert drifts(watched.judge(part)) == []
    found = [drifts(watched.judge(part)) for part in _tides(44, 49, jump=3.0)]
    assert [item[0].against for item in found[:1]] == ["previous"]
    assert "previous" not in {one.against for one in found[-1]}


def _tides(first: int, last: int, jump: float = 0.0) -> list[pa.Table]:
    random = np.random.default_rng(first)
    levels = [4 * np.sin(2 * np.pi * block / 40) + jump for block in range(first, last)]
    return [pa.table({"level": level + random.normal(0, 1, 250)}) for level in levels]


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        (DriftRule(limit=0.05), 0.05),
        (DriftRule("ks", limit=0.1), 0.1),
        (DriftRule(limit="size"), 0.2 + 0.118),
        (DriftRule(floor=0.3), 0.3),
    ],
)
def test_a_declared_limit_stands(rule: DriftRule, limit: float):
    watched = Watched(cut(customers(20 * ROWS), ROWS), monitors=Monitors(Every.DAY, drift=Drift(rule)))
    shifted = put("usage", lambda column: pc.add(column, 15.0))(customers(ROWS, 1))
    found = [one for one in drifts(watched.judge(shifted)) if one.column == "usage"]
    assert [one.limit for one in found] == [pytest.approx(limit, rel=0.2)]
    assert found[0].metric == rule.stat


def test_every_statistic_sees_a_shift_and_is_quiet_without():
    for stat in ("psi", "js", "ks", "w1", "chi2"):
        watched = Watched(cut(customers(20 * ROWS), ROWS), monitors=Monitors(Every.DAY, drift=Drift(DriftRule(stat))))
        assert drifts(watched.judge(customers(ROWS, 1))) == []
        shifted = put("usage", lambda column: pc.add(column, 12.0))(customers(ROWS, 2))
        assert [(one.column, one.metric) for one in drifts(watched.judge(shifted))] == [("usage", stat)]


def test_a_statistic_without_limits_in_the_reference_is_said(reference: Watched):
    watched = _next(reference)
    watched.monitors = Monitors(Every.DAY, drift=Drift(DriftRule("ks")))
    shifted = put("usage", lambda column: pc.add(column, 12.0))(customers(ROWS, 2))
    verdict = watched.judge(shifted)
    assert drifts(verdict) == []
    assert "drift by ks is not judged: the reference has limits for psi" in verdict.notes


def test_predictions_drift_by_themselves_and_page():
    usual = [Counts((90 + seed % 5, 105, 105 - seed % 5)) for seed in range(20)]
    watched = Watched(cut(customers(20 * ROWS), ROWS), predicted=usual)
    assert watched.judge(customers(ROWS, 1), prediction=Counts((95, 100, 105))).signals == ()
    found = watched.judge(customers(ROWS, 2), prediction=Counts((200, 50, 50))).signals
    assert [(one.monitor, one.column, one.level, one.key) for one in found] == [
        ("prediction", None, "alert", "prediction||psi")
    ]
    assert found[0].text.startswith("predictions: psi ")


def test_predictions_may_be_judged_by_another_statistic_than_features():
    usual = [Counts((90 + seed % 5, 105, 105 - seed % 5)) for seed in range(20)]
    monitors = Monitors(Every.DAY, drift=Drift(prediction=DriftRule("ks")))
    watched = Watched(cut(customers(20 * ROWS), ROWS), monitors=monitors, predicted=usual)
    found = watched.judge(customers(ROWS, 2), prediction=Counts((200, 50, 50))).signals
    assert [(one.monitor, one.metric) for one in found] == [("prediction", "ks")]
    watched.monitors = Monitors(Every.DAY)
    verdict = watched.judge(customers(ROWS, 3), prediction=Counts((200, 50, 50)))
    assert verdict.signals == ()
    assert verdict.notes == ("drift of predictions by psi is not judged: the reference has limits for ks",)


def test_another_version_of_the_data_may_be_compared_with():
    monitors = Monitors(Every.DAY, drift=Drift(reference=("customers@v0",)))
    watched = Watched(cut(customers(20 * ROWS), ROWS), monitors=monitors)
    assert watched.judge(customers(ROWS, 3)).notes == (
        "drift against customers@v0 is not judged: the reference has no counts of it",
    )
    old = {"usage": Counts((0,) * 9 + (500,))}
    watched.reference = replace(watched.reference, others={"customers@v0": old})
    found = watched.judge(customers(ROWS, 1)).signals
    assert [(one.column, one.against) for one in found] == [("usage", "customers@v0")]


def test_two_years_tell_a_season_from_a_drift():
    monitors = Monitors(Every.WEEK, drift=Drift(reference=("same_period",)))
    watched = Watched(_years(0, 105), ("number",), monitors)
    limits = watched.reference.columns["level"].limits
    assert 3 * limits["same_period"].value < limits["training"].value
    usual, warmer = (_years(105, 110), _years(110, 115, jump=2.0))
    assert [drifts(watched.judge(part)) for part in usual] == [[]] * 5
    found = [drifts(watched.judge(part)) for part in warmer]
    assert [one.against for part in found for one in part] == ["same_period"] * 5
    assert found[0][0].text.endswith("against the same month of other years")


def _years(first: int, last: int, jump: float = 0.0) -> list[pa.Table]:
    random = np.random.default_rng(first)
    levels = [4 * np.sin(2 * np.pi * week / 52.18) + jump for week in range(first, last)]
    return [pa.table({"level": level + random.normal(0, 1, 250)}) for level in levels]


def test_less_than_two_years_cannot_be_compared_with_another_year():
    monitors = Monitors(Every.WEEK, drift=Drift(reference=("same_period",)))
    watched = Watched(_years(0, 90), ("number",), monitors)
    verdict = watched.judge(_years(90, 91, jump=9.0)[0])
    assert drifts(verdict) == []
    assert verdict.notes == (
        "drift against same_period is not judged: the training data does not reach over two years",
    )


def test_windows_judged_by_another_reference_are_not_added_up(reference: Watched):
    watched = _next(reference)
    watched.reference = replace(watched.reference, run="r2")
    watched.monitors = Monitors(Every.DAY, min_rows=ROWS + 1)
    assert watched.judge(customers(ROWS, 1)).notes == ("drift waits for rows: 300 of 301",)


def test_near_its_limit_a_column_is_not_clean(reference: Watched):
    watched = _next(reference)
    column = watched.reference.columns["usage"]
    shifted = Counts((0, 0, *column.counts.cells[2:]))
    value = distance("psi", shifted, column.counts, column.edges)
    limits = {name: replace(limit, value=value / 0.9) for name, limit in column.limits.items()}
    watched.monitors = Monitors(Every.DAY, drift=Drift(DriftRule(floor=0.0), reference=("training",)))
    watched.reference = replace(watched.reference, columns={"usage": replace(column, limits=limits)})
    verdict = watched.judge(Profile(watched.reference.edges, ROWS, {"usage": shifted}))
    assert (verdict.signals, verdict.near) == ((), ("drift|usage|psi",))


def test_a_window_judged_twice_gives_the_same_bytes_whatever_the_order_of_its_rows(reference: Watched):
    table = swapped(customers(ROWS, 5))
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(ROWS)))
    bytes_ = {
        json_bytes({"signals": [one.to_dict() for one in _next(reference).judge(part).signals]})
        for part in (table, table, pa.concat_tables(cut(mixed, 7)))
    }
    assert len(bytes_) == 1


def test_a_window_of_thirty_columns_takes_less_than_four_kilobytes():
    random = np.random.default_rng(0)
    table = pa.table({f"measurement_{place:02}": random.normal(size=40_000) * 10.0**place for place in range(30)})
    watched = Watched(cut(table, 2_000), ("number",) * 30)
    watched.judge(table)
    assert len(json_bytes(watched.history[-1].to_dict())) < 4_000


def test_no_value_of_a_hidden_column_is_said():
    watched = Watched(cut(customers(20 * ROWS), ROWS), KINDS, hidden=["plan", "age"])
    for fault, _ in FAULTS.values():
        verdict = _next(watched).judge(fault(customers(ROWS, 99)))
        assert {one.monitor for one in verdict.signals if one.column in {"plan", "age"}} <= {"nulls", "schema"}
    assert edges_digest(watched.edges) == watched.reference.edges
