"""What `inputs:` may say: models that are there, with what they learn from, and no way back."""

from __future__ import annotations

import pytest

from tests.unit.spec.project import SOUND, loaded

DATA = "dataset: customers@v4\nsplit: {by: signup, test: 0.2}\nfeatures: [usage, plan]\n"


def project(inputs: str, upstream: str = DATA) -> list[tuple[str, str, str]]:
    """Return (code, place, message) of what is wrong where `value` reads `churn`; each but the usual warnings."""
    value = {f"models/value/{kind}.yaml": SOUND[f"models/churn/{kind}.yaml"] for kind in ("model", "pipeline", "gates")}
    files = {**value, "models/value/data.yaml": f"{DATA}inputs: {inputs}\n", "models/churn/data.yaml": upstream}
    found = loaded(files).problems
    return [(item.code, str(item.place), item.message) for item in found if item.code in {"E219", "E218", "W208"}]


def test_a_model_of_the_same_dataset_is_warned_of() -> None:
    ((code, place, _),) = project("{score: model:churn@production}")
    assert (code, place) == ("W208", "models/value/data.yaml:4:17")
    assert [item[0] for item in project("{score: model:churn@v3}")] == ["W208"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("{score: model:chrn@production}", 'there is no model "chrn"'),
        ("{score: model:churn@staging}", 'churn has no stage "staging"'),
        ("{usage: model:churn@production}", 'input "usage" has the name of a column of customers@v4'),
    ],
)
def test_what_is_not_there_is_an_error(inputs: str, message: str) -> None:
    assert ("E218", message) in [(code, said) for code, _, said in project(inputs)]


def test_models_that_read_each_other_are_an_error_with_the_path() -> None:
    found = project("{score: model:churn@production}", f"{DATA}inputs: {{back: model:value@production}}\n")
    assert [(code, said) for code, _, said in found] == [
        ("E219", "churn reads itself: churn → value → churn"),
        ("E219", "value reads itself: value → churn → value"),
    ]


def test_a_model_that_reads_itself_is_one() -> None:
    assert ("E219", "value reads itself: value → value") in [
        (code, said) for code, _, said in project("{score: model:value@production}")
    ]
