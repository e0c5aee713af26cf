"""Schemas and settings for editors: what a user has set is never changed."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import Draft7Validator

from custody.app.editor import SCHEMAS, SETTINGS, _merged, schema_files, write_schemas, write_settings
from custody.cli.main import main
from custody.domain.spec import Config
from tests.unit.app.specs import repository

CONFIG = Config("")
WANTED = schema_files(CONFIG)


def test_every_spec_file_has_one_schema_that_is_there(tmp_path: Path) -> None:
    assert write_schemas(tmp_path)
    assert not write_schemas(tmp_path)
    assert write_settings(tmp_path, CONFIG)
    settings: dict[str, list[str]] = json.loads((tmp_path / SETTINGS).read_text())["yaml.schemas"]
    for path in (
        "models/churn/model.yaml",
        ".mlops/profiles/tabular/gates.yaml",
        "datasets/c/dataset.yaml",
        "datasets/c/versions/v1.yaml",
        ".mlops/config.yaml",
    ):
        [schema] = [name for name, files in settings.items() if any(fnmatch(path, pattern) for pattern in files)]
        assert (tmp_path / schema).is_file()


def test_a_file_below_a_profile_misses_no_key(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    rules = json.loads((tmp_path / SCHEMAS / "pipeline.json").read_text())
    assert Draft7Validator(rules).is_valid({"train": {"with": {"max_depth": 4}}})
    assert not Draft7Validator(rules).is_valid({"trian": {}})


@pytest.mark.parametrize(
    "text", ["{ // mine\n}", "[]", '{"yaml.schemas": "none"}', "{", json.dumps({"yaml.schemas": WANTED})]
)
def test_settings_that_need_nothing_or_cannot_be_merged_are_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / SETTINGS
    path.parent.mkdir()
    path.write_text(text)
    assert not write_settings(tmp_path, CONFIG)
    assert path.read_text() == text


values = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
settings = st.dictionaries(st.text(max_size=5), values, max_size=4)
schemas = st.dictionaries(st.sampled_from([*WANTED, "own.json"]), st.lists(st.text(max_size=4), max_size=2), max_size=4)


@given(settings, schemas, st.sampled_from([None, 2, 4, "\t"]))
def test_all_that_was_set_stays_as_it_was(own: dict[str, Any], named: dict[str, Any], indent: int | str | None) -> None:
    before = {**own, "yaml.schemas": named}
    merged = _merged(json.dumps(before, indent=indent), WANTED)
    if merged is None:
        assert WANTED.keys() <= named.keys()
        return
    after = json.loads(merged)
    assert {key: value for key, value in after.items() if key != "yaml.schemas"} == own
    assert after["yaml.schemas"] == {**WANTED, **named}
    assert _merged(merged, WANTED) is None


def test_the_command_says_what_is_left_to_be_done_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path / "shop")
    assert main(["-C", str(folder), "init"]) == 0
    assert main(["-C", str(folder), "schema", "--write"]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    (folder / SETTINGS).write_text("{} // mine")
    (folder / SCHEMAS / "model.json").write_text("{}")
    assert main(["-C", str(folder), "schema", "--write"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"wrote {SCHEMAS}/\n"
    assert "./.mlops/schemas/model.json" in shown.err
    assert (folder / SETTINGS).read_text() == "{} // mine"
    assert main(["-C", str(folder), "schema"]) == 64
