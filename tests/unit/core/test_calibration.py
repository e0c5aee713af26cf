"""What a reference learns from its own blocks: how far windows may be, and what it cannot judge."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.calibration import Material, groups, prediction_limit, reference_of, would_fire
from custody.core.jsonfile import json_bytes
from custody.domain.monitoring import Counts
from custody.domain.monitors import Drift, DriftRule, Every, Monitors
from custody.domain.reference import Limit, Reference
from custody.domain.spec import Column
from tests.unit.core.watched import Watched, customers, cut


def seasons(blocks: int, rows: int = 200) -> list[pa.Table]:
    """Blocks of a year: `heat` follows the season, `wind` nothing, `month` and `weekday` the calendar."""
    random = np.random.default_rng(5)
    made = []
    for block in range(blocks):
        level = np.sin(2 * np.pi * block / 52)
        made.append(
            pa.table(
                {
                    "heat": level + random.normal(0, 0.2, rows),
                    "wind": random.normal(size=rows),
                    "month": [block * 12 // 52] * rows,
                    "weekday": np.arange(rows) % 7,
                }
            )
        )
    return made


def test_a_season_widens_its_own_limit_alone():
    found = Watched(seasons(52), ("number",) * 4, Monitors(Every.WEEK)).reference.columns
    limits = {name: known.limits["training"] for name, known in found.items() if known.limits}
    assert limits["heat"].value > 2
    assert limits["wind"].value < 0.2
    assert (limits["heat"].sees or 9) > 2
    assert limits["wind"].sees == pytest.approx(0.4, abs=0.1)
    assert [limits["wind"].rows, limits["wind"].of, len(limits["wind"].spread)] == [200, 52, 20]


def test_what_the_window_determines_is_left_out_and_said():
    watched = Watched(seasons(52), ("number",) * 4, Monitors(Every.WEEK))
    known = watched.reference.columns
    assert [name for name in known if known[name].why] == ["month"]
    assert known["month"].why == "it follows from the window"
    verdict = watched.judge(seasons(53)[-1].set_column(2, "month", pa.array([99] * 200)))
    assert "drift of month is not judged: it follows from the window" in verdict.notes


@pytest.mark.parametrize(
    ("blocks", "judged"), [(11, []), (12, ["training"]), (15, ["training"]), (16, ["training", "previous"])]
)
def test_fewer_blocks_than_twelve_are_said_and_not_judged(blocks: int, judged: list[str]):
    watched = Watched(cut(customers(200 * blocks), 200))
    assert list(watched.reference.columns["usage"].limits) == judged
    verdict = watched.judge(customers(200, seed=9).set_column(0, "usage", pa.array(np.full(200, 44.4))))
    assert [signal.against for signal in verdict.signals if signal.monitor == "drift"] == judged[:1]
    notes = [note for note in verdict.notes if "needed to know how much it varies" in note]
    assert len(notes) == 2 - len(judged)


def test_hidden_ignored_and_constant_columns_are_not_judged():
    monitors = Monitors(Every.DAY, drift=Drift(features=DriftRule(ignore=("age",))))
    known = Watched(cut(customers(2400), 200), monitors=monitors, hidden=["plan"]).reference.columns
    assert [name for name in known if known[name].why] == ["age", "plan", "country"]
    assert "plus" not in json.dumps(known["plan"].to_dict())
    assert known["country"].constant


def test_rows_without_time_have_limits_by_their_number():
    watched = Watched(cut(customers(5000), 1000), timed=False)
    assert watched.reference == Watched([customers(5000)], timed=False).reference
    assert watched.reference.every is None
    assert not watched.reference.columns["usage"].limits
    verdict = watched.judge(customers(300, seed=3))
    assert (verdict.signals, verdict.notes, verdict.together) == ((), (), 1)


def test_what_the_dataset_declares_is_taken_along():
    contract = {"age": Column("age", min=0, max=120), "plan": Column("plan", values=("basic", "plus", "pro"))}
    known = Watched(cut(customers(2400), 200), contract=contract).reference.columns
    assert (known["age"].least, known["age"].greatest, known["plan"].closed, known["usage"].closed) == (
        0,
        120,
        True,
        False,
    )


def test_the_same_blocks_make_the_same_bytes_and_read_back():
    one, other = (Watched(cut(customers(3200), 200), predicted=[Counts((5, 6, 7))] * 16).reference for _ in range(2))
    assert json_bytes(one.to_dict()) == json_bytes(other.to_dict())
    assert Reference.from_dict(json.loads(json_bytes(one.to_dict()))) == one
    assert len(json_bytes(one.to_dict())) < 8_000


@given(st.lists(st.floats(0, 5), min_size=12, max_size=60), st.floats(0.1, 10))
def test_a_limit_scales_with_what_it_is_made_from_and_grows_as_chances_shrink(values: list[float], factor: float):
    limit = prediction_limit(values, 0.001)
    assert limit >= max(0.0, np.mean(np.cbrt(values)) ** 3 - 1e-9)
    assert prediction_limit([value * factor for value in values], 0.001) == pytest.approx(limit * factor, abs=1e-9)
    assert prediction_limit(values, 0.0001) >= limit


def test_fewer_blocks_make_a_wider_limit():
    values = [0.1, 0.2, 0.15, 0.3] * 13
    assert prediction_limit(values[:12], 0.001) > 1.3 * prediction_limit(values, 0.001)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30), st.integers(1, 500))
def test_groups_follow_one_another_and_hold_enough(rows: list[int], least: int):
    found = groups(rows, least)
    assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])]
    if sum(rows) >= least:
        assert all(sum(rows[start:end]) >= least > sum(rows[start : end - 1]) for start, end in found)


def test_how_often_a_declared_limit_would_have_fired():
    found = Watched(cut(customers(200 * 16), 200)).reference.columns["usage"].limits["training"]
    assert would_fire(found, 0.0) == (16, 16)
    assert would_fire(found, found.spread[-1]) == (0, 16)
    assert would_fire(found, found.spread[3]) == (12, 16)
    many = Limit(0.3, 200, 100, tuple(number / 20 for number in range(20)))
    assert would_fire(many, 0.5) == (45, 100)
    assert would_fire(replace(many, spread=()), 0.5) == (0, 0)


def test_a_reference_needs_rows():
    with pytest.raises(ValueError, match="needs a block"):
        reference_of(Material("churn", "r1", "customers@v1", {}, []), Monitors(Every.DAY))
