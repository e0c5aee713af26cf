from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.planner import changes, plan_id
from custody.domain.graph import StepStatus
from custody.domain.monitors import Every, Monitors
from custody.domain.plan import Category, Change, Do, StageMove
from custody.domain.record import Failure, RunStatus, State
from custody.domain.spec import Column, DatasetRef, MetricGate, ModelSpec, SliceGate, Split, SplitKind
from custody.domain.uses import Uses
from tests.unit.core import build


def plan_of(model: ModelSpec, state: State, look: Any = build.EVERYTHING, **more: Any) -> Change:
    (change,) = changes(build.spec(model, more.get("data")), state, {"churn": more.get("code", {})}, look)
    return change


def recorded(model: ModelSpec, **more: Any) -> tuple[State, Any]:
    run = build.run(model, **more)
    return build.state(run, run), build.lookup(run)


def test_a_model_without_a_record_is_new_and_runs_every_step() -> None:
    change = plan_of(build.model(), State())
    assert change.category is Category.NEW
    assert change.to_run == ("fetch", "validate", "split", "prepare", "train", "evaluate")
    assert [reason.code for reason in change.reasons] == ["never-run"]
    assert change.moves[0].run is None


def test_what_is_recorded_is_unchanged() -> None:
    state, look = recorded(build.model())
    assert plan_of(build.model(), state, look).category is Category.NOOP


@pytest.mark.parametrize(
    ("edit", "category", "code", "first"),
    [
        ({"train": Uses("sklearn.Ridge", {"alpha": 2.0})}, Category.RETRAIN, "param.changed", "train"),
        ({"train": Uses("sklearn.Lasso", {"alpha": 1.0})}, Category.RETRAIN, "param.changed", "train"),
        ({"prepare": Uses("tabular", {"scale": False})}, Category.REBUILD, "param.changed", "prepare"),
        ({"split": Split(SplitKind.RANDOM, 0.3, seed=1)}, Category.REBUILD, "split.changed", "split"),
        ({"seed": 9}, Category.RETRAIN, "seed.changed", "train"),
        ({"features": ("age",)}, Category.REBUILD, "features.changed", "prepare"),
        ({"slices": (SliceGate("plan", "accuracy", min=0.1),)}, Category.REEVALUATE, "slice.changed", "evaluate"),
    ],
)
def test_an_edit_runs_what_depends_on_it(edit: dict[str, Any], category: Category, code: str, first: str) -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(**edit), state, look)
    assert change.category is category
    assert code in [reason.code for reason in change.reasons]
    assert change.to_run[0] == first
    assert all(step.known and step.known.status is StepStatus.REUSED for step in change.steps if step.do is Do.REUSE)


def test_one_and_one_point_nought_are_told_apart_with_a_reason() -> None:
    state, look = recorded(build.model(train=Uses("sklearn.RandomForestClassifier", {"max_features": 1})))
    change = plan_of(build.model(train=Uses("sklearn.RandomForestClassifier", {"max_features": 1.0})), state, look)
    assert (change.category, change.reasons[0].subject) == (Category.RETRAIN, "train.max_features")


def test_changed_code_retrains_and_says_whose() -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(), state, look, code={"train": "f" * 64})
    assert (change.category, change.reasons[0].code) == (Category.RETRAIN, "code.changed")


def test_a_new_data_version_rebuilds_and_counts_its_rows() -> None:
    data = build.dataset(build.manifest(), build.manifest("v2", "b" * 64, 130))
    run = build.run(build.model(), data)
    change = plan_of(
        build.model(dataset=DatasetRef("customers", "v2")), build.state(run, run), build.lookup(run), data=data
    )
    assert (change.category, change.to_run[0]) == (Category.REBUILD, "fetch")
    assert (change.reasons[0].before, change.reasons[0].after) == ("customers@v1", "customers@v2")
    assert "+30 rows" in change.reasons[0].note


def test_the_same_data_under_another_label_is_metadata() -> None:
    data = build.dataset(build.manifest(), build.manifest("v2"))
    run = build.run(build.model(), data)
    change = plan_of(
        build.model(dataset=DatasetRef("customers", "v2")), build.state(run, run), build.lookup(run), data=data
    )
    assert change.category is Category.METADATA


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {"every": "day"}, [("monitors.added", "monitors", None, "every day")]),
        ({"every": "day", "drift": {}}, None, [("monitors.removed", "monitors", "every day, drift", None)]),
        (
            {"every": "day", "drift": {"features": {"limit": 1}}},
            {"every": "day", "drift": {"features": {"limit": 1.0}, "prediction": "off"}},
            [
                ("monitor.changed", "drift.features.limit", 1, 1.0),
                ("monitor.changed", "drift.prediction", None, "off"),
            ],
        ),
        ({"every": "day"}, {"every": "day"}, []),
    ],
)
def test_monitors_are_recorded_and_run_nothing(
    before: dict[str, Any] | None, after: dict[str, Any] | None, told: list[Any]
) -> None:
    def watched(declared: dict[str, Any] | None) -> ModelSpec:
        return build.model(monitors=Monitors(Every.DAY, declared=declared) if declared else None)

    state, look = recorded(watched(before))
    change = plan_of(watched(after), state, look)
    assert (change.category, change.to_run) == (Category.MONITOR if told else Category.NOOP, ())
    assert [(item.code, item.subject, item.before, item.after) for item in change.reasons] == told
    assert all(item.place and item.place.path == "models/churn/monitors.yaml" for item in change.reasons)


def test_an_owner_is_metadata() -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(owner="risk"), state, look)
    assert (change.category, change.to_run) == (Category.METADATA, ())
    assert [(reason.subject, reason.before, reason.after) for reason in change.reasons] == [("owner", "growth", "risk")]


@given(
    st.lists(
        st.builds(
            MetricGate,
            st.sampled_from(["roc_auc", "accuracy", "f1"]),
            min=st.none() | st.floats(0, 1),
            max=st.none() | st.floats(0, 1),
            max_drop=st.none() | st.floats(0, 1),
            n=st.none() | st.integers(1, 50),
        ),
        unique_by=lambda gate: gate.metric,
    )
)
def test_a_limit_can_never_train(gates: list[MetricGate]) -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(metrics=tuple(gates)), state, look)
    stored = {gate.metric for gate in gates} <= set(build.METRICS)
    assert change.category in ({Category.REGATE, Category.NOOP} if stored else {Category.REEVALUATE})
    assert change.to_run == (() if stored else ("evaluate",))
    assert change.category is Category.NOOP or change.reasons


def test_a_re_gate_says_how_the_stored_evaluation_would_be_judged() -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(metrics=(MetricGate("roc_auc", min=0.85),)), state, look)
    assert (change.moves, change.notes) == ((), ("stored evaluation: 1/1 gates would pass",))
    change = plan_of(build.model(metrics=(MetricGate("roc_auc", min=0.95),)), state, look)
    assert change.notes == ("stored evaluation: 0/1 gates would pass (not roc_auc.min)",)


def test_a_reverted_spec_goes_back_to_the_first_run_without_a_step() -> None:
    first, second = build.model(), build.model(train=Uses("sklearn.Ridge", {"alpha": 2.0}))
    one, two = build.run(first, run_id="1" * 16), build.run(second, run_id="2" * 16)
    change = plan_of(first, build.state(two, one, two), build.lookup(one, two))
    assert (change.category, change.to_run, change.run) == (Category.ROLLBACK, (), one.id)
    assert [(move.stage, move.before, move.run, move.version) for move in change.moves] == [
        ("production", two.id, one.id, "v1")
    ]
    after = build.state(two, one, two, production=one)
    assert plan_of(first, after, build.lookup(one, two)).category is Category.NOOP


def test_failed_gates_hold_until_something_changes() -> None:
    model = build.model(metrics=(MetricGate("roc_auc", min=0.95),))
    run = build.run(model)
    change = plan_of(model, build.state(run), build.lookup(run))
    assert (change.category, change.reasons[0].subject) == (Category.HELD, "roc_auc.min")
    assert plan_of(build.model(), build.state(run), build.lookup(run)).category is Category.REGATE


def test_a_failed_run_is_tried_again_and_reuses_what_had_finished() -> None:
    whole = build.run(build.model())
    steps = {name: step for name, step in whole.steps.items() if name not in {"train", "evaluate"}}
    steps["train"] = replace(whole.steps["train"], status=StepStatus.FAILED, output=None, error="boom")
    failed = replace(whole, status=RunStatus.FAILED, steps=steps, verdict=None, failure=Failure("train", "boom"))
    change = plan_of(build.model(), build.state(failed), build.lookup(failed))
    assert (change.category, change.to_run) == (Category.NEW, ("train", "evaluate"))
    assert (change.reasons[0].code, change.reasons[0].note) == ("run.failed", "train: boom")


def test_a_lost_object_is_made_again_only_where_a_step_needs_it() -> None:
    run = build.run(build.model())
    output = run.steps["fetch"].output
    assert output is not None
    look = build.lookup(run, missing=(output.ref.object,))
    assert plan_of(build.model(), build.state(run, run), look).category is Category.NOOP
    change = plan_of(build.model(train=Uses("sklearn.Ridge", {"alpha": 2.0})), build.state(run, run), look)
    assert (change.category, change.to_run) == (Category.RETRAIN, ("fetch", "train", "evaluate"))


def test_a_purpose_that_the_data_may_not_serve_is_blocked() -> None:
    change = plan_of(build.model(purpose="marketing"), State())
    assert (change.category, change.reasons[0].code, change.steps) == (Category.BLOCKED, "purpose.refused", ())


SLICES = tuple(SliceGate(column, "accuracy", min=0.1) for column in ("age", "plan"))


def test_a_slice_less_is_judged_without_scoring_again() -> None:
    run = build.run(build.model(slices=SLICES))
    change = plan_of(build.model(slices=SLICES[:1]), build.state(run, run), build.lookup(run))
    assert (change.category, change.to_run, change.run) == (Category.REGATE, (), run.id)
    assert {reason.code for reason in change.reasons} == {"limit.changed"}
    assert all(reason.place for reason in change.reasons)


def test_a_slice_less_is_not_scored_where_scoring_is_due() -> None:
    run = build.run(build.model(slices=SLICES))
    fewer = build.model(slices=SLICES[:1], train=Uses("sklearn.Ridge", {"alpha": 2.0}))
    change = plan_of(fewer, build.state(run, run), build.lookup(run))
    assert (change.category, change.steps[-1].inputs["slices"]) == (Category.RETRAIN, ["age"])
    other = build.model(slices=(SliceGate("job", "accuracy", min=0.1),))
    change = plan_of(other, build.state(run, run), build.lookup(run))
    assert (change.category, change.to_run) == (Category.REEVALUATE, ("evaluate",))


def test_an_edited_version_is_blocked() -> None:
    state = State("h", {}, {"customers@v1": {"logical": "0" * 64}})
    change = plan_of(build.model(), state)
    assert (change.category, change.reasons[0].code) == (Category.BLOCKED, "version.edited")


def test_a_removed_directory_retires_and_a_returned_one_runs_nothing_again() -> None:
    run = build.run(build.model())
    state = build.state(run, run)
    (change,) = changes(build.spec(None), state, {}, build.lookup(run))
    assert (change.category, change.moves[0].cleared) == (Category.RETIRE, True)
    retired = State("h", {"churn": replace(state.models["churn"], retired=True, stages={})})
    assert changes(build.spec(None), retired, {}, build.lookup(run)) == ()
    back = plan_of(build.model(), retired, build.lookup(run))
    assert (back.category, back.to_run) == (Category.NEW, ())


def test_a_stage_pinned_to_nothing_that_is_recorded_is_blocked() -> None:
    state, look = recorded(build.model())
    change = plan_of(build.model(stages={"production": "v9"}), state, look)
    assert (change.category, change.reasons[0].code, change.reasons[0].note) == (
        Category.BLOCKED,
        "stage.unknown",
        "the ledger has v1",
    )


def test_a_bound_of_nought_is_part_of_the_contract() -> None:
    data = build.dataset()
    bounded = replace(data, columns={"age": Column("age", min=0, null_max=0.0)})
    run = build.run(build.model(), data)
    change = plan_of(build.model(), build.state(run, run), build.lookup(run), data=bounded)
    assert (change.category, change.to_run) == (Category.REEVALUATE, ("validate",))
    assert [reason.code for reason in change.reasons] == ["contract.changed"]


def test_a_pinned_stage_moves_by_the_spec_alone() -> None:
    one = build.run(build.model(), run_id="1" * 16)
    two = build.run(build.model(seed=4), run_id="2" * 16)
    pinned = build.model(seed=4, stages={"production": "v1"})
    change = plan_of(pinned, build.state(two, one, two), build.lookup(one, two))
    assert (change.category, change.moves[0].run) == (Category.ROLLBACK, one.id)


@pytest.mark.parametrize("stages", [{"production": "none"}, {}, {"staging": "none"}])
def test_a_stage_that_is_not_declared_points_to_nothing(stages: dict[str, str]) -> None:
    run = build.run(build.model())
    model = build.model(stages=stages)
    change = plan_of(model, build.state(run, run), build.lookup(run))
    assert (change.category, change.to_run) == (Category.ROLLBACK, ())
    assert change.moves == (StageMove("production", run.id, None, cleared=True),)
    (reason,) = change.reasons
    assert (reason.code, reason.subject, reason.after) == ("stage.changed", "production", "nothing")
    assert reason.place is not None


def test_the_plan_id_depends_on_meaning_alone() -> None:
    state, look = recorded(build.model())
    edited = build.model(train=Uses("sklearn.Ridge", {"alpha": 2.0}))
    one = plan_id([plan_of(edited, state, look)])
    assert one == plan_id([plan_of(edited, replace(state, head="0" * 40), look)])
    assert one == plan_id([plan_of(build.model(train=Uses("sklearn.Ridge", {"alpha": 2.0}, timeout=5.0)), state, look)])
    assert one != plan_id([plan_of(build.model(train=Uses("sklearn.Ridge", {"alpha": 3.0})), state, look)])
