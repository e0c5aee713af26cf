"""What holds of every sequence of edits: the least work, a reason for all of it, and an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from custody.core.fold import next_version
from custody.core.gates import judge, limits_of
from custody.core.keys import step_inputs
from custody.core.planner import changes
from custody.core.stages import moves, possible
from custody.core.subject import Lookup
from custody.domain.graph import StepRecord
from custody.domain.monitors import Every, Monitors
from custody.domain.plan import DESCRIBING, Category, Change
from custody.domain.record import ModelState, Run, RunStatus, StagePointer, State, Version
from custody.domain.spec import DatasetRef, MetricGate, ModelSpec, SliceGate, Split, SplitKind
from custody.domain.uses import Uses
from tests.unit.core import build

DATA = build.dataset(build.manifest(), build.manifest("v2", "b" * 64, 130), build.manifest("v3"))
LIMITS = st.lists(
    st.builds(
        MetricGate,
        st.sampled_from(list(build.METRICS)),
        min=st.none() | st.floats(0, 1),
        max=st.none() | st.floats(0, 1),
        n=st.none() | st.integers(1, 50),
    ),
    unique_by=lambda gate: gate.metric,
).map(tuple)
EDITS: dict[str, st.SearchStrategy[Any]] = {
    "train": st.builds(Uses, st.just("sklearn.Ridge"), st.fixed_dictionaries({"alpha": st.sampled_from([1.0, 2.0])})),
    "prepare": st.sampled_from([Uses("tabular"), Uses("tabular", {"scale": False})]),
    "split": st.sampled_from([Split(SplitKind.RANDOM, share, seed=1) for share in (0.2, 0.3)]),
    "seed": st.sampled_from([0, 9]),
    "features": st.sampled_from([None, ("age",)]),
    "dataset": st.sampled_from([DatasetRef("customers", label) for label in ("v1", "v2", "v3")]),
    "owner": st.sampled_from(["growth", "risk"]),
    "tier": st.sampled_from([None, "high"]),
    "slices": st.lists(st.sampled_from(["plan", "job"]), unique=True).map(
        lambda columns: tuple(SliceGate(column, "accuracy", min=0.1) for column in columns)
    ),
    "metrics": LIMITS,
    "stages": st.sampled_from([{"production": "auto"}, {"production": "none"}, {}]),
    "monitors": st.none()
    | st.builds(
        lambda limit, every: Monitors(Every(every), declared={"every": every, "outcomes": {"bias": limit}}),
        st.sampled_from(["auto", 1, 1.0, 40]),
        st.sampled_from(["day", "week"]),
    ),
}
EDIT = st.one_of(*(st.tuples(st.just(name), values) for name, values in EDITS.items()))
FREE = {"owner", "tier", "metrics", "stages", "monitors"}
"""Edits that no step depends on."""


@dataclass
class World:
    """A ledger in memory, and an apply that does what a plan says, for one model whose steps always succeed."""

    state: ModelState = field(default_factory=lambda: ModelState("churn"))
    runs: list[Run] = field(default_factory=list)
    trained: int = 0

    def plan(self, model: ModelSpec) -> Change:
        state = State("h", {"churn": self.state} if self.runs else {})
        (change,) = changes(build.spec(model, DATA), state, {}, self.lookup())
        return change

    def lookup(self) -> Lookup:
        def step(key: str) -> tuple[str, StepRecord] | None:
            made = [(run.id, item) for run in self.runs for item in run.steps.values() if item.key == key]
            return made[-1] if made else None

        def with_key(_: str, key: str) -> list[Run]:
            return [run for run in reversed(self.runs) if run.key == key]

        return Lookup(step, with_key, lambda _: True)

    def apply(self, model: ModelSpec) -> Change:
        """Do what is planned, as `app/conclude.py` does it."""
        change = self.plan(model)
        match change.category:
            case Category.NOOP | Category.HELD:
                return change
            case Category.METADATA | Category.MONITOR:
                self.record(self.described(model, self.run(str(change.run))))
            case Category.REGATE:
                self.decide(self.judged(model, self.run(str(change.run))), change)
            case Category.PROMOTE | Category.ROLLBACK:
                run = self.run(str(change.run))
                if any(reason.code in DESCRIBING for reason in change.reasons):
                    run = self.described(model, run)
                    self.record(run)
                self.move(change, run)
            case _:
                self.trained += "train" in change.to_run
                self.decide(self.judged(model, replace(self.fresh(model), id=f"{len(self.runs):016x}")), change)
        return change

    def fresh(self, model: ModelSpec) -> Run:
        return build.run(model, DATA)

    def run(self, run_id: str) -> Run:
        return next(run for run in reversed(self.runs) if run.id == run_id)

    def judged(self, model: ModelSpec, run: Run) -> Run:
        limits = limits_of(model)
        facts = {
            "metrics": build.METRICS,
            "n": 20,
            "slices": {column: {"a": {"n": 20, "accuracy": 0.8}} for column in ("plan", "job")},
        }
        verdict = judge(limits, facts)
        status = RunStatus.PASSED if verdict.passed else RunStatus.REJECTED
        return replace(self.described(model, run), verdict=verdict, limits=limits, status=status)

    def described(self, model: ModelSpec, run: Run) -> Run:
        fresh = self.fresh(model)
        return replace(run, metadata=fresh.metadata, monitors=fresh.monitors)

    def record(self, run: Run) -> None:
        self.runs = [item for item in self.runs if item.id != run.id] + [run]
        self.state = replace(self.state, run=run, records=self.state.records + 1)

    def decide(self, run: Run, change: Change) -> None:
        self.record(run)
        if run.status is RunStatus.PASSED and not self.state.version_of(run.id):
            version = next_version(self.state)
            made = {**self.state.versions, version: Version(version, run.id, None, "r")}
            self.state = replace(self.state, versions=made)
        self.move(replace(change, moves=possible(change.moves, run)), run)

    def move(self, change: Change, run: Run) -> None:
        stages = dict(self.state.stages)
        for move in change.moves:
            if move.cleared:
                stages.pop(move.stage, None)
            else:
                target = move.run or run.id
                stages[move.stage] = StagePointer(target, str(self.state.version_of(target)), "r", "2026")
        self.state = replace(self.state, stages=stages)


def edited(model: ModelSpec, edits: list[tuple[str, Any]]) -> ModelSpec:
    return replace(model, **dict(edits))


@settings(max_examples=60)
@given(st.lists(st.lists(EDIT, max_size=3), min_size=1, max_size=6))
def test_after_apply_there_is_nothing_to_do(sequence: list[list[tuple[str, Any]]]) -> None:
    world, model = World(), build.model()
    world.apply(model)
    for edits in sequence:
        model = edited(model, edits)
        change = world.apply(model)
        assert change.reasons or change.category is Category.NOOP
        assert all(reason.place for reason in change.reasons)
        assert not world.plan(model).active


@settings(max_examples=60)
@given(st.lists(EDIT.filter(lambda edit: edit[0] in FREE), min_size=1, max_size=4))
def test_what_is_no_input_never_trains(edits: list[tuple[str, Any]]) -> None:
    world, model = World(), build.model()
    world.apply(model)
    for edit in edits:
        model = edited(model, [edit])
        assert world.apply(model).to_run == ()
    assert world.trained == 1


@settings(max_examples=60)
@given(st.lists(EDIT, min_size=1, max_size=3))
def test_a_reverted_change_goes_back_to_the_first_run(edits: list[tuple[str, Any]]) -> None:
    world, first = World(), build.model(metrics=(MetricGate("roc_auc", min=0.5),))
    world.apply(first)
    run = world.state.stages["production"].run
    world.apply(edited(first, edits))
    back = world.apply(first)
    assert back.to_run == ()
    assert world.state.stages["production"].run == run


@given(st.lists(EDIT, max_size=4), st.lists(EDIT, max_size=4))
def test_inputs_are_equal_only_where_the_edits_are(one: list[tuple[str, Any]], two: list[tuple[str, Any]]) -> None:
    def inputs(model: ModelSpec) -> Mapping[str, Any]:
        return step_inputs(model, DATA, DATA.versions[model.dataset.version], {})

    a, b = edited(build.model(), one), edited(build.model(), two)
    kept = {name: getattr(a, name) for name in EDITS if name not in FREE | {"dataset"}}
    other = {name: getattr(b, name) for name in kept}
    same_data = DATA.versions[a.dataset.version].logical == DATA.versions[b.dataset.version].logical
    assert (inputs(a) == inputs(b)) == (kept == other and same_data)


def test_the_world_moves_as_stages_do() -> None:
    world, model = World(), build.model()
    world.apply(model)
    assert moves(model, world.state, world.runs[-1].id, will_run=False) == ()
