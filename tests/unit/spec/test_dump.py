from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.spec import Manifest, StoredFile
from custody.spec.dump import dump_manifest, dump_model
from custody.spec.load import load_manifest
from tests.unit.spec.project import DIGEST, loaded

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
lines = st.from_regex(r"[A-Za-z0-9é日:#'\"\[{&*!%@-][A-Za-z0-9 é:#,\]}]{0,20}", fullmatch=True)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
profiles = st.dictionaries(
    names, scalars | st.dictionaries(names, scalars, max_size=3) | st.lists(scalars, max_size=3), max_size=4
)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
manifests = st.builds(
    Manifest,
    dataset=st.just("customers"),
    version=st.just("v1"),
    format=st.just(1),
    rows=st.integers(0, 10**12),
    logical=digests,
    files=st.lists(st.builds(StoredFile, lines, st.integers(0, 10**12), digests), min_size=1, max_size=3).map(tuple),
    columns=st.dictionaries(names, profiles, max_size=5),
    source=profiles,
    as_of=lines,
    by=lines,
    parent=st.none() | st.sampled_from(["v2", "2026-11-24", "007"]),
)


@given(manifests)
def test_a_manifest_that_is_written_is_read_back(manifest):
    found, problems = load_manifest(dump_manifest(manifest), "customers", "v1")
    assert problems == ()
    assert found is not None
    assert replace(found, document=None) == manifest
    assert list(found.columns) == list(manifest.columns)
    assert dump_manifest(found) == dump_manifest(manifest)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value):
    manifest = Manifest("a", "v1", 1, 0, DIGEST, (), {"x": {"mean": value}}, {}, "now", "me")
    with pytest.raises(ValueError, match="cannot be written"):
        dump_manifest(manifest)


def test_each_column_has_its_line():
    manifest = loaded().spec.datasets["customers"].versions["v4"]
    text = dump_manifest(manifest).decode()
    assert text.startswith("# written by custody; do not edit\nformat: 1\n")
    assert "\n  plan: {kind: string, nulls: 0, distinct: 3}\n" in text


def test_a_model_is_written_as_it_ran():
    spec = loaded().spec
    manifest = spec.datasets["customers"].versions["v4"]
    text = dump_model(spec.models["churn"], manifest, ("usage", "plan")).decode()
    assert (
        text
        == f"""\
owner: growth-ml
purpose: retention
task: classification
target: churned
positive: true
stages: {{production: auto}}
dataset: {{version: customers@v4, logical: {DIGEST if DIGEST[0].isalpha() else f'"{DIGEST}"'}}}
split: {{kind: ordered, column: signup, test: 0.2}}
features:
  - usage
  - plan
prepare:
  uses: tabular
train:
  uses: sklearn.HistGradientBoostingClassifier
  with:
    max_depth: 4
    learning_rate: 0.1
  timeout: 600
  retries: 1
  memory: 2000000000
seed: 7
gates:
  metrics:
    roc_auc: {{min: 0.82, max_drop: 0.01}}
  slices:
    gender: {{metric: selection_rate, min_ratio: 0.8}}
"""
    )
    assert yaml.safe_load(text)["train"]["with"] == {"max_depth": 4, "learning_rate": 0.1}
