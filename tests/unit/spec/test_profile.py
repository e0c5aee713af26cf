"""Profiles: values below those of a model's own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.problem import Severity
from custody.domain.spec import Document, ModelSpec, spec_files
from custody.spec.emit import block
from custody.spec.explain import explain
from custody.spec.profile import layered, merge
from custody.spec.yaml12 import parse
from tests.unit.spec.project import SOUND, loaded

MODEL, DATA = "models/churn/model.yaml", "models/churn/data.yaml"
PIPELINE, GATES = "models/churn/pipeline.yaml", "models/churn/gates.yaml"
MONITORS = "models/churn/monitors.yaml"
PROFILE = ".mlops/profiles/tabular"
PROFILED: Mapping[str, str | None] = {
    f"{PROFILE}/model.yaml": "owner: growth-ml\npurpose: retention\ntask: classification\nstages: {production: auto}\n",
    f"{PROFILE}/data.yaml": "split: {by: signup, test: 0.2}\nfeatures: [usage, plan, tier]\n",
    f"{PROFILE}/pipeline.yaml": SOUND[PIPELINE],
    f"{PROFILE}/gates.yaml": SOUND[GATES],
    MODEL: "profile: tabular\ntarget: churned\npositive: true\n",
    DATA: "dataset: customers@v4\nfeatures: [usage, plan]\n",
    PIPELINE: "train:\n  with: {max_depth: 6, learning_rate: null}\n",
    GATES: None,
}


def churn(changes: Mapping[str, str | None] = {}) -> ModelSpec:
    return loaded({**PROFILED, **changes}).spec.models["churn"]


def faults(changes: Mapping[str, str | None]) -> list[tuple[str, str]]:
    found = loaded({**PROFILED, **changes}).problems
    return [(item.code, str(item.place)) for item in found if item.severity is Severity.ERROR]


def test_a_model_says_what_differs_from_its_profile() -> None:
    assert loaded(PROFILED).problems == ()
    model = churn()
    assert (model.owner, model.target, model.seed, model.profile) == ("growth-ml", "churned", 7, "tabular")
    assert model.train.with_ == {"max_depth": 6}
    assert (model.train.timeout, model.features) == (600.0, ("usage", "plan"))
    assert [gate.metric for gate in model.metrics] == ["roc_auc"]
    places = {
        ("pipeline", "train.uses"): f"{PROFILE}/pipeline.yaml:3:9",
        ("pipeline", "train.with.max_depth"): f"{PIPELINE}:2:21",
        ("pipeline", "train.with.learning_rate"): f"{PIPELINE}:2:39",
        ("gates", "metrics.roc_auc.min"): f"{PROFILE}/gates.yaml:2:18",
        ("gates", ""): f"{PROFILE}/gates.yaml:1:1",
        ("data", "features.2"): f"{DATA}:2:11",
    }
    assert {key: str(model.place(*key)) for key in places} == places


def test_a_model_with_a_profile_needs_few_lines() -> None:
    lines = [text for path, text in PROFILED.items() if text and path.startswith("models/")]
    assert sum(text.count("\n") for text in lines) <= 10


def test_a_profile_alone_is_the_model_less_what_it_says_itself() -> None:
    own = loaded().spec.models["churn"]
    model = churn({PIPELINE: None, DATA: "dataset: customers@v4\nfeatures: [usage, plan]\n"})
    assert (model.train, model.prepare, model.split, model.metrics) == (own.train, own.prepare, own.split, own.metrics)


@pytest.mark.parametrize(
    ("path", "text", "code", "place"),
    [
        (MODEL, "profile: tabulr\ntarget: churned\n", "E202", f"{MODEL}:1:10"),
        (MODEL, "profile: 3\ntarget: churned\n", "E107", f"{MODEL}:1:10"),
        (
            f"{PROFILE}/pipeline.yaml",
            "train: {uses: sklearn.LogisticRegresion}\n",
            "E208",
            f"{PROFILE}/pipeline.yaml:1:15",
        ),
        (f"{PROFILE}/pipeline.yaml", "train: {useless: 3}\n", "E101", f"{PROFILE}/pipeline.yaml:1:9"),
        (f"{PROFILE}/pipeline.yaml", "seed: many\n", "E104", f"{PROFILE}/pipeline.yaml:1:7"),
        (f"{PROFILE}/gates.yaml", "metrics: {roc: {min: 0.5}}\n", "E207", f"{PROFILE}/gates.yaml:1:11"),
        (f"{PROFILE}/model.yaml", "profile: other\n", "E106", f"{PROFILE}/model.yaml:1:1"),
        (f"{PROFILE}/data.yaml", "features: [usage, usag]\n", "E102", f"{DATA}:1:1"),
        (f"{PROFILE}/monitors.yaml", "min_rows: 5\n", "E102", f"{PROFILE}/monitors.yaml:1:1"),
        (f"{PROFILE}/pipelines.yaml", "seed: 1\n", "E120", f"{PROFILE}/pipelines.yaml:1:1"),
        (PIPELINE, "train: {with: {rate: null}}\n", "E101", f"{PIPELINE}:1:16"),
        (PIPELINE, "needs: null\n", "E108", f"{PIPELINE}:1:1"),
        (GATES, "metrics: {roc_auc: {max: 0.5}}\n", "E106", f"{PROFILE}/gates.yaml:2:18"),
    ],
)
def test_a_fault_is_told_where_its_value_is_written(path: str, text: str, code: str, place: str) -> None:
    assert faults({path: text}) == [(code, place)]


def test_a_fault_of_a_profile_is_told_once_with_the_models_that_it_touches() -> None:
    other = {path.replace("churn", "leave"): text for path, text in PROFILED.items() if path.startswith("models/")}
    broken = {
        f"{PROFILE}/pipeline.yaml": SOUND[PIPELINE].replace("learning_rate: 0.1", "learning_rate: 0.1, learning: 1")
    }
    problems = loaded({**PROFILED, **other, **broken}).problems
    assert [item.code for item in problems] == ["E101"]
    assert "churn, leave" in problems[0].because[0]
    assert problems[0].excerpt == "  with: {max_depth: 4, learning_rate: 0.1, learning: 1}"
    missing = loaded({**PROFILED, MODEL: "profile: tabulr\ntarget: churned\n"}).problems[0]
    assert missing.help == ('did you mean "tabular"?',)


def test_every_value_of_a_model_is_explained_once() -> None:
    spec = loaded(PROFILED).spec
    model = spec.models["churn"]
    found = {
        (item.kind, item.key): item for item in explain(model, spec.datasets["customers"], spec.resolve(model.dataset))
    }
    depth = found["pipeline", "train.with.max_depth"]
    assert (depth.value, str(depth.place), depth.below) == (6, f"{PIPELINE}:2:21", 4)
    assert str(depth.below_place) == f"{PROFILE}/pipeline.yaml:4:21"
    assert found["pipeline", "train.with.learning_rate"].removed
    assert (found["pipeline", "prepare.with.impute"].place, found["gates", "slices.gender.n"].note) == (None, "default")
    assert all(item.place or item.note for item in found.values())


values = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("xyz"), values, max_size=3)


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    return value


@given(mappings.map(without_null), mappings)
def test_merging_keeps_its_rule_and_every_place(profile: dict[str, Any], own: dict[str, Any]) -> None:
    value, _ = merge(profile, own)
    assert merge(profile, {})[0] == profile
    assert merge({}, own)[0] == own
    for key in {*profile, *own}:
        if isinstance(profile.get(key), dict) and isinstance(own.get(key), dict):
            assert value[key] == merge(profile[key], own[key])[0]
        elif key in own and own[key] is None and key in profile:
            assert key not in value
        else:
            assert value[key] == own.get(key, profile.get(key))
    below, above = parse(block(profile).encode(), "p.yaml"), parse(block(own).encode(), "m.yaml")
    merged = layered(above, Document("model", "p.yaml", below.value, below.places))
    assert merged.value == value
    for dotted, item in leaves(value):
        place = merged.places[dotted]
        text = block(own if place.path == "m.yaml" else profile).splitlines()[place.line - 1]
        assert text[place.column - 1 :].startswith(
            ("{", "[") if isinstance(item, (dict, list)) else ("n", "a", "b", str(item))
        )
    assert len(list(merged.places)) == len(merged.places)
    assert all(dotted in merged.places for dotted in merged.places)


def leaves(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        found += leaves(item, f"{prefix}{key}.") if isinstance(item, dict) and item else [(f"{prefix}{key}", item)]
    return found


def test_the_files_that_a_model_depends_on() -> None:
    assert spec_files("models/churn", "tabular") == (
        MODEL,
        DATA,
        PIPELINE,
        GATES,
        MONITORS,
        *(f"{PROFILE}/{kind}.yaml" for kind in ("model", "data", "pipeline", "gates", "monitors")),
    )
    assert spec_files("models/churn") == (MODEL, DATA, PIPELINE, GATES, MONITORS)
