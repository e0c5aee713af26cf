"""Models that read models: in order, waiting, blocked, and closed over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custody.core.choice import Choice, closed
from custody.core.planner import changes
from custody.core.upstream import cycle, in_order, readers
from custody.domain.plan import Category, Change, Do
from custody.domain.record import ModelState, Run, State, Version
from custody.domain.spec import Config, ModelRef, ModelSpec, Spec
from custody.domain.uses import Uses
from tests.unit.core import build

UP = build.model()


def reader(name: str = "limit", **refs: str) -> ModelSpec:
    inputs = {column: ModelRef(*ref.split("@")) for column, ref in (refs or {"score": "churn@production"}).items()}
    return build.model(name=name, inputs=inputs)


def known(run: Run) -> State:
    """The state in which `run` of the upstream is in production as v1, with an artifact."""
    state = build.state(run, run)
    model = state.models["churn"]
    return replace(state, models={"churn": replace(model, versions={"v1": Version("v1", run.id, "a" * 64, "r")})})


def plan(state: State, *models: ModelSpec, choice: Choice | None = None) -> dict[str, Change]:
    run = state.models["churn"].run if "churn" in state.models else None
    look = build.lookup(run) if run else build.EVERYTHING
    spec = Spec(Config("id"), {item.name: item for item in models}, {"customers": build.dataset()})
    return {change.model: change for change in changes(spec, state, {}, look, None, choice or Choice())}


def test_what_is_in_production_is_read() -> None:
    change = plan(known(build.run(UP)), UP, reader())["limit"]
    assert (change.category, change.waits) == (Category.NEW, ())
    assert change.inputs["score"] == {
        "model": "churn",
        "at": "production",
        "version": "v1",
        "run": "1" * 16,
        "artifact": "a" * 64,
    }
    train = next(step for step in change.steps if step.step == "train")
    assert train.inputs["inputs"] == {"score": "a" * 64}
    assert train.inputs["features"][-1] == "score"


def test_a_model_waits_for_what_it_reads() -> None:
    found = plan(known(build.run(UP)), replace(UP, train=Uses("sklearn.Ridge", {"alpha": 2.0})), reader())
    assert found["churn"].notes == ("read by limit",)
    change = found["limit"]
    assert change.waits == ("churn",)
    assert change.reasons[-1].code == "upstream.pending"
    steps = {step.step: step for step in change.steps}
    assert (steps["train"].do, steps["train"].key) == (Do.MAYBE, None)
    assert steps["train"].inputs["inputs"] == {"score": "model:churn@production"}


def test_a_version_is_never_waited_for() -> None:
    upstream = replace(UP, train=Uses("sklearn.Ridge", {"alpha": 2.0}))
    assert plan(known(build.run(UP)), upstream, reader(score="churn@v1"))["limit"].waits == ()


def test_what_is_not_there_blocks() -> None:
    blocked = plan(State(), replace(UP, stages={}), reader())["limit"]
    assert (blocked.category, blocked.reasons[0].code) == (Category.BLOCKED, "input.missing")
    assert plan(State(), UP, reader())["limit"].waits == ("churn",)
    assert plan(State(), UP, reader(), choice=Choice(waves=False))["limit"].category is Category.BLOCKED


def test_a_chain_waits_link_by_link() -> None:
    third = reader("third", score="limit@production")
    found = plan(State(), UP, reader(), third)
    assert (found["limit"].waits, found["third"].waits) == (("churn",), ("limit",))
    models = {item.name: item for item in (third, reader(), UP)}
    assert tuple(in_order(models)) == ("churn", "limit", "third")
    assert readers(models, ["churn"]) == {"limit", "third"}
    assert closed(Choice(targets=("third",)), models).targets == ("third", "limit", "churn")
    assert closed(Choice(exclude=("limit",)), models).exclude == ("limit", "third")


@pytest.mark.parametrize(("start", "path"), [("a", ("a", "b", "a")), ("c", ()), ("d", ("d", "d"))])
def test_cycles(start: str, path: tuple[str, ...]) -> None:
    models = {
        "a": reader("a", x="b@production"),
        "b": reader("b", x="a@production"),
        "c": reader("c", x="a@production"),
        "d": reader("d", x="d@production"),
    }
    assert cycle(models, start) == path
    assert sorted(in_order(models)) == ["a", "b", "c", "d"]


def test_a_pointer_without_an_artifact_is_nothing_to_read() -> None:
    state = build.state(build.run(UP), build.run(UP))
    assert isinstance(state.models["churn"], ModelState)
    assert plan(state, UP, reader())["limit"].category is Category.BLOCKED
