"""One edit each: what runs, what is recorded, and what is left alone, on a real repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.repository import Repository, loans


def test_the_first_apply_records_data_runs_versions_and_promotions(applied: Repository) -> None:
    subjects = applied.subjects()[1:]
    assert subjects[0] == "data loans@v1: 400 rows, 7 columns"
    kinds = sorted(subject.split(":")[0] for subject in subjects[1:])
    assert kinds == ["promote debt", "promote risk", "register debt v1", "register risk v1", "train debt", "train risk"]
    run = applied.run_json("risk")
    assert run["status"] == "passed"
    assert run["steps"]["train"]["status"] == "done"
    assert run["environment"]["threads"]
    assert "email" not in str(run["steps"]["prepare"]["inputs"]["features"])
    assert not re.search(r"p\d+@example", applied.git("log", "-p", "mlops/ledger"))


def test_a_second_apply_does_nothing_and_starts_nothing(settled: Repository) -> None:
    before = settled.head()
    done = settled.apply(engine="prefect")
    assert (done.code, settled.head()) == (0, before)
    assert "Nothing to do" in done.out
    assert settled.plan() == {}
    assert not (settled.root / ".mlops/state/prefect").exists()


def test_a_parameter_retrains_that_model_alone(settled: Repository) -> None:
    before = settled.head()
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    change = settled.plan()["risk"]
    assert change["category"] == "retrain"
    assert change["reasons"][0]["place"] == "models/risk/pipeline.yaml:3:21"
    assert settled.apply().code == 0
    assert settled.ran("risk") == ["train", "evaluate"]
    assert [subject.split(":")[0] for subject in settled.subjects(before)] == [
        "train risk",
        "register risk v2",
        "promote risk",
    ]
    assert settled.plan() == {}


def test_a_limit_judges_the_stored_evaluation_again(settled: Repository) -> None:
    before = settled.head()
    settled.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.56")
    assert settled.plan()["risk"]["category"] == "re-gate"
    assert settled.apply(engine="prefect").code == 0
    assert [subject.split(":")[0] for subject in settled.subjects(before)] == ["judge risk"]
    assert settled.run_json("risk")["limits"]["metrics"]["roc_auc"]["min"] == 0.56
    assert settled.plan() == {}


def test_a_slice_less_is_judged_and_not_scored(settled: Repository) -> None:
    before = settled.head()
    settled.edit("models/risk/gates.yaml", "slices:\n  gender: {metric: accuracy, min_ratio: 0.5}\n", "")
    assert settled.plan()["risk"]["category"] == "re-gate"
    assert settled.apply().code == 0
    assert [subject.split(":")[0] for subject in settled.subjects(before)] == ["judge risk"]
    assert settled.plan() == {}
    assert settled.here("verify").code == 0


def test_a_limit_that_fails_refuses_and_leaves_production(settled: Repository) -> None:
    settled.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    done = settled.apply()
    assert done.code == 4
    assert "promote" not in settled.git("log", "-1", "--format=%s", "mlops/ledger")
    assert settled.custody("status", "risk").code == 0
    assert settled.plan()["risk"]["category"] == "held"
    before = settled.head()
    assert "Nothing to do" in settled.apply().out
    assert settled.head() == before


def test_comments_key_order_and_spacing_change_nothing(settled: Repository) -> None:
    before = settled.head()
    settled.write(
        "models/risk/pipeline.yaml",
        "seed:   1   # the same\ntrain:\n  with:\n    max_depth: 0x3\n  uses: sklearn.DecisionTreeClassifier\n",
    )
    settled.commit("Reformat")
    assert settled.plan() == {}
    assert settled.apply().code == 0
    assert settled.head() == before


def test_own_code_retrains_unless_only_its_form_changed(settled: Repository) -> None:
    code = "from sklearn.linear_model import Ridge\n\n\ndef fit(ctx, *, alpha=1.0):\n    return Ridge(alpha=alpha)\n"
    settled.write("models/debt/steps.py", code)
    settled.write("models/debt/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    settled.commit("Train by own code")
    assert settled.apply().code == 0
    settled.edit(
        "models/debt/steps.py", "def fit(ctx, *, alpha=1.0):", "# plain\ndef fit(\n    ctx, *, alpha = 1.0\n):"
    )
    assert settled.plan() == {}
    settled.edit("models/debt/steps.py", "alpha=alpha", "alpha=alpha / 2")
    assert settled.plan()["debt"]["reasons"][0]["code"] == "code.changed"


def test_an_owner_is_a_record_and_no_step(settled: Repository) -> None:
    before = settled.head()
    settled.edit("models/risk/model.yaml", "owner: risk", "owner: collections")
    assert settled.plan()["risk"]["category"] == "metadata"
    assert settled.apply().code == 0
    assert settled.subjects(before) == ["describe risk: owner risk → collections"]
    assert settled.run_json("risk")["metadata"]["owner"] == "collections"
    assert settled.plan() == {}


def test_a_new_data_version_rebuilds(settled: Repository) -> None:
    settled.write("data/loans.csv", loans(440))
    assert settled.custody("data", "add", "loans", "--from-source").code == 0
    settled.edit("models/debt/data.yaml", "loans@v1", "loans@v2")
    change = settled.plan()["debt"]
    assert (change["category"], change["reasons"][0]["code"]) == ("rebuild", "data.changed")
    before = settled.head()
    assert settled.apply().code == 0
    assert settled.subjects(before)[0] == "data loans@v2: 440 rows, 7 columns"
    assert settled.ran("debt") == ["fetch", "validate", "split", "prepare", "train", "evaluate"]


def test_a_reverted_spec_takes_production_back_without_training(settled: Repository) -> None:
    first = settled.run_json("risk")["run"]
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 5")
    assert settled.apply().code == 0
    settled.edit("models/risk/pipeline.yaml", "max_depth: 5", "max_depth: 3")
    assert settled.plan()["risk"]["category"] == "roll back"
    before = settled.head()
    assert settled.apply().code == 0
    assert settled.subjects(before) == ["roll back risk: production → v1 (was v2)"]
    stages = settled.git("show", "mlops/ledger:models/risk/stages.json")
    assert f'"run": "{first}"' in stages.split('"versions"')[0]
    assert settled.plan() == {}


def test_a_removed_model_is_retired_and_its_record_stays(settled: Repository) -> None:
    settled.git("rm", "-rq", "models/debt")
    settled.commit("Retire debt")
    assert settled.plan()["debt"]["category"] == "retire"
    assert settled.apply().code == 0
    assert settled.git("log", "-1", "--format=%s", "mlops/ledger").startswith("retire debt")
    assert settled.run_json("debt")["status"] == "passed"
    assert settled.plan() == {}


def test_a_purpose_that_is_not_allowed_is_refused_and_recorded_once(settled: Repository) -> None:
    settled.edit("models/debt/model.yaml", "purpose: scoring", "purpose: marketing")
    done = settled.apply()
    assert done.code == 4
    subject = settled.git("log", "-1", "--format=%s", "mlops/ledger")
    assert subject.startswith("refuse debt: purpose marketing is not allowed")
    before = settled.head()
    assert settled.apply().code == 4
    assert settled.head() == before
    settled.edit("models/debt/model.yaml", "purpose: marketing", "purpose: scoring")
    assert settled.apply().code == 0
    assert settled.plan() == {}


def test_stages_that_are_no_longer_declared_are_cleared(settled: Repository) -> None:
    before = settled.head()
    settled.edit("models/risk/model.yaml", "stages: {production: auto}\n", "stages: {}\n")
    change = settled.plan()["risk"]
    assert (change["category"], change["reasons"][0]["place"]) == ("roll back", "models/risk/model.yaml:5:9")
    assert settled.apply().code == 0
    assert [subject.split(":")[0] for subject in settled.subjects(before)] == ["roll back risk"]
    assert settled.plan() == {}
    settled.edit("models/risk/model.yaml", "stages: {}\n", "stages: {production: auto}\n")
    assert settled.plan()["risk"]["category"] == "promote"


def test_an_edited_version_is_refused(settled: Repository) -> None:
    manifest = settled.root / "datasets/loans/versions/v1.yaml"
    logical = next(
        line.split()[-1].strip('"') for line in manifest.read_text().splitlines() if line.startswith("logical")
    )
    settled.edit("datasets/loans/versions/v1.yaml", logical, "ab" * 32)
    done = settled.custody("plan")
    assert "edited" in done.out
    assert settled.apply().code == 4


@pytest.mark.parametrize(
    ("pattern", "edit", "line"), [("rows: 400", "rows: 401", 5), ('sha256: "..', 'sha256: "00', 8)]
)
def test_an_edit_of_anything_in_a_recorded_version_is_refused(
    settled: Repository, pattern: str, edit: str, line: int
) -> None:
    path = "datasets/loans/versions/v1.yaml"
    settled.write(path, re.sub(pattern, edit, (settled.root / path).read_text()))
    checked = settled.custody("check")
    assert checked.code == 1
    assert f"{path}:{line}:" in checked.err
    planned = settled.custody("plan", "--json")
    assert planned.code == 4
    reasons = [reason for change in planned.json["changes"] for reason in change["reasons"]]
    assert {(reason["code"], reason["place"].split(":")[1]) for reason in reasons} == {("version.edited", str(line))}
    settled.commit("Edit a version")
    assert settled.apply().code == 4
    settled.git("checkout", "-q", "HEAD~1", "--", path)
    assert settled.custody("check").code == 0


def test_an_uncommitted_edit_is_planned_and_not_applied(settled: Repository) -> None:
    settled.write(
        "models/risk/pipeline.yaml", "train: {uses: sklearn.DecisionTreeClassifier, with: {max_depth: 7}}\nseed: 1\n"
    )
    assert settled.plan()["risk"]["category"] == "retrain"
    done = settled.apply()
    assert done.code == 1
    assert "git add models/risk/pipeline.yaml" in done.err


def test_an_expected_plan_that_differs_is_refused(settled: Repository) -> None:
    settled.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    before = settled.head()
    done = settled.apply("--expect", "0123456")
    assert (done.code, settled.head()) == (5, before)


def test_a_fresh_clone_makes_the_data_again_and_the_same_artifacts(applied: Repository, tmp_path: Path) -> None:
    clone = Repository(tmp_path / "another name", tmp_path / "home")
    clone.home.mkdir()
    applied.git("clone", "-q", "--single-branch", str(applied.root), str(clone.root))
    done = clone.apply()
    assert done.code == 0, done.err
    clone.git("config", "user.name", "Bob")
    clone.git("config", "user.email", "bob@example.org")
    for model in ("risk", "debt"):
        assert clone.run_json(model)["artifact"] == applied.run_json(model)["artifact"]
    clone.write("data/loans.csv", loans(400, seed=2))
    clone.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 6")
    for item in (clone.root / ".mlops/store").rglob("*"):
        if item.is_file():
            item.unlink()
    done = clone.apply()
    assert done.code == 1
    assert "loans@v1" in clone.git("log", "-1", "--format=%B", "mlops/ledger")
