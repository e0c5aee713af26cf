"""Profiles, and steps of `prepare`, on a real repository: an edit is a reason, with its place, where it changes."""

from __future__ import annotations

from pathlib import Path

from tests.integration.repository import Repository

PROFILE = ".mlops/profiles/trees/pipeline.yaml"
FILES = {
    ".mlops/profiles/trees/model.yaml": "owner: risk\npurpose: scoring\ntask: classification\n",
    PROFILE: "train:\n  uses: sklearn.DecisionTreeClassifier\n  with: {max_depth: 3, min_samples_leaf: 2}\nseed: 1\n",
    ".mlops/profiles/trees/gates.yaml": "metrics:\n  accuracy: {min: 0.5}\n",
    "models/risk/model.yaml": "profile: trees\ntarget: defaulted\nstages: {production: auto}\n",
    "models/risk/pipeline.yaml": "train: {with: {min_samples_leaf: 4}}\n",
    "models/jobs/model.yaml": "profile: trees\ntarget: defaulted\n",
    "models/jobs/pipeline.yaml": "prepare:\n  columns:\n    number: [sklearn.SimpleImputer, sklearn.StandardScaler]\n"
    "    category: {uses: sklearn.OneHotEncoder, with: {handle_unknown: ignore}}\n",
    "models/jobs/data.yaml": "dataset: loans@v1\nsplit: {group: job, test: 0.3, seed: 3}\n",
}


def test_an_edit_of_a_profile_is_a_reason_in_every_model_that_it_changes(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path, FILES)
    assert repository.apply().code == 0
    groups = repository.run_json("jobs")["steps"]["split"]["output"]["facts"]["groups"]
    assert sum(groups.values()) == 3
    assert "min_samples_leaf: 4" in repository.git("show", "mlops/ledger:models/risk/spec.yaml")

    repository.edit(PROFILE, "max_depth: 3", "max_depth: 5")
    changes = repository.plan()
    assert sorted(changes) == ["jobs", "risk"]
    for change in changes.values():
        assert change["category"] == "retrain"
        assert [reason["place"] for reason in change["reasons"]] == [f"{PROFILE}:3:21"]
    assert f"2 models for {PROFILE}:3:21" in repository.custody("plan").out
    assert f"2 models for {PROFILE}:3:21" in repository.custody("plan", "--base", "HEAD~1").out

    repository.edit(PROFILE, "min_samples_leaf: 2", "min_samples_leaf: 2  # as before\n  ")
    repository.edit(PROFILE, "max_depth: 5", "max_depth: 3")
    assert repository.plan() == {}

    spelled = "category: [{with: {handle_unknown: ignore}, uses: sklearn.OneHotEncoder}]  # the same"
    repository.write("models/jobs/pipeline.yaml", FILES["models/jobs/pipeline.yaml"].splitlines(keepends=True)[0])
    repository.edit(
        "models/jobs/pipeline.yaml",
        "prepare:\n",
        f"prepare:\n- columns:\n    number: [sklearn.SimpleImputer, sklearn.StandardScaler]\n    {spelled}\n",
    )
    assert repository.plan() == {}
    repository.edit("models/jobs/pipeline.yaml", "ignore}", "infrequent_if_exist}")
    change = repository.plan()["jobs"]
    assert (change["category"], change["reasons"][0]["place"]) == ("rebuild", "models/jobs/pipeline.yaml:4:40")
    assert change["reasons"][0]["subject"] == "prepare.0.columns.category.0.with.handle_unknown"

    repository.edit("models/risk/pipeline.yaml", "min_samples_leaf: 4", "min_samples_leaf: null")
    change = repository.plan()["risk"]
    assert [(item["before"], item["after"]) for item in change["reasons"]] == [(4, None)]
    assert change["reasons"][0]["place"] == "models/risk/pipeline.yaml:1:34"

    repository.write(PROFILE, FILES[PROFILE].replace("max_depth: 3", "max_depth: 9"))
    assert repository.custody("plan", "--json").json["dirty"] == [PROFILE]
    refused = repository.apply("jobs")
    assert refused.code == 1
    assert PROFILE in refused.err
