"""`custody try` with many combinations: what is shared, recorded, reused, and left by an interrupt."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clones import copied
from tests.integration.repository import Repository

TRIALS = "refs/custody/local/trials"
STEPS = """\
import time

PARAMS = {"properties": {"depth": {"type": "integer"}, "gate": {}, "sleep": {}}}


def fit(ctx, depth=3, gate=None, sleep=0):
    from sklearn.tree import DecisionTreeClassifier

    if depth == 7:
        raise ValueError("seven is too deep")
    if gate:
        with open(gate, "w") as file:
            file.write("here")
        time.sleep(sleep)
    return DecisionTreeClassifier(max_depth=depth)
"""


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    return copied(applied, tmp_path)


def swept(project: Repository, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = project.custody("try", "risk", "--json", *arguments)
    assert done.code == code, done.err or done.out
    found: dict[str, Any] = done.json
    return found


def endings(found: dict[str, Any]) -> dict[tuple[str, ...], str]:
    return {tuple(item["settings"]): item["ending"] for item in found["combinations"]}


def records(project: Repository) -> list[str]:
    return project.git(
        "log", "--format=%(trailers:key=Set,valueonly,separator=%x2C)", "--grep=^Kind: run", TRIALS
    ).split()


def test_a_grid_is_tried_once_and_sorted_by_the_first_gate(project: Repository) -> None:
    grid = ("--set", "train.max_depth=2,4", "--set", "prepare.scale=true,false")
    found = swept(project, *grid)
    values = [item["result"]["metrics"]["roc_auc"] for item in found["combinations"]]
    assert values == sorted(values, reverse=True)
    assert found["metric"] == "roc_auc"
    assert found["varies"] == ["train.max_depth", "prepare.scale"]
    assert found["best"] == found["combinations"][0]["settings"]
    expected = {f"train.max_depth={depth},prepare.scale={scale}" for depth in (2, 4) for scale in ("true", "false")}
    assert set(records(project)) == expected
    ran = sorted(step for item in found["combinations"] for step in item["result"]["ran"])
    assert ran.count("train") == 4
    assert ran.count("prepare") <= 2, "what combinations have in common is done once"
    again = swept(project, *grid)
    assert [item["result"]["recorded"] for item in again["combinations"]] == [False] * 4
    assert len(records(project)) == 4
    listed = project.here("runs", "risk", "--trials", "--where", "prepare.scale = false", "--json").json["runs"]
    assert sorted(run["params"]["train.max_depth"] for run in listed) == [2, 4]


def test_the_best_is_named_with_the_command_that_keeps_it(project: Repository) -> None:
    done = project.custody("try", "risk", "--set", "train.max_depth=1,3", "--set", "seed=1")
    assert done.code == 0, done.err
    assert "run " in done.out, "what production has needs no trial"
    assert "Keep it:  custody try risk --set train.max_depth=3 --set seed=1 --write" in done.out
    kept = project.custody("try", "risk", "--set", "train.max_depth=1", "--write")
    assert kept.code == 0, kept.err
    assert "git checkout -- models/risk/pipeline.yaml" in kept.err
    assert "max_depth: 1" in (project.root / "models/risk/pipeline.yaml").read_text()
    assert set(project.plan()) == {"risk"}


def test_a_combination_that_fails_stops_no_other(project: Repository) -> None:
    project.write("models/risk/steps.py", STEPS)
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    found = swept(project, "--set", "train.depth=7,2,4", "--jobs", "1", code=7)
    how = endings(found)
    assert how["train.depth=7",] == "failed"
    assert sorted(how.values()) == ["done", "done", "failed"]
    assert found["combinations"][-1]["result"]["failure"]["error"].endswith("seven is too deep")
    assert len(records(project)) == 3


def test_a_sample_is_the_same_again(project: Repository) -> None:
    space = ("--set", "train.max_depth=2..9", "--set", "train.ccp_alpha=log:1e-4..1e-1", "--sample", "2", "--seed", "5")
    first = swept(project, *space)
    assert len(first["combinations"]) == 2
    again = swept(project, *space)
    assert endings(again).keys() == endings(first).keys()
    assert not any(item["result"]["recorded"] for item in again["combinations"])


def test_an_interrupt_keeps_what_had_ended_and_records_nothing_of_the_rest(project: Repository, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    project.write("models/risk/steps.py", STEPS)
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit", with: {sleep: 600}}\nseed: 1\n')
    settings = ("--set", f"train.gate=null,{gate},0", "--set", "train.depth=2,3", "--jobs", "1", "--json")
    process = project.start("try", "risk", *settings)
    with gate.open() as reader:
        assert reader.read() == "here"
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    how = sorted(endings(json.loads(out)).values())
    assert how == ["done", "done", "interrupted", "not begun", "not begun", "not begun"]
    assert len(records(project)) == 3
    assert not list((project.root / ".git/custody/intents").iterdir())


def test_a_search_goes_on_from_what_is_recorded(project: Repository) -> None:
    pytest.importorskip("optuna")
    space = ("--set", "train.max_depth=2..9", "--set", "train.ccp_alpha=0.0..0.1", "--sampler", "tpe", "--sample", "5")
    first = swept(project, *space)
    assert (len(first["combinations"]), first["sampler"]) == (5, "tpe")
    assert len(records(project)) == 5
    again = swept(project, *space, "--seed", "0")
    assert len(records(project)) == 10
    assert not endings(first).keys() & endings(again).keys()
    other = copied(project, project.root.parent / "other")
    other.git("update-ref", "-d", TRIALS)
    assert endings(swept(other, *space)).keys() == endings(first).keys(), "the same draws from the same record"
    wrong = project.here("try", "risk", "--set", "train.max_depth=0..9", "--sampler", "tpe", "--sample", "2")
    assert wrong.code == 1
    assert len(records(project)) == 10


def test_a_sampler_that_is_not_installed_names_the_extra(applied: Repository) -> None:
    if importlib.util.find_spec("optuna"):
        pytest.skip("it is installed")
    done = applied.here("try", "risk", "--set", "train.max_depth=2..9", "--sampler", "tpe", "--sample", "2")
    assert done.code == 64
    assert "pip install 'git-custody[tune]'" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--set", "train.max_depth=2,x"), 1, "expected an integer"),
        (("--set", "train.max_dept=2,3"), 1, 'did you mean "max_depth"'),
        (("--set", "train.max_depth=2,3", "--commit"), 64, "one combination"),
        (("--set", "train.max_depth=2,3", "--write"), 64, "one combination"),
        (("--set", "train.ccp_alpha=0.1..0.2"), 64, "--sample 20"),
        (("--set", "train.max_depth=1..600"), 64, "at most 500"),
        (("--set", "train.max_depth=1,2", "--sample", "0"), 64, "--sample"),
        (("--set", "train.max_depth=2..9", "--sampler", "tpe"), 64, "--sample 20 --sampler tpe"),
        (("--write",), 64, "--write needs"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_runs(
    applied: Repository, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = applied.here("try", "risk", *arguments)
    assert done.code == code
    assert said in done.err
    assert applied.git("for-each-ref", TRIALS) == ""
