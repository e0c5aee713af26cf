"""Guard rails of on_alert: what is withheld, with its reason, and what is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.guards import (
    QUALITY,
    RETRAIN,
    ROLLBACK,
    Case,
    Deed,
    Earlier,
    acts_on,
    better,
    deeds_of,
    facts_with,
    failing_outcomes,
    latest_outcomes,
    learnt_until,
    retraining_withheld,
    rollback_withheld,
    withheld_lines,
)
from custody.domain.incident import Incident, IncidentState
from custody.domain.monitoring import Health, Judged, Signal, Window
from custody.domain.monitors import DAY, Every, Level, Monitors, OnAlert
from tests.unit.core import build

NOW = "2012-03-10T06:00:00+00:00"
MONITORS = Monitors(Every.MONTH, min_rows=200, on_alert=OnAlert(("notify", "retrain", "rollback")))
BIAS = Signal("bias", Level.ALERT, "demand is above", metric="bias", value=67, limit=40)
EARLIER = Earlier("v1", "2012-01-01T00:00:00+00:00")


def window(month: int) -> Window:
    return Window(
        f"2012-{month:02}", Every.MONTH, f"2012-{month:02}-01T00:00:00+00:00", f"2012-{month + 1:02}-01T00:00:00+00:00"
    )


def judged(month: int, what: str, *signals: Signal, health: Health = Health.OK, n: int = 700) -> Judged:
    measures = {"r2": (0.3, 0.2, 0.4, n)} if what == "outcomes" else {}
    return Judged("bikes", "r1", "v2", window(month), what, health, n, "d", "ref", signals, measures=measures)


def incident(*deeds: Deed, name: str = "a42a42", **changes: Any) -> Incident:
    made = Incident(
        name,
        "model:bikes",
        ("bikes",),
        IncidentState.FIRING,
        Level.ALERT,
        "2012-01",
        "2012-01-01T00:00:00+00:00",
        "2012-02",
        (BIAS,),
    )
    return replace(made, **{"facts": facts_with(made, deeds, ()), **changes})


def case(*windows: Judged, **changes: Any) -> Case:
    usual = windows or (judged(1, "inputs"), judged(2, "inputs"), judged(2, "outcomes", BIAS))
    own = changes.pop("incident", incident())
    return Case(
        "bikes", changes.pop("monitors", MONITORS), own, usual, (own, *changes.pop("known", ())), NOW, **changes
    )


def deed(what: str, at: str, model: str = "bikes") -> Deed:
    return Deed(what, model, at, f"{what} of {model}")


def test_nothing_is_withheld_where_all_is_well() -> None:
    assert retraining_withheld(case()) is None
    assert rollback_withheld(case(), EARLIER) is None
    latest = latest_outcomes(case())
    assert latest
    assert (latest.window, failing_outcomes(case())) == (window(2), window(2))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (case(acknowledged="ann"), "ann acknowledged the incident"),
        (case(held="production is held by 1a2b3c4d"), "production is held by 1a2b3c4d"),
        (case(judged(2, "inputs"), judged(2, "outcomes", n=199)), "no window has 200 outcomes yet"),
        (case(judged(2, "outcomes", health=Health.WAITING)), "no window has 200 outcomes yet"),
        (case(judged(2, "inputs")), "no window has 200 outcomes yet"),
        (case(incident=incident(deed(RETRAIN, "2012-02-01T00:00:00+00:00"))), "done once in this incident"),
        (
            case(known=[incident(deed(RETRAIN, "2012-03-05T06:00:00+00:00"), name="b")]),
            "done 2012-03-05T06:00, less than 7 d ago",
        ),
        (case(incident=incident(signals=(Signal("run", Level.ALERT, "train failed"),))), "its training runs fail"),
        (
            case(
                judged(1, "inputs", Signal("nulls", Level.ALERT, "t", column="temp")),
                judged(
                    2, "inputs", Signal("nulls", Level.ALERT, "t", column="hum"), Signal("volume", Level.ALERT, "t")
                ),
                judged(2, "outcomes"),
            ),
            "nulls of hum, volume red",
        ),
        (
            case(judged(1, "outcomes"), judged(2, "inputs", health=Health.NO_DATA)),
            "no data came in 2012-02",
        ),
    ],
)
def test_retraining_is_withheld_with_a_reason(found: Case, why: str) -> None:
    assert retraining_withheld(found) == why


@pytest.mark.parametrize(
    ("found", "earlier", "why"),
    [
        (case(), None, "there is no earlier version"),
        (case(), Earlier("v1", None), "v1 is more than 180 d old"),
        (case(), Earlier("v1", "2011-09-01T00:00:00+00:00"), "v1 is more than 180 d old"),
        (case(), replace(EARLIER, missing=("wind", "hum")), "v1 needs wind, hum, which is not there"),
        (case(judged(2, "outcomes")), EARLIER, "no window of outcomes alarms, by which the two could be compared"),
        (case(incident=incident(deed(ROLLBACK, "2012-01-01T00:00:00+00:00"))), EARLIER, "done once in this incident"),
        (
            case(known=[incident(deed(ROLLBACK, "2012-03-10T00:00:00+00:00"), name="b")]),
            EARLIER,
            "done 2012-03-10T00:00, less than 1 d ago",
        ),
        (case(acknowledged="ann"), EARLIER, "ann acknowledged the incident"),
    ],
)
def test_rollback_is_withheld_with_a_reason(found: Case, earlier: Earlier | None, why: str) -> None:
    assert rollback_withheld(found, earlier) == why


def test_what_was_done_to_another_model_or_otherwise_counts_for_nothing() -> None:
    others = incident(deed(ROLLBACK, "2012-03-10T00:00:00+00:00"), deed(RETRAIN, "2012-03-10T00:00:00+00:00", "trams"))
    assert retraining_withheld(case(incident=others)) is None


def test_data_that_has_recovered_and_a_warning_withhold_nothing() -> None:
    bad = judged(1, "inputs", Signal("nulls", Level.ALERT, "t", column="temp"))
    warned = judged(2, "inputs", Signal("mode", Level.WARN, "t", column="hum"), Signal("drift", Level.ALERT, "t"))
    assert retraining_withheld(case(bad, warned, judged(2, "outcomes"))) is None


@given(st.sampled_from(sorted(QUALITY)), st.lists(st.sampled_from(["drift", "bias", "range"]), max_size=3))
def test_no_red_monitor_of_the_data_lets_a_model_learn(monitor: str, others: list[str]) -> None:
    signals = [Signal(name, Level.WARN, "t") for name in others] + [Signal(monitor, Level.ALERT, "t")]
    found = retraining_withheld(case(judged(2, "inputs", *signals), judged(2, "outcomes")))
    assert found == f"{monitor} red"


def test_deeds_are_kept_in_the_incident_and_what_is_withheld_is_replaced() -> None:
    first = incident(facts={"good": {"window": "2011-12"}})
    blocked = replace(first, facts=facts_with(first, (), ["retrain: nulls red"]))
    assert (withheld_lines(blocked), deeds_of(blocked)) == (("retrain: nulls red",), ())
    done = replace(blocked, facts=facts_with(blocked, [deed(RETRAIN, NOW)], []))
    assert (withheld_lines(done), deeds_of(done)) == ((), (deed(RETRAIN, NOW),))
    assert done.facts["done"] == ["retrain of bikes"]
    assert done.facts["good"] == {"window": "2011-12"}
    assert Incident.from_dict(done.to_dict()) == done


@pytest.mark.parametrize("value", [None, 3, "x", [3], [{}], [{"what": "retrain", "model": "m", "at": "x", "line": ""}]])
def test_facts_that_are_none_of_custody_are_no_deeds(value: Any) -> None:
    assert deeds_of(incident(facts={"deeds": value})) == ()


def test_only_an_open_alert_asks_for_deeds() -> None:
    assert acts_on(incident())
    assert not acts_on(incident(level=Level.WARN))
    assert not acts_on(incident(state=IncidentState.RESOLVED))


@pytest.mark.parametrize(
    ("metric", "one", "other", "expected"),
    [
        ("r2", 0.5, 0.4, True),
        ("r2", 0.4, 0.4, False),
        ("rmse", 0.5, 0.4, False),
        ("rmse", 0.3, 0.4, True),
        ("bias", -1, 2, True),
        ("roc_auc", float("nan"), 0.1, False),
        ("roc_auc", 0.9, float("nan"), False),
    ],
)
def test_which_of_two_values_is_better(metric: str, one: float, other: float, expected: bool) -> None:  # noqa: FBT001
    assert better(metric, one, other) is expected


def test_what_a_run_may_have_learnt_from_ends_with_its_training_rows_or_with_itself() -> None:
    made = build.run(build.model(), started="2012-03-01T10:00:00+00:00")
    assert learnt_until(made, "day") == date(2012, 3, 1)
    split = made.steps["split"]
    output = replace(split.output, facts={"train_until": "2012-02-10"}) if split.output else None
    ordered = replace(split, inputs={"kind": "ordered", "column": "day"}, output=output)
    found = replace(made, steps={**made.steps, "split": ordered})
    assert learnt_until(found, "day") == date(2012, 2, 10)
    assert learnt_until(found, "signup") == date(2012, 3, 1)
    assert learnt_until(replace(found, started=None), None) == date.max


def test_a_rollback_waits_a_day_whatever_the_cool_down() -> None:
    short = replace(MONITORS, on_alert=replace(MONITORS.on_alert, cooldown=0.04 * DAY))
    found = case(monitors=short, known=[incident(deed(ROLLBACK, "2012-03-10T00:00:00+00:00"), name="b")])
    assert rollback_withheld(found, EARLIER) == "done 2012-03-10T00:00, less than 1 d ago"
