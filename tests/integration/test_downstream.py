"""A model that reads another one: planned after it, done after it, left alone where nothing changed or it failed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.repository import Repository

READER = {
    "models/limit/model.yaml": "owner: risk\npurpose: scoring\ntask: regression\ntarget: debt\n"
    "stages: {production: auto}\n",
    "models/limit/data.yaml": "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income, job]\n"
    "inputs: {risk_score: model:risk@production}\n",
    "models/limit/pipeline.yaml": "train: {uses: sklearn.Ridge}\nseed: 1\n",
    "models/limit/gates.yaml": "metrics:\n  rmse: {max: 100000}\n",
    "models/risk/data.yaml": "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income, debt, job]\n",
}

WAITS = """\
import time

def fit(ctx):
    with open({gate!r}, "w") as gate:
        gate.write("here")
    while True:
        time.sleep(60)
"""
GOES_ON = "from sklearn.linear_model import {0}\n\ndef fit(ctx):\n    return {0}()\n"
ESTIMATORS = {"risk": "LogisticRegression", "limit": "Ridge"}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two models, of which one reads the other, made by one apply."""
    made = Repository.create(tmp_path_factory.mktemp("applied"), READER)
    made.git("rm", "-rq", "models/debt")
    made.commit("Leave two")
    first = made.plan()
    assert (first["limit"]["category"], first["limit"]["waits"]) == ("new", ["risk"])
    done = made.apply()
    assert done.code == 0, done.out + done.err
    return made


def test_what_was_read_is_recorded_and_traced(settled: Repository) -> None:
    risk, run = settled.run_json("risk"), settled.run_json("limit")
    read = run["data"]["inputs"]["risk_score"]
    assert (read["version"], read["run"], read["artifact"]) == ("v1", risk["run"], risk["artifact"])
    for step in ("prepare", "train", "evaluate"):
        assert run["steps"][step]["inputs"]["inputs"] == {"risk_score": risk["artifact"]}
    assert "risk_score" in run["steps"]["train"]["inputs"]["features"]
    assert f"risk@production: v1, run {risk['run']}" in settled.custody("trace", "limit").out
    assert settled.plan() == {}
    assert "Nothing to do" in settled.apply().out


def test_a_reader_is_not_predicted_with_by_itself(settled: Repository) -> None:
    done = settled.here("predict", "limit", "--data", "data/loans.csv", "--out", "o.csv")
    assert (done.code, "limit reads the scores of other models" in done.err) == (1, True), done.err


def test_a_new_upstream_makes_the_reader_anew_in_the_same_apply(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    planned = settled.plan()
    assert planned["risk"]["notes"] == ["read by limit"]
    assert planned["limit"]["category"] == "maybe"
    assert planned["limit"]["reasons"][0]["place"] == "models/limit/data.yaml:4:22"
    done = settled.apply("--json")
    assert done.code == 0, done.err
    assert settled.run_json("limit")["data"]["inputs"]["risk_score"]["version"] == "v2"
    assert settled.run_json("limit")["reasons"][0]["code"] == "upstream.changed"
    assert settled.run_json("limit")["plan"] == done.json["plan_id"]
    assert settled.ran("limit") == ["prepare", "train", "evaluate"]
    assert settled.plan() == {}


def test_the_same_artifact_makes_nothing_anew(settled: Repository) -> None:
    before = settled.run_json("limit")["run"]
    done = settled.apply("--replace", "risk:train", "--reason", "again")
    assert done.code == 0, done.err
    assert "what it reads came out the same" in done.out
    assert settled.run_json("limit")["run"] == before
    assert settled.plan() == {}


def test_a_reader_is_skipped_where_what_it_reads_does_not_pass(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 1")
    settled.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    before = settled.run_json("limit")["run"]
    done = settled.apply()
    assert done.code == 4
    assert "skipped: risk did not pass its gates" in done.out
    assert settled.run_json("limit")["run"] == before
    assert [*settled.plan()] == ["risk"]


def test_a_choice_is_closed_over_what_is_read(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    taken = settled.custody("plan", "limit", "--json").json["changes"]
    assert {change["model"] for change in taken} == {"risk", "limit"}
    left = settled.custody("plan", "--exclude", "risk", "--json").json
    assert (left["changes"], left["left_out"]) == ([], {"risk": "retrain"})


def test_a_cycle_is_an_error_with_its_path(settled: Repository) -> None:
    settled.write(
        "models/risk/data.yaml",
        "dataset: loans@v1\nsplit: {by: day, test: 0.25}\ninputs: {limit_score: model:limit@production}\n",
    )
    done = settled.custody("check")
    assert done.code == 1
    assert "limit reads itself: limit → risk → limit" in done.err + done.out


@pytest.mark.slow
def test_waves_run_as_flows_of_prefect(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    done = settled.apply(engine="prefect")
    assert done.code == 0, done.err
    risk, limit = settled.run_json("risk"), settled.run_json("limit")
    assert limit["data"]["inputs"]["risk_score"]["run"] == risk["run"]
    assert settled.ran("limit") == ["prepare", "train", "evaluate"]
    assert settled.plan() == {}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "prefect"])
@pytest.mark.parametrize("model", ["risk", "limit"])
def test_an_interrupt_in_any_wave_keeps_the_waves_before(
    settled: Repository, tmp_path: Path, engine: str, model: str
) -> None:
    before = {name: settled.run_json(name)["run"] for name in ("risk", "limit")}
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    settled.edit("models/risk/data.yaml", "features: [income, debt, job]", "features: [income, job]")
    settled.write(f"models/{model}/steps.py", WAITS.format(gate=str(gate)))
    settled.write(f"models/{model}/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    settled.commit("Train by own code")
    process = settled.start("apply", "--engine", engine)
    with gate.open() as reader:
        assert reader.read() == "here"
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    run = settled.run_json(model)
    assert (run["status"], run["failure"]["step"]) == ("interrupted", "train")
    risk = settled.run_json("risk")
    if model == "risk":
        assert settled.run_json("limit")["run"] == before["limit"]
    else:
        assert risk["status"] == "passed"
        assert run["data"]["inputs"]["risk_score"]["run"] == risk["run"] != before["risk"]
    settled.write(f"models/{model}/steps.py", GOES_ON.format(ESTIMATORS[model]))
    settled.commit("Go on")
    done = settled.apply(engine=engine)
    assert done.code == 0, done.out + done.err
    assert (settled.run_json("risk")["run"] == risk["run"]) == (model == "limit")
    assert settled.run_json("limit")["data"]["inputs"]["risk_score"]["run"] == settled.run_json("risk")["run"]
    assert settled.plan() == {}
