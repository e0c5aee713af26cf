"""What a person chooses of a plan, what is held, and what an environment changes, on a real repository."""

from __future__ import annotations

import pytest

from tests.integration.repository import Repository

LOCK = "numpy==1.0\nscikit-learn==1.0\npytest==1.0\n"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose two models are trained, recorded and in production, with a lock file."""
    made = Repository.create(tmp_path_factory.mktemp("applied"), {"requirements.lock": LOCK})
    with (made.root / ".mlops/config.yaml").open("a", encoding="utf-8") as config:
        config.write("lock: requirements.lock\n")
    made.commit("Name the lock file")
    done = made.apply()
    assert done.code == 0, done.err
    return made


def test_what_is_left_out_is_said(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    settled.edit("models/debt/model.yaml", "owner: risk", "owner: collections")
    planned = settled.custody("plan", "--exclude", "risk")
    assert "Left out by choice: risk (retrain)." in planned.out
    assert settled.custody("plan", "--target", "debt", "--json").json["left_out"] == {"risk": "retrain"}
    done = settled.apply("--exclude", "risk")
    assert done.code == 0, done.err
    assert [*settled.plan()] == ["risk"]
    change = settled.plan()["risk"]
    assert change["estimate"]["n"] == 1
    assert [*change["estimate"]["steps"]] == ["train", "evaluate"]
    again = settled.apply("--exclude", "risk")
    assert "Nothing to do" in again.out
    assert "Left out by choice: risk (retrain)." in again.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--exclude", "rsk"], "no model 'rsk'"),
        (["--replace", "risk"], "names no step"),
        (["--replace", "risk:fit", "--reason", "x"], "no step 'fit'"),
        (["--replace", "risk:train"], "needs a reason"),
        (["--reason", "x"], "--reason is for --replace"),
        (["--exclude", "risk", "--replace", "risk:train", "--reason", "x"], "it is left out"),
    ],
)
def test_a_choice_that_makes_no_sense_says_why(settled: Repository, options: list[str], said: str) -> None:
    done = settled.custody("plan", *options)
    assert done.code == 64
    assert said in done.err


def test_a_replaced_step_runs_again_with_its_reason_and_then_there_is_nothing_to_do(settled: Repository) -> None:
    before, artifact = settled.head(), settled.run_json("risk")["artifact"]
    options = ("--replace", "risk:train", "--reason", "new driver")
    assert "step train is run again (new driver)" in settled.custody("plan", *options).out
    done = settled.apply(*options)
    assert done.code == 0, done.err
    assert settled.ran("risk") == ["train"]
    assert settled.run_json("risk")["artifact"] == artifact
    assert settled.run_json("risk")["reasons"][0]["code"] == "forced"
    assert settled.subjects(before)[0].startswith("train risk")
    assert "Why: forced train (new driver)" in settled.git("log", "--format=%b", f"{before}..mlops/ledger")
    assert settled.plan() == {}


def test_a_failing_gate_is_held_through_unrelated_merges(settled: Repository) -> None:
    settled.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    assert settled.apply().code == 4
    before = settled.head()
    for number in range(10):
        settled.write(f"docs/{number}.md", "unrelated\n")
        settled.commit(f"Unrelated {number}")
        if number in {0, 9}:
            done = settled.apply()
            assert (done.code, settled.head()) == (0, before)
            assert "held" in done.out
            assert "roc_auc.min not passed" in done.out


def test_a_disk_that_fills_up_holds_no_model(settled: Repository) -> None:
    settled.write("models/debt/steps.py", "def fit(ctx):\n    raise OSError(28, 'No space left on device', 'model')\n")
    settled.write("models/debt/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\nattempts: 1\n')
    settled.commit("Train by own code")
    assert settled.apply().code == 1
    assert settled.run_json("debt")["status"] == "failed"
    assert settled.plan()["debt"]["category"] != "held"


def test_a_step_that_keeps_failing_is_held_until_something_changes(settled: Repository) -> None:
    settled.write("models/debt/steps.py", "def fit(ctx):\n    raise ValueError('no')\n")
    settled.write("models/debt/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\nattempts: 2\n')
    settled.commit("Train by own code")
    assert [settled.apply().code for _ in range(2)] == [1, 1]
    before = settled.head()
    done = settled.apply()
    assert (done.code, settled.head()) == (0, before)
    assert "train failed 2 times, the most is 2" in done.out
    assert 'custody apply --replace debt:train --reason "…"' in done.out
    settled.edit("models/debt/steps.py", "    raise ValueError('no')", "    # still\n    raise ValueError('no')")
    assert settled.plan()["debt"]["category"] == "held"
    settled.edit("models/debt/steps.py", "ValueError('no')", "ValueError('yes')")
    change = settled.plan()["debt"]
    assert change["category"] != "held"
    reason = next(item for item in change["reasons"] if item["code"] == "code.changed")
    assert (reason["place"], reason["details"]) == ("models/debt/steps.py:3:22", ["models/debt/steps.py"])


def test_another_lock_file_is_shown_and_retrains_only_where_it_is_asked_for(settled: Repository) -> None:
    settled.edit("requirements.lock", "scikit-learn==1.0", "scikit-learn==2.0")
    planned = settled.custody("plan")
    assert "Nothing to do" in planned.out
    assert "environment differs: scikit-learn 1.0 → 2.0 (1 package since run" in planned.out
    settled.edit("models/risk/pipeline.yaml", "seed: 1", "seed: 1\nenvironment: retrain")
    assert settled.plan()["risk"]["reasons"][0]["code"] == "environment.changed"
    assert settled.apply().code == 0
    assert settled.ran("risk") == ["prepare", "train"]
    assert settled.plan() == {}
    settled.edit("models/risk/pipeline.yaml", "\nenvironment: retrain", "")
    assert settled.plan() == {}
