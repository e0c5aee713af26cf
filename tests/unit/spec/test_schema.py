from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import Draft7Validator

from custody.errors import UsageError
from custody.spec.quick import compiled
from custody.spec.schema import KINDS, faults, schema
from custody.spec.yaml12 import parse
from tests.unit.spec.project import SOUND, VERSION, WATCHED

SAMPLES = {
    "model": SOUND["models/churn/model.yaml"],
    "data": SOUND["models/churn/data.yaml"],
    "pipeline": SOUND["models/churn/pipeline.yaml"],
    "gates": SOUND["models/churn/gates.yaml"],
    "monitors": WATCHED,
    "dataset": SOUND["datasets/customers/dataset.yaml"],
    "version": VERSION,
    "config": SOUND[".mlops/config.yaml"],
}
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    7.0,
    0.5,
    1e9,
    "",
    "a",
    "10m",
    "v3",
    "a\n",
    "x" * 400,
    [],
    ["a", "a"],
    [1, True],
    {},
    {"a": 1},
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from nodes(item, (*path, key))


def keys(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(part, dict):
        return
    for name, rules in part.get("properties", {}).items():
        yield f"{where}.{name}", rules
        yield from keys(rules, f"{where}.{name}")
    for inner in ("additionalProperties", "items"):
        yield from keys(part.get(inner), where)


@pytest.mark.parametrize("kind", KINDS)
def test_each_schema_is_one_and_every_key_can_be_completed(kind):
    rules = schema(kind)
    Draft7Validator.check_schema(rules)
    assert rules["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert rules["additionalProperties"] is False
    for where, part in keys(rules, kind):
        assert {"title", "description", "examples"} <= part.keys(), where
        for example in part["examples"]:
            assert Draft7Validator(part).is_valid(example), (where, example)


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_keep_their_schema(kind):
    value = parse(SAMPLES[kind].encode(), "f.yaml").value
    assert faults(schema(kind), value) == []
    assert compiled(schema(kind))(value)


@given(st.sampled_from(KINDS), st.data())
def test_the_quick_answer_is_that_of_jsonschema(kind, data):
    value: Any = json.loads(json.dumps(parse(SAMPLES[kind].encode(), "f.yaml").value))
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from([path for path in nodes(value) if path] or [("owner",)]))
        target = value
        for step in path:
            target = target[step]
        match data.draw(st.sampled_from(("replace", "remove", "add"))):
            case "replace":
                target[last] = deepcopy(data.draw(st.sampled_from(ODD)))
            case "remove":
                del target[last]
            case "add" if isinstance(target, dict):
                target[data.draw(st.sampled_from(("x", "min", "by", "seed", "A", "a\n")))] = deepcopy(
                    data.draw(st.sampled_from(ODD))
                )
    assert compiled(schema(kind))(value) == Draft7Validator(schema(kind)).is_valid(value)


def test_a_keyword_that_the_quick_answer_does_not_know_is_refused():
    with pytest.raises(KeyError):
        compiled({"anyOf": []})


def test_an_unknown_kind_is_told():
    with pytest.raises(UsageError) as caught:
        schema("pipline")
    assert caught.value.help == ('did you mean "pipeline"?',)
