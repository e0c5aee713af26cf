"""`prepare:` as steps: its spellings, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from custody.core.preparation import changes, place_of, steps_of
from custody.domain.problem import Severity
from custody.spec.dump import dump_model
from tests.unit.spec.project import SOUND, loaded, problems

PIPELINE = "models/churn/pipeline.yaml"
TRAIN = "train: {uses: sklearn.LogisticRegression}\nseed: 7\n"


def faults(prepare: str) -> list[tuple[str, str]]:
    found = problems(PIPELINE, f"prepare: {prepare}\n{TRAIN}")
    return [(item.code, str(item.place).removeprefix(f"{PIPELINE}:")) for item in found]


@pytest.mark.parametrize(
    "prepare",
    [
        "sklearn.StandardScaler",
        "{uses: sklearn.StandardScaler, timeout: 10m}",
        "[sklearn.StandardScaler]",
        "[{uses: sklearn.StandardScaler, with: {}}]",
        "{steps: [sklearn.StandardScaler]}",
    ],
)
def test_the_spellings_of_one_step_mean_the_same(prepare: str) -> None:
    model = loaded({PIPELINE: f"prepare: {prepare}\n{TRAIN}", "models/churn/data.yaml": DATA}).spec.models["churn"]
    assert (model.prepare.name, model.prepare.with_) == ("pipeline", {"steps": [{"uses": "sklearn.StandardScaler"}]})


DATA = "dataset: customers@v4\nsplit: {by: signup, test: 0.2}\nfeatures: [usage]\n"
COLUMNS = "{columns: {number: [sklearn.SimpleImputer, sklearn.StandardScaler], category: sklearn.OneHotEncoder}}"


@pytest.mark.parametrize("prepare", [COLUMNS, f"[{COLUMNS}, sklearn.PCA]", "[tabular, sklearn.PCA]", "tabular"])
def test_sound_steps(prepare: str) -> None:
    assert faults(prepare) == []


@pytest.mark.parametrize(
    ("prepare", "code", "at", "says"),
    [
        ("[sklearn.StandrdScaler]", "E208", "1:11", "sklearn.StandardScaler"),
        ("sklearn.LogisticRegression", "E212", "1:10", "no transformer"),
        ("[sklearn.PCA, tabular]", "E208", "1:24", 'no transformer "tabular"'),
        ("[./steps.py:prepare]", "E208", "1:11", "prepares alone"),
        ("[{uses: sklearn.PCA, with: {n_component: 2}}]", "E101", "1:38", "n_components"),
        ("[{uses: sklearn.PCA, with: {n_components: -2}}]", "E106", "1:52", "prepare.steps.0.with.n_components"),
        (
            "{columns: {number: {uses: sklearn.SimpleImputer, with: {strategy: median, x: 1}}, plan: sklearn.PCA}}",
            "E101",
            "1:84",
            "x",
        ),
        ("{columns: {number: sklearn.StandardScaler}}", "E217", "1:11", "plan"),
        ("{columns: {numbers: sklearn.StandardScaler}, rest: drop}", "E204", "1:21", "number"),
        ("{columns: {usge: sklearn.StandardScaler}, rest: drop}", "E204", "1:21", "usage"),
        ("{columns: {time: sklearn.StandardScaler}, rest: keep}", "W208", "1:21", "no feature"),
        ("[sklearn.PCA, {columns: {number: sklearn.PCA}, rest: drop}]", "E106", "1:25", "only be the first"),
        ("{uses: tabular, columns: {number: sklearn.PCA}}", "E106", "1:26", "`uses` and `columns`"),
        ("{with: {scale: true}}", "E102", "1:10", "none of them"),
        ("{uses: tabular, rest: drop}", "E106", "1:26", "goes with `columns`"),
        ("{columns: {number: {with: {a: 1}}}, rest: drop}", "E102", "1:29", 'has no "uses"'),
        ("[{uses: sklearn.PCA, wth: {}}]", "E101", "1:31", "with"),
        ("[]", "E106", "1:10", "empty"),
        ("{columns: {number: sklearn.PCA}, rest: some}", "E106", "1:49", "drop, keep"),
    ],
)
def test_one_fault_is_told_where_it_stands(prepare: str, code: str, at: str, says: str) -> None:
    found = problems(PIPELINE, f"prepare: {prepare}\n{TRAIN}")
    assert [(item.code, str(item.place).removeprefix(f"{PIPELINE}:")) for item in found] == [(code, at)]
    assert says in " ".join((found[0].message, found[0].label, *found[0].help))


def test_a_column_by_name_leaves_its_kind() -> None:
    text = "{columns: {number: sklearn.StandardScaler, plan: sklearn.OrdinalEncoder, category: sklearn.OneHotEncoder}}"
    found = problems(PIPELINE, f"prepare: {text}\n{TRAIN}")
    assert [(item.code, item.severity) for item in found] == [("W208", Severity.WARNING)]


def test_what_changed_is_named_with_its_place() -> None:
    number = "    number: {uses: sklearn.SimpleImputer, with: {strategy: mean}}"
    text = f"prepare:\n  columns:\n{number}\n    category: sklearn.OneHotEncoder\n"
    model = loaded({PIPELINE: text + TRAIN}).spec.models["churn"]
    now = model.prepare.with_["steps"]
    before = steps_of(
        {
            "columns": {
                "number": {"uses": "sklearn.SimpleImputer", "with": {"strategy": "median"}},
                "category": "sklearn.OneHotEncoder",
            }
        }
    )
    found = changes(before, now)
    assert found == [("steps.0.columns.number.0.with.strategy", "median", "mean")]
    assert str(place_of(model.documents["pipeline"], found[0][0])) == f"{PIPELINE}:3:60"
    assert changes(now, now) == []


def test_the_recorded_spec_has_the_steps_as_they_may_be_written() -> None:
    from custody.spec.yaml12 import parse

    spec = loaded({PIPELINE: f"prepare: {COLUMNS}\n{TRAIN}"}).spec
    model = spec.models["churn"]
    manifest = spec.resolve(model.dataset)
    assert manifest is not None
    written: Any = parse(dump_model(model, manifest, ["usage", "plan"]), "spec.yaml").value["prepare"]
    assert steps_of(written) == model.prepare.with_["steps"]
    again = loaded({PIPELINE: SOUND[PIPELINE]}).spec.models["churn"]
    assert again.prepare.name == "tabular"
