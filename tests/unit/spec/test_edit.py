from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import CustodyError
from custody.spec.edit import set_parameter, set_remote, set_stage
from custody.spec.yaml12 import parse


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("owner: a\nstages: {production: auto}  # x\n", "owner: a\nstages: {production: v2}  # x\n"),
        ("stages: {'production': \"v3\", canary: v2}\n", "stages: {'production': v2, canary: v2}\n"),
        (
            "stages:\n  # why\n  production: auto   # t\n  canary: v1\nowner: a\n",
            "stages:\n  # why\n  production: v2   # t\n  canary: v1\nowner: a\n",
        ),
        ("stages:\n    canary: v1\nowner: a", "stages:\n    production: v2\n    canary: v1\nowner: a"),
        ("stages: {canary: v1}\n", "stages: {production: v2, canary: v1}\n"),
        ("stages: {}  # none yet\nowner: a\n", "stages: {production: v2}  # none yet\nowner: a\n"),
        ("stages:\nowner: a\n", "stages: {production: v2}\nowner: a\n"),
        ("owner: a", "owner: a\nstages: {production: v2}\n"),
        ("owner: a\r\nstages: {production: auto}\r\n", "owner: a\r\nstages: {production: v2}\r\n"),
        ("\ufeffowner: a\nstages: {production: auto}\n", "\ufeffowner: a\nstages: {production: v2}\n"),
        ("stages: {\n  production: auto,  # a\n  canary: v1}\n", "stages: {\n  production: v2,  # a\n  canary: v1}\n"),
        ("stages: {production: v2}\n", "stages: {production: v2}\n"),
    ],
)
def test_one_value_changes_and_nothing_else(before: str, after: str) -> None:
    assert set_stage(before.encode(), "model.yaml", "production", "v2").decode() == after


@pytest.mark.parametrize("text", ["", "- a\n", "stages: v1\n", "a: [\n", "stages: &x {production: auto}\n"])
def test_what_is_not_understood_is_left_to_a_person(text: str) -> None:
    with pytest.raises(CustodyError) as caught:
        set_stage(text.encode(), "m/model.yaml", "production", "v2")
    assert caught.value.help == ("write `stages: {production: v2}` in m/model.yaml",)


NAMES = st.text("abcdef", min_size=1, max_size=5)


@given(
    st.dictionaries(NAMES, st.sampled_from(["auto", "none", "v1"]), max_size=3),
    NAMES,
    st.sampled_from(["block", "flow"]),
)
def test_the_value_is_what_was_asked_for(stages: dict[str, str], stage: str, style: str) -> None:
    lines = [f"  {name}: {value}" for name, value in stages.items()]
    flow = ", ".join(line.strip() for line in lines)
    text = "\n".join(["stages:", *lines, ""]) if style == "block" else f"stages: {{{flow}}}\n"
    edited = set_stage(f"owner: a\n{text}".encode(), "model.yaml", stage, "v7")
    assert parse(edited, "model.yaml").value == {"owner": "a", "stages": {**stages, stage: "v7"}}


def test_the_remote_is_named_once() -> None:
    before = b"spec: 1\nledger: mlops/ledger\ntimezone: UTC\n"
    after = set_remote(before, "config.yaml", "origin")
    assert after == b"spec: 1\nledger: mlops/ledger\nremote: origin  # where the ledger is shared\ntimezone: UTC\n"
    assert set_remote(after, "config.yaml", "elsewhere") == after
    assert parse(set_remote(b"spec: 1", "c", "origin"), "c").value == {"spec": 1, "remote": "origin"}


@pytest.mark.parametrize(
    ("before", "where", "value", "after"),
    [
        ("train:\n  uses: x\n  with: {depth: 3}  # why\n", "train.with.depth", 6, "with: {depth: 6}  # why"),
        ("train:\n  uses: x\n  with:\n    depth: 3 # why\n", "train.with.depth", 6, "    depth: 6 # why"),
        ("train:\n  uses: x\n  with:\n    depth: 3\n", "train.with.leaf", "a b", "    leaf: a b\n    depth: 3"),
        ("train: {uses: x, with: {depth: 3}}\n", "train.with.leaf", [1, 2], "with: {leaf: [1, 2], depth: 3}"),
        ("train: {uses: x}\nseed: 1\n", "train.with.depth", 6, "train: {with: {depth: 6}, uses: x}"),
        ("train:\n  uses: x\n", "train.with.depth", None, "  with: {depth: null}\n  uses: x"),
        ("train: {uses: x}\nseed: 1  # fixed\n", "seed", 7, "seed: 7  # fixed"),
        ("train: {uses: x}", "seed", 7, "train: {uses: x}\nseed: 7\n"),
    ],
)
def test_a_parameter_is_set_where_it_belongs(before: str, where: str, value: object, after: str) -> None:
    edited = set_parameter(before.encode(), "pipeline.yaml", tuple(where.split(".")), value).decode()
    assert after in edited
    assert len(edited.splitlines()) <= len(before.splitlines()) + 1


@pytest.mark.parametrize("before", ["prepare: tabular\n", "prepare:\n  uses: t\n  with: [\n", "- a\n", "\xff"])
def test_a_file_of_another_kind_is_left_to_its_author(before: str) -> None:
    with pytest.raises(CustodyError) as caught:
        set_parameter(before.encode("latin-1"), "pipeline.yaml", ("prepare", "with", "scale"), False)
    assert "write `prepare.with.scale: false`" in caught.value.help[0]
