from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.fold import decode_model, decode_stages, encode_stages, fold, next_version
from custody.core.jsonfile import json_object
from custody.core.ownership import owns
from custody.domain.graph import Ref, StepOutput, StepRecord, StepStatus
from custody.domain.record import Kind, ModelState, Record, Run, RunStatus
from custody.errors import LedgerError


class Tree:
    """The files of a ledger, with records folded in one after the other."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.count = 0

    def add(
        self,
        kind: Kind,
        model: str | None = "churn",
        files: dict[str, bytes] | None = None,
        trailers: tuple[tuple[str, str], ...] = (),
        **effect: Any,
    ) -> str:
        self.count += 1
        record = Record(f"record-{self.count}", kind, "a subject", trailers, model, files=files or {}, effect=effect)
        self.files.update(fold(self.files.get, record))
        return record.id

    @property
    def churn(self) -> ModelState:
        return decode_stages("churn", self.files.get("models/churn/stages.json"))


def a_version(tree: Tree, number: int, run: str) -> None:
    tree.add(Kind.RUN)
    tree.add(Kind.REGISTER, version=f"v{number}", run=run, artifact="a" * 64, at="2026-11-24T00:00:00+00:00")


def promote(tree: Tree, run: str | None, version: str | None, replaces: str | None) -> str:
    return tree.add(Kind.PROMOTION, stage="production", run=run, version=version, replaces=replaces, at="2026-11-24")


def test_facts_write_their_own_files_and_count() -> None:
    tree = Tree()
    tree.add(Kind.RUN, files={"models/churn/run.json": b"1", "models/churn/spec.yaml": b"2"})
    tree.add(Kind.VERDICT, files={"models/churn/run.json": b"3"})
    tree.add(Kind.METADATA)
    assert tree.files["models/churn/run.json"] == b"3"
    assert tree.files["models/churn/spec.yaml"] == b"2"
    assert tree.churn.records == 3


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Kind.RUN, "models/churn/stages.json"),
        (Kind.RUN, "models/other/run.json"),
        (Kind.RUN, "README.md"),
        (Kind.RUN, "models/churn/../../run.json"),
        (Kind.RUN, "datasets/customers/v1.json"),
        (Kind.PROMOTION, "models/churn/run.json"),
        (Kind.REGISTER, "models/churn/spec.yaml"),
        (Kind.DATA, "models/churn/run.json"),
    ],
)
def test_no_record_writes_what_it_does_not_own(kind: Kind, path: str) -> None:
    tree = Tree()
    tree.add(kind, None if kind is Kind.DATA else "churn", {path: b"x"})
    assert b"x" not in tree.files.values()


@pytest.mark.parametrize("path", ["datasets/../v1.json", "datasets/a/.json", "datasets/a/v1", "datasets/.git/v1.json"])
def test_names_that_are_no_names_are_not_owned(path: str) -> None:
    assert not owns(Record("r", Kind.DATA, "s", ()), path)
    assert fold({}.get, Record("r", Kind.RUN, "s", (), "../x", files={"models/../x/run.json": b""})) == {}


def test_a_dataset_version_is_recorded_once() -> None:
    tree = Tree()
    tree.add(Kind.DATA, None, {"datasets/customers/v1.json": b"first"})
    tree.add(Kind.DATA, None, {"datasets/customers/v1.json": b"second", "datasets/customers/2026-11-24.json": b"x"})
    assert tree.files == {"datasets/customers/v1.json": b"first", "datasets/customers/2026-11-24.json": b"x"}


def test_versions_have_no_gaps_and_one_a_run() -> None:
    tree = Tree()
    a_version(tree, 1, "run-1")
    a_version(tree, 3, "run-3")
    a_version(tree, 2, "run-1")
    a_version(tree, 1, "run-2")
    assert {name: item.run for name, item in tree.churn.versions.items()} == {"v1": "run-1"}
    a_version(tree, 2, "run-2")
    assert next_version(tree.churn) == "v3"
    assert tree.churn.version_of("run-2") == "v2"


def test_a_promotion_moves_only_what_it_has_seen() -> None:
    tree = Tree()
    a_version(tree, 1, "run-1")
    a_version(tree, 2, "run-2")
    first = promote(tree, "run-1", "v1", None)
    assert tree.churn.stages["production"].record == first
    promote(tree, "run-2", "v2", None)
    promote(tree, "run-2", "v2", "run-9")
    promote(tree, "run-2", "v1", "run-1")
    promote(tree, "run-2", "v7", "run-1")
    assert tree.churn.stages["production"].run == "run-1"
    promote(tree, "run-2", "v2", "run-1")
    assert tree.churn.stages["production"].version == "v2"
    promote(tree, None, None, "run-2")
    assert tree.churn.stages == {}


def test_a_retired_model_comes_back_by_a_run_that_makes_it_anew_only() -> None:
    tree = Tree()
    a_version(tree, 1, "run-1")
    promote(tree, "run-1", "v1", None)
    tree.add(Kind.RETIRE)
    assert tree.churn.retired
    assert tree.churn.stages == {}
    promote(tree, "run-1", "v1", None)
    assert tree.churn.stages == {}
    tree.add(Kind.RUN)
    assert tree.churn.retired
    tree.add(Kind.RUN, trailers=(("Category", "new"),))
    assert not tree.churn.retired
    promote(tree, "run-1", "v1", None)
    assert tree.churn.stages["production"].version == "v1"


def test_what_runs_where_is_what_was_said_last_and_moves_nothing() -> None:
    tree = Tree()
    a_version(tree, 1, "run-1")
    a_version(tree, 2, "run-2")
    promote(tree, "run-2", "v2", None)
    said = {"stage": "production", "by": "Ann", "at": "2026-11-24", "artifact": None, "remark": None}
    tree.add(Kind.DEPLOYED, where="eu", version="v1", run="run-1", **said)
    tree.add(Kind.DEPLOYED, where="us", version="v2", run="run-2", **said)
    tree.add(Kind.DEPLOYED, where="eu", version="v9", run="run-9", **said)
    assert [(item.where, item.version) for item in tree.churn.deployed] == [("eu", "v1"), ("us", "v2")]
    tree.add(Kind.DEPLOYED, where="eu", version="v2", run="run-2", **said)
    tree.add(Kind.DEPLOYED, where="us", version=None, run=None, **said)
    assert [(item.where, item.version) for item in tree.churn.deployed] == [("eu", "v2")]
    assert tree.churn.stages["production"].version == "v2"
    assert decode_stages("churn", encode_stages(tree.churn)) == tree.churn


def test_a_reason_that_reads_as_nothing_is_kept_as_it_was_written() -> None:
    written, read = Tree(), Tree()
    for tree, reason in ((written, "none"), (read, None)):
        tree.add(Kind.HOLD, stage="production", to=None, reason=reason, by="Bob", at="2026-11-24", **{"from": None})
    assert written.files == read.files


def state_of(tree: Tree, name: str) -> ModelState:
    return decode_stages(name, tree.files.get(f"models/{name}/stages.json"))


def test_a_rename_takes_all_along_and_leaves_the_name_free() -> None:
    tree = Tree()
    tree.add(Kind.RUN, files={"models/churn/run.json": b"1", "models/churn/spec.yaml": b"2"})
    a_version(tree, 1, "run-1")
    promote(tree, "run-1", "v1", None)
    tree.add(Kind.RENAME, "leavers", was="churn", at="2026-11-24")
    taken, left = state_of(tree, "leavers"), tree.churn
    assert (taken.was, taken.stages["production"].version, list(taken.versions)) == (("churn",), "v1", ["v1"])
    assert (left.renamed, left.retired, left.stages, left.versions) == ("leavers", True, {}, {})
    assert tree.files["models/leavers/run.json"] == b"1"
    assert tree.files["models/leavers/spec.yaml"] == b"2"
    tree.add(Kind.HOLD, stage="production", to=None, reason="late", by="Bob", at="2026-11-24", **{"from": "run-1"})
    assert [hold.reason for hold in state_of(tree, "leavers").holds] == ["late"], "a hold follows the model"
    assert not tree.churn.holds
    tree.add(Kind.RUN, trailers=(("Category", "new"),))
    assert (tree.churn.renamed, tree.churn.retired) == (None, False)
    before = state_of(tree, "leavers")
    for name, was in (("leavers", "churn"), ("leavers", "nobody"), ("leavers", "leavers"), ("third", "../churn")):
        tree.add(Kind.RENAME, name, was=was, at="2026-11-24")
    assert state_of(tree, "leavers").versions == before.versions
    assert state_of(tree, "leavers").was == before.was, "a model with versions takes no other's place"


_NAMES = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(st.tuples(st.sampled_from(["run", "new", "register", "rename", "retire"]), _NAMES, _NAMES), max_size=25)
)
def test_every_sequence_of_renames_keeps_each_version_with_one_model(steps: list[tuple[str, str, str]]) -> None:
    tree, runs = Tree(), 0
    registered = 0
    for what, name, other in steps:
        before = state_of(tree, name)
        if what == "register":
            runs += 1
            tree.add(Kind.REGISTER, name, version=next_version(before), run=f"run-{runs}", artifact=None, at="")
            registered += 1
        elif what == "rename":
            tree.add(Kind.RENAME, name, was=other, at="")
        elif what == "retire":
            tree.add(Kind.RETIRE, name)
        else:
            tree.add(Kind.RUN, name, trailers=(("Category", "new"),) if what == "new" else ())
    held = [item.run for name in "abc" for item in state_of(tree, name).versions.values()]
    assert sorted(held) == sorted(f"run-{number + 1}" for number in range(registered))
    for name in "abc":
        state = state_of(tree, name)
        assert decode_stages(name, encode_stages(state)) == state
        assert not (state.renamed and state.stages)


_RUNS = st.sampled_from([None, "run-1", "run-2", "run-3"])
_RECORDS = st.lists(
    st.tuples(
        st.sampled_from([Kind.RUN, Kind.METADATA, Kind.REGISTER, Kind.REGISTER, Kind.PROMOTION, Kind.RETIRE]),
        st.fixed_dictionaries(
            {
                "version": st.sampled_from([None, "v1", "v2", "v3", "v10", "x"]),
                "run": _RUNS,
                "replaces": _RUNS,
                "stage": st.sampled_from([None, "production", "shadow"]),
            }
        ),
    ),
    max_size=30,
)


@given(_RECORDS)
def test_every_sequence_of_records_folds_to_a_sound_state(records: list[tuple[Kind, dict[str, Any]]]) -> None:
    tree, again = Tree(), Tree()
    for kind, effect in records:
        tree.add(kind, **effect)
        again.add(kind, **effect)
    state = tree.churn
    assert tree.files == again.files
    assert state.records == len(records)
    assert list(state.versions) == [f"v{number}" for number in range(1, len(state.versions) + 1)]
    assert len({item.run for item in state.versions.values()}) == len(state.versions)
    assert all(state.versions[pointer.version].run == pointer.run for pointer in state.stages.values())
    assert not (state.retired and state.stages)
    assert decode_stages("churn", encode_stages(state)) == state


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_as_values(data: bytes) -> None:
    for file in ("stages", "run"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the parser says
            decode_model("churn", data if file == "stages" else None, data if file == "run" else None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


_PARTS = st.sampled_from(["records", "retired", "stages", "versions", "run", "record", "artifact", "v1", "at"])
_ODD = st.sampled_from(["x", None, 7, [], {}, float("inf"), True])


@given(_RECORDS, _PARTS, _ODD | _JSON)
def test_json_with_a_wrong_value_is_read_or_refused_as_values(
    records: list[tuple[Kind, dict[str, Any]]], name: str, odd: Any
) -> None:
    tree = Tree()
    for kind, effect in records:
        tree.add(kind, **effect)
    value = json.loads(encode_stages(tree.churn))
    for part in (value, value["versions"], *value["versions"].values(), *value["stages"].values()):
        if name in part:
            part[name] = odd
    try:
        state = decode_stages("churn", json.dumps(value).encode())
    except ValueError:
        return
    assert decode_stages("churn", encode_stages(state)) == state


def test_versions_with_a_gap_are_refused() -> None:
    tree = Tree()
    a_version(tree, 1, "run-1")
    data = tree.files["models/churn/stages.json"].replace(b'"v1"', b'"v2"')
    with pytest.raises(ValueError, match="not as custody writes"):
        decode_stages("churn", data)


def test_what_another_format_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="format 2"):
        decode_stages("churn", b'{"format": 2}')
    with pytest.raises(ValueError, match="nested"):
        json_object(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_steps_are_decoded_when_asked_for() -> None:
    step = StepRecord(
        "train", StepStatus.DONE, "k" * 64, {"seed": 1}, {}, StepOutput(Ref("model", "a" * 64, "a" * 64)), seconds=1.5
    )
    run = Run("run-1", "churn", RunStatus.PASSED, None, {}, {"train": step}, {"owner": "x"})
    data = json.dumps(run.to_dict()).encode()
    state = decode_model("churn", None, data)
    assert state.run == run
    assert state.run is not None
    assert state.run.to_dict() == run.to_dict()
    broken = json.loads(data)
    broken["steps"]["train"].pop("key")
    read = decode_model("churn", None, json.dumps(broken).encode()).run
    assert read is not None
    assert list(read.steps) == ["train"]
    with pytest.raises(LedgerError, match="train"):
        read.steps["train"]
