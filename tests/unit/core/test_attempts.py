"""Failed runs: tried again so many times, then held until something changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from custody.core.attempts import attempts_after
from custody.core.choice import Choice
from custody.core.planner import changes
from custody.domain.plan import Category, Change, Do
from custody.domain.record import Failure, Run, RunStatus, State
from custody.domain.spec import ModelSpec
from custody.domain.uses import Uses
from tests.unit.core import build


def plan_of(model: ModelSpec, last: Run, choice: Choice | None = None) -> Change:
    state = State("h", {"churn": replace(build.state(last).models["churn"])})
    (change,) = changes(build.spec(model), state, {}, build.lookup(last), None, choice or Choice())
    return change


def failed(model: ModelSpec, attempts: int, status: RunStatus = RunStatus.FAILED) -> Run:
    """The last of `attempts` runs that failed at `train`."""
    whole = build.run(model)
    steps = {name: step for name, step in whole.steps.items() if name not in {"train", "evaluate"}}
    (change,) = changes(build.spec(model), State(), {}, build.EVERYTHING)
    return replace(
        whole,
        status=status,
        steps=steps,
        verdict=None,
        failure=Failure("train", "boom"),
        asked=change.asked,
        attempts=attempts,
    )


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CRASHED])
def test_a_model_is_held_once_its_attempts_are_spent(status: RunStatus) -> None:
    model = build.model()
    again = plan_of(model, failed(model, 2, status))
    assert (again.category, again.failed, again.to_run) == (Category.NEW, 2, ("train", "evaluate"))
    held = plan_of(model, failed(model, 3, status))
    assert (held.category, held.steps, held.active) == (Category.HELD, (), False)
    (reason,) = held.reasons
    assert (reason.code, reason.subject, reason.before, reason.after) == ("attempts.spent", "train", 3, 3)
    assert "boom" in reason.note
    assert "--replace churn:train" in held.notes[0]


def test_the_number_of_attempts_is_declared() -> None:
    model = build.model(attempts=1)
    assert plan_of(model, failed(model, 1)).category is Category.HELD
    assert plan_of(build.model(attempts=5), failed(model, 3)).category is Category.NEW


@pytest.mark.parametrize(
    "edit",
    [
        {"train": Uses("sklearn.Ridge", {"alpha": 2.0})},
        {"train": Uses("sklearn.Ridge", {"alpha": 1.0}, timeout=60.0)},
        {"train": Uses("sklearn.Ridge", {"alpha": 1.0}, memory=10**9)},
        {"steps": {"fetch": Uses("fetch", retries=2)}},
    ],
)
def test_whatever_may_help_is_a_reason_to_try_again(edit: dict[str, Any]) -> None:
    assert plan_of(build.model(**edit), failed(build.model(), 3)).category is Category.NEW


def test_an_owner_is_none() -> None:
    assert plan_of(build.model(owner="risk"), failed(build.model(), 3)).category is Category.HELD


def test_a_held_model_runs_where_a_step_is_asked_for() -> None:
    model = build.model()
    change = plan_of(model, failed(model, 3), Choice(replace={"churn": "train"}, reason="disk was full"))
    assert change.active
    assert (change.reasons[0].code, change.reasons[0].note) == ("forced", "disk was full")
    assert change.failed == 3


def test_an_interrupted_run_is_no_failed_attempt() -> None:
    model = build.model()
    assert plan_of(model, failed(model, 2, RunStatus.INTERRUPTED)).failed == 2


@pytest.mark.parametrize(
    ("step", "maybe"), [("train", {"evaluate"}), ("fetch", {"validate", "split", "prepare", "train", "evaluate"})]
)
def test_a_replaced_step_runs_and_the_rest_follows(step: str, maybe: set[str]) -> None:
    run = build.run(build.model())
    change = plan_of(build.model(), run, Choice(replace={"churn": step}, reason="why"))
    assert [item.step for item in change.steps if item.forced] == [step]
    assert {item.step for item in change.steps if item.do is Do.MAYBE} == maybe
    assert change.category in {Category.RETRAIN, Category.REBUILD}


@pytest.mark.parametrize(
    ("status", "error", "after"),
    [
        (RunStatus.FAILED, "ValueError: boom", 2),
        (RunStatus.CRASHED, "", 2),
        (RunStatus.FAILED, "OSError: [Errno 28] No space left on device: 'out.parquet'", 1),
        (RunStatus.FAILED, "StoreError: the content store cannot be written to: No space left on device", 1),
        (RunStatus.FAILED, "OSError: [Errno 122] Disk quota exceeded", 1),
        (RunStatus.INTERRUPTED, "", 1),
    ],
)
def test_a_disk_without_room_is_no_attempt(status: RunStatus, error: str, after: int) -> None:
    assert attempts_after(status, 1, ["", error]) == after
