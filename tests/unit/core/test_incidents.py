from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from custody.core.episodes import ModelWindows
from custody.core.incidents import settle
from custody.domain.incident import Incident
from custody.domain.monitoring import Health, Judged, Signal, Window
from custody.domain.monitors import Alerting, Drift, Every, Level, Monitors

START = datetime(2026, 3, 1, tzinfo=UTC)
DATASETS = {"churn": "customers", "value": "customers", "demand": "rentals"}
NULLS = Signal("nulls", Level.ALERT, "plan is missing in 16 % of rows", "plan", "share", 0.16, 0.1)
DRIFT = Signal("drift", Level.WARN, "plan moved", "plan", "psi", 0.31, 0.22)
BIAS = Signal("bias", Level.ALERT, "demand is 67 above the level the model learnt", None, "mean", 67.1, 54.2)
CONSTANT = Signal("constant", Level.ALERT, "fee is constant now", "fee", at_once=True)
ESTIMATE = Signal("estimate", Level.WARN, "estimated accuracy 0.70", None, "accuracy", 0.7, 0.75, at_once=True)
RUN = Signal("run", Level.ALERT, "the last run failed", at_once=True)


def day(number: int, *signals: Signal, model: str = "churn", **other: Any) -> Judged:
    """Return a judged day of inputs, or what `other` says."""
    start = START + timedelta(days=number)
    end = start + timedelta(days=1)
    window = Window(f"{start:%Y-%m-%d}", Every.DAY, start.isoformat(), end.isoformat())
    health = Health.ALERT if signals else Health.OK
    judged = Judged(model, "run1", "v1", window, "inputs", health, 500, "digest", "reference", signals)
    return replace(judged, **other)


def month(number: int, *signals: Signal, model: str = "churn", revision: int = 1) -> Judged:
    start = datetime(2026, number, 1, tzinfo=UTC)
    end = datetime(2026, number + 1, 1, tzinfo=UTC)
    window = Window(f"{start:%Y-%m}", Every.MONTH, start.isoformat(), end.isoformat())
    health = Health.ALERT if signals else Health.OK
    return Judged(model, "run1", "v1", window, "outcomes", health, 500, "digest", "reference", signals, revision)


def watched(windows: Iterable[Judged], monitors: Monitors | None = None) -> list[ModelWindows]:
    found = list(windows)
    return [
        ModelWindows(name, dataset, monitors or Monitors(Every.DAY), [item for item in found if item.model == name])
        for name, dataset in DATASETS.items()
    ]


def landed(recorded: Iterable[Incident], changed: Iterable[Incident]) -> list[Incident]:
    """Return the incidents after records of `changed` landed, as the ledger's files stand then."""
    files = {item.id: item for item in recorded}
    for item in changed:
        if item.id not in files or files[item.id].revision < item.revision:
            files[item.id] = item
    return list(files.values())


def one_by_one(windows: Iterable[Judged], monitors: Monitors | None = None) -> list[list[Incident]]:
    """Return what each window changed, where they are judged one after the other."""
    seen: list[Judged] = []
    recorded: list[Incident] = []
    steps = []
    for judged in windows:
        seen.append(judged)
        changed = list(settle(watched(seen, monitors), recorded))
        recorded = landed(recorded, changed)
        steps.append(changed)
    return steps


def test_a_signal_opens_an_incident_in_two_of_three_windows_since_the_first_of_them() -> None:
    steps = one_by_one([day(0), day(1, NULLS), day(2), day(3, NULLS)])
    assert [len(step) for step in steps] == [0, 0, 0, 1]
    incident = steps[3][0]
    assert (incident.opened, incident.last, incident.level) == ("2026-03-02", "2026-03-04", Level.ALERT)
    assert incident.subject == "model:churn"
    assert incident.firing


def test_a_signal_far_beyond_its_limit_opens_it_at_once() -> None:
    far = replace(NULLS, value=0.31)
    assert one_by_one([day(0, far)])[0][0].opened == "2026-03-01"
    assert one_by_one([day(0, CONSTANT)])[0][0].opened == "2026-03-01"
    assert not one_by_one([day(0, replace(NULLS, value=0.2))])[0]


def test_a_window_of_a_month_needs_no_second_one() -> None:
    assert one_by_one([month(1, BIAS)])[0][0].opened == "2026-01"


def test_what_is_declared_confirms() -> None:
    strict = Monitors(Every.DAY, drift=Drift(confirm=(3, 3)))
    steps = one_by_one([day(0, NULLS), day(1, NULLS), day(2, NULLS)], strict)
    assert [len(step) for step in steps] == [0, 0, 1]


def test_it_is_over_after_two_clean_windows_and_near_the_limit_is_not_clean() -> None:
    near = day(3, near=(NULLS.key,))
    steps = one_by_one([day(0, NULLS), day(1, NULLS), day(2), near, day(4), day(5), day(6)])
    assert [len(step) for step in steps] == [0, 1, 0, 0, 0, 1, 0]
    assert not steps[5][0].firing
    assert steps[5][0].resolved == "2026-03-07T00:00:00+00:00"
    assert steps[5][0].revision == 2


def test_resolve_after_is_declared() -> None:
    patient = Monitors(Every.DAY, alert=Alerting(resolve_after=3))
    steps = one_by_one([day(0, CONSTANT), day(1), day(2), day(3)], patient)
    assert [len(step) for step in steps] == [1, 0, 0, 1]


def test_windows_that_wait_or_are_empty_neither_confirm_nor_clear() -> None:
    waiting = [day(number, health=Health.WAITING) for number in (1, 3)]
    empty = [day(number, health=Health.NO_DATA) for number in (5, 6, 7, 8)]
    steps = one_by_one([day(0, NULLS), waiting[0], day(2), waiting[1], day(4, NULLS), *empty, day(9), day(10)])
    assert [len(step) for step in steps] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_an_empty_window_that_says_so_fires() -> None:
    stale = Signal("freshness", Level.ALERT, "no row for 3 days", at_once=True)
    assert one_by_one([day(0, stale, health=Health.NO_DATA)])[0][0].signals == (stale,)


def test_windows_that_share_rows_are_one_look_at_drift() -> None:
    steps = one_by_one([day(number, DRIFT, together=3) for number in range(6)])
    assert [len(step) for step in steps] == [0, 0, 0, 1, 0, 0]
    broken = one_by_one([day(number, NULLS, together=3) for number in range(3)])
    assert [len(step) for step in broken] == [0, 1, 0], "faults of the data are looked for in each window"


def test_windows_in_which_drift_waits_for_rows_say_nothing_of_it() -> None:
    waits = [day(number, together=0) for number in (1, 2, 3, 5, 6, 7)]
    steps = one_by_one([day(0, DRIFT), *waits[:3], day(4, DRIFT), *waits[3:], day(8), day(9)])
    assert [len(step) for step in steps] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_clean_inputs_do_not_end_what_outcomes_began() -> None:
    steps = one_by_one([month(1, BIAS), day(0), day(1), day(2), month(3), month(4)])
    assert [len(step) for step in steps] == [1, 0, 0, 0, 0, 1]
    assert not steps[5][0].firing


def test_a_year_of_bad_months_is_one_incident() -> None:
    steps = one_by_one([month(number, BIAS) for number in range(1, 12)])
    assert [len(step) for step in steps] == [1] + [0] * 10


def test_what_fires_while_it_is_open_joins_it_and_its_level_rises_and_does_not_fall() -> None:
    steps = one_by_one([day(0, DRIFT), day(1, DRIFT), day(2, DRIFT, CONSTANT), day(3, DRIFT), day(4, DRIFT)])
    opened, risen = steps[1][0], steps[2][0]
    assert (opened.level, risen.level, risen.id) == (Level.WARN, Level.ALERT, opened.id)
    assert [signal.monitor for signal in risen.signals] == ["constant", "drift"]
    assert not steps[3]
    assert not steps[4]


def test_one_window_above_the_higher_limit_does_not_raise_the_level() -> None:
    bad = replace(DRIFT, level=Level.ALERT)
    steps = one_by_one([day(0, DRIFT), day(1, DRIFT), day(2, bad), day(3, DRIFT), day(4, bad)])
    assert [[item.level for item in step] for step in steps] == [[], [Level.WARN], [], [], [Level.ALERT]]


def test_the_suspect_comes_first() -> None:
    far = replace(DRIFT, column="age", value=0.9)
    prediction = Signal("prediction", Level.ALERT, "scores moved", None, "psi", 0.5, 0.2)
    outcome = Signal("outcome", Level.ALERT, "r2 fell", None, "r2", 0.3, 0.7)
    nulls = replace(NULLS, value=0.9)
    signals = (DRIFT, prediction, ESTIMATE, outcome, far, BIAS, nulls, CONSTANT)
    found = one_by_one([day(0, *signals)])[0][0].signals
    names = ["constant", "nulls", "bias", "outcome", "prediction", "drift", "drift", "estimate"]
    assert [signal.monitor for signal in found] == names
    assert [signal.column for signal in found[5:7]] == ["age", "plan"]


def test_the_fault_that_began_first_is_the_suspect() -> None:
    steps = one_by_one([day(0, NULLS), day(1, NULLS), day(2, NULLS, CONSTANT)])
    assert [signal.monitor for signal in steps[2][0].signals] == ["nulls", "constant"]


def test_an_estimate_opens_nothing_alone() -> None:
    steps = one_by_one([day(0, ESTIMATE), day(1, ESTIMATE), day(2, ESTIMATE, CONSTANT)])
    assert [len(step) for step in steps] == [0, 0, 1]


def test_two_models_of_one_dataset_that_turn_bad_together_are_one_incident_of_it() -> None:
    both = [day(0, CONSTANT), day(0, CONSTANT, model="value")]
    (together,) = settle(watched(both), ())
    assert (together.subject, together.models) == ("dataset:customers", ("churn", "value"))
    first, second = one_by_one(both)
    assert first[0].subject == "model:churn"
    assert (second[0].id, second[0].subject, second[0].models) == (together.id, together.subject, together.models)
    assert len(settle(watched([*both, day(0, CONSTANT, model="demand")]), ())) == 2


def test_three_columns_of_one_window_are_an_incident_of_the_dataset() -> None:
    columns = [replace(CONSTANT, column=name) for name in ("fee", "plan", "age")]
    assert settle(watched([day(0, *columns)]), ())[0].subject == "dataset:customers"
    assert settle(watched([day(0, *columns[:2])]), ())[0].subject == "model:churn"


def test_models_whose_outcomes_turn_bad_together_have_an_incident_each() -> None:
    found = settle(watched([month(1, BIAS), month(1, BIAS, model="value")]), ())
    assert sorted(item.subject for item in found) == ["model:churn", "model:value"]


def test_a_later_revision_of_a_window_counts() -> None:
    steps = one_by_one([month(1), month(1, BIAS, revision=2), month(1, revision=3)])
    assert [len(step) for step in steps] == [0, 1, 1]
    assert not steps[2][0].firing


def test_a_failed_run_is_over_with_the_next_one_that_passes() -> None:
    steps = one_by_one([day(0, RUN, what="run"), day(1), day(2, what="run")])
    assert [len(step) for step in steps] == [1, 0, 1]
    assert not steps[2][0].firing


def test_what_came_and_went_unseen_is_recorded_as_resolved() -> None:
    (incident,) = settle(watched([day(0, CONSTANT), day(1), day(2), day(3)]), ())
    assert not incident.firing
    assert incident.revision == 1


def test_an_incident_of_a_model_that_is_watched_no_more_ends() -> None:
    (incident,) = settle(watched([day(0, CONSTANT)]), ())
    assert settle((), (incident,)) == ()
    (ended,) = settle([ModelWindows("churn", "customers", Monitors(Every.DAY))], (incident,))
    assert not ended.firing


MODELS = st.sampled_from(sorted(DATASETS))
SIGNALS = st.lists(st.sampled_from([NULLS, DRIFT, CONSTANT, replace(CONSTANT, column="age")]), unique=True, max_size=3)


@st.composite
def histories(draw: st.DrawFn) -> list[Judged]:
    """Draw windows of three models: days of inputs, months of outcomes, and runs."""
    windows: list[Judged] = []
    for number in range(draw(st.integers(1, 9))):
        for model in draw(st.lists(MODELS, unique=True, min_size=1)):
            health = draw(st.sampled_from([None, None, None, Health.WAITING]))
            signals = draw(SIGNALS) if health is None else []
            near = draw(st.sampled_from([(), (), (NULLS.key,)]))
            judged = day(number, *signals, model=model, near=near)
            windows.append(replace(judged, health=health) if health else judged)
            if draw(st.integers(0, 3)) == 0:
                windows.append(day(number, *draw(st.sampled_from([(), (RUN,)])), model=model, what="run"))
    for number in (1, 2):
        windows += [month(number, *draw(st.sampled_from([(), (BIAS,)])), model=model) for model in DATASETS]
    return windows


def shown(recorded: Sequence[Incident]) -> dict[str, Any]:
    """Return incidents without their values and the count of revisions."""
    return {
        item.id: (item.state, item.level, item.subject, item.models, frozenset(s.key for s in item.signals))
        for item in recorded
    }


def sequence(windows: Iterable[Judged]) -> list[Incident]:
    recorded: list[Incident] = []
    for step in one_by_one(windows):
        recorded = landed(recorded, step)
        busy = [name for item in recorded if item.firing for name in item.models]
        assert len(busy) == len(set(busy)), "a model has two open incidents"
    return recorded


@settings(max_examples=50)
@given(histories())
def test_windows_judged_one_by_one_or_at_once_come_to_the_same(windows: list[Judged]) -> None:
    recorded = sequence(sorted(windows, key=lambda item: (item.window.end, item.what, item.model)))
    assert shown(recorded) == shown(settle(watched(windows), ()))


@settings(max_examples=50)
@given(histories(), st.data())
def test_judging_again_changes_nothing_in_any_order(windows: list[Judged], data: st.DataObject) -> None:
    recorded = sequence(data.draw(st.permutations(windows)))
    again = landed(recorded, settle(watched(windows), recorded))
    assert settle(watched(data.draw(st.permutations(windows))), again) == ()


@settings(max_examples=50)
@given(histories(), st.data())
def test_two_clones_that_judged_apart_agree(windows: list[Judged], data: st.DataObject) -> None:
    ours = sequence(data.draw(st.permutations(windows))[: data.draw(st.integers(0, len(windows)))])
    theirs = sequence(data.draw(st.permutations(windows)))
    merged = landed(ours, theirs)
    here = landed(merged, settle(watched(windows), merged))
    there = landed(merged, settle(watched(data.draw(st.permutations(windows))), merged))
    assert shown(here) == shown(there)
    assert settle(watched(windows), here) == ()
    busy = [name for item in here if item.firing for name in item.models]
    assert len(busy) == len(set(busy)), "a model has two open incidents"
