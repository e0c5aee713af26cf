from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from custody.core.adoption import trials_of, with_trials
from custody.core.planner import changes, plan_id
from custody.domain.graph import STEPS, StepRecord
from custody.domain.plan import Category, Do
from custody.domain.uses import Uses
from tests.unit.core import build

BEFORE, AFTER = build.model(), build.model(train=Uses("sklearn.Ridge", {"alpha": 2.0}))
TRIAL = build.run(AFTER, run_id="7" * 16)


def planned() -> tuple:
    run = build.run(BEFORE)
    (change,) = changes(build.spec(AFTER), build.state(run, run), {}, build.lookup(run))
    return change, build.lookup(TRIAL).step


def test_what_a_trial_did_is_adopted_and_the_change_stays_what_it_is() -> None:
    change, find = planned()
    adopted = with_trials(change, find, lambda _: True)
    assert change.to_run == ("train", "evaluate")
    assert adopted.to_run == ()
    assert [step.step for step in adopted.steps if step.trial] == ["train", "evaluate"]
    assert trials_of(adopted) == (TRIAL.id,)
    assert (adopted.category, adopted.reasons, adopted.moves) == (Category.RETRAIN, change.reasons, change.moves)
    assert plan_id([adopted]) == plan_id([change])


def test_nothing_is_adopted_without_a_trial_or_for_a_model_that_has_nothing_to_do() -> None:
    change, _ = planned()
    assert with_trials(change, lambda _: None, lambda _: True).to_run == change.to_run
    idle = replace(change, category=Category.NOOP)
    assert with_trials(idle, lambda _: (TRIAL.id, TRIAL.steps["train"]), lambda _: True) is idle


@given(st.sets(st.sampled_from(STEPS)), st.sets(st.sampled_from(STEPS)))
def test_a_step_is_adopted_only_where_all_before_it_are_known(known: set[str], lost: set[str]) -> None:
    (change,) = changes(build.spec(AFTER), build.State(), {}, build.EVERYTHING)
    kept = {step.key: step for name, step in TRIAL.steps.items() if name in known}
    gone = {TRIAL.steps[name].output.ref.object for name in lost}

    def find(key: str) -> tuple[str, StepRecord] | None:
        return (TRIAL.id, kept[key]) if key in kept else None

    adopted = with_trials(change, find, lambda item: item not in gone)
    by_step = {step.step: step for step in adopted.steps}
    for step in adopted.steps:
        if step.do is Do.REUSE:
            assert step.known is not None
            assert step.key == TRIAL.steps[step.step].key
        elif step.step in known and step.known:
            assert step.step in lost
    needed = {"train": ("fetch", "split", "prepare"), "evaluate": ("fetch", "split", "train")}
    for step, makers in needed.items():
        if by_step[step].do is not Do.REUSE:
            assert all(by_step[maker].do is not Do.REUSE or maker not in lost for maker in makers)
