"""The form of a spec means nothing: comments, order of keys, indentation and style never change what runs."""

from __future__ import annotations

import random
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from custody.core.gates import limits_of
from custody.core.keys import step_inputs
from custody.domain.spec import ModelSpec
from tests.unit.spec.project import SOUND, loaded


def written(text: str, chance: random.Random) -> str:
    """Return the same values in another form."""
    value = shuffled(yaml.safe_load(text), chance)
    style = chance.choice([None, False])
    lines = yaml.safe_dump(
        value,
        indent=chance.choice([2, 3, 8]),
        default_flow_style=style,
        sort_keys=False,
        width=chance.choice([20, 200]),
    ).splitlines()
    made = ["# " + chance.choice(["first", "train: {}", "ü"])]
    for line in lines:
        made += [line + chance.choice(["", "   ", "  # said"])] + [""] * chance.choice([0, 0, 2])
    return chance.choice(["\n", "\r\n"]).join(made) + "\n"


def shuffled(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: shuffled(value[key], chance) for key in keys}


def meant(files: dict[str, str]) -> tuple[ModelSpec, Any]:
    found = loaded(files)
    assert not found.errors, found.errors
    model, dataset = found.spec.models["churn"], found.spec.datasets["customers"]
    manifest = found.spec.resolve(model.dataset)
    assert manifest is not None
    return model, [step_inputs(model, dataset, manifest, {}), sorted(limits_of(model)["metrics"].items())]


@given(st.integers(0, 2**32))
def test_the_form_of_a_spec_never_changes_what_runs(seed: int) -> None:
    chance = random.Random(seed)
    files = {
        path: written(text, chance) if path.startswith("models/churn/") and path.endswith(".yaml") else text
        for path, text in SOUND.items()
    }
    model, now = meant(files)
    assert now == meant(dict(SOUND))[1]
    for document in model.documents.values():
        for place in document.places.values():
            lines = files[place.path].splitlines()
            assert 1 <= place.line <= len(lines)
            assert 1 <= place.column <= len(lines[place.line - 1]) + 1
