from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.spec import ModelSpec
from custody.errors import InvalidSpecError, UsageError
from custody.spec.override import override, parse_settings
from tests.unit.spec.project import SOUND, loaded


def read(path: str) -> bytes | None:
    text = SOUND.get(path)
    return text.encode() if text is not None else None


def overridden(*settings: str) -> ModelSpec:
    return override(loaded().spec, ["churn"], parse_settings(settings), read).models["churn"]


def test_parameters_and_seed_are_set_and_all_else_is_kept() -> None:
    model = overridden("train.max_depth=6", "seed=9")
    assert (model.train.with_["max_depth"], model.train.with_["learning_rate"], model.seed) == (6, 0.1, 9)
    assert model.train.timeout == 600.0
    assert loaded().spec.models["churn"].seed == 7


def test_values_are_yaml() -> None:
    assert overridden("train.max_depth=null").train.with_["max_depth"] is None
    assert overridden("train.learning_rate=1e-3").train.with_["learning_rate"] == 0.001
    assert overridden("train.with.max_depth=5").train.with_["max_depth"] == 5


def test_the_last_of_two_wins() -> None:
    assert overridden("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    "text",
    [
        "seed",
        "=1",
        "train.=1",
        "train=1",
        "seed.x=1",
        "gates.x=1",
        "train.max_depth=6\nseed: 1",
        "seed={a",
        "train.with=1",
    ],
)
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_settings([text])
    assert error.value.help


def test_a_step_of_the_preparation_is_set() -> None:
    steps = "prepare:\n  columns: {number: sklearn.SimpleImputer, category: [sklearn.OneHotEncoder]}\nseed: 1\n"
    train = "train: {uses: sklearn.LogisticRegression}\n"
    spec = loaded({"models/churn/pipeline.yaml": steps + train}).spec

    def columns(setting: str) -> dict[str, Any]:
        model = override(spec, ["churn"], parse_settings([setting]), read).models["churn"]
        found: dict[str, Any] = model.prepare.with_["steps"][0]["columns"]
        return found

    imputer = columns("prepare.columns.number.0.with.strategy=most_frequent")["number"]
    assert imputer == [{"uses": "sklearn.SimpleImputer", "with": {"strategy": "most_frequent"}}]
    assert columns("prepare.columns.category.0.with.drop=first")["category"][0]["with"] == {"drop": "first"}
    with pytest.raises(InvalidSpecError) as error:
        columns("prepare.columns.number.0.with.strategy=some")
    assert str(error.value.problems[0].place) == "--set:1:40"
    with pytest.raises(UsageError):
        columns("prepare.columns.category.3.with.drop=first")


def test_a_fault_points_to_the_option() -> None:
    with pytest.raises(InvalidSpecError) as error:
        overridden("seed=1", "train.max_depht=6")
    [problem] = error.value.problems
    assert (str(problem.place), problem.excerpt) == ("--set:2:1", "train.max_depht=6")
    assert problem.help == ('did you mean "max_depth"?',)


@given(st.text(max_size=30))
def test_any_value_is_taken_or_refused(text: str) -> None:
    with suppress(UsageError, InvalidSpecError):
        overridden(f"train.max_depth={text}")
