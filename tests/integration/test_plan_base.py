"""`custody plan --base`: this change apart from what the target owes, and one plan id before and after merges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.clones import clone, copied, deeper, hosted
from tests.integration.repository import Repository


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    """A project with a branch that edits `risk`."""
    made = copied(applied, tmp_path)
    made.git("switch", "-q", "-c", "max-depth")
    deeper(made)
    made.commit("Deeper trees")
    return made


def planned(project: Repository, *arguments: str) -> dict[str, Any]:
    done = project.custody("plan", "--json", *arguments)
    assert done.code == 0, done.err or done.out
    value: dict[str, Any] = done.json
    return value


def models(value: dict[str, Any]) -> dict[str, str]:
    return {change["model"]: change["category"] for change in value["changes"]}


def another_change(project: Repository) -> None:
    """Land a change of `debt` on main, which nobody has applied."""
    project.git("switch", "-q", "main")
    project.edit("models/debt/pipeline.yaml", "seed: 1", "seed: 2")
    project.git("switch", "-q", "max-depth")


def test_what_main_owes_is_one_line_and_no_part_of_the_change(project: Repository) -> None:
    another_change(project)
    value = planned(project, "--base", "main")
    assert models(value) == {"risk": "retrain"}
    assert [change["model"] for change in value["base"]["owes"]] == ["debt"]
    assert value["base"]["planned_as"] == "merged"
    text = project.custody("plan", "--base", "main").out
    assert "main itself still owes: 1 rebuild (debt)." in text or "main itself still owes: 1 retrain (debt)." in text
    assert "planned as merged with it" in text
    assert text.count("debt") == 1


def test_uncommitted_edits_count_and_the_index_is_left_alone(project: Repository) -> None:
    index = (project.root / ".git" / "index").read_bytes()
    text = project.root / "models/risk/pipeline.yaml"
    text.write_text(text.read_text().replace("max_depth: 6", "max_depth: 9"))
    value = planned(project, "--base", "main")
    [change] = value["changes"]
    assert (change["reasons"][0]["before"], change["reasons"][0]["after"]) == (3, 9)
    assert value["dirty"] == ["models/risk/pipeline.yaml"]
    assert (project.root / ".git" / "index").read_bytes() == index


def test_the_id_is_the_same_after_others_merged_and_after_the_squash(project: Repository) -> None:
    before = planned(project, "--base", "main")["plan_id"]
    another_change(project)
    assert planned(project, "--base", "main")["plan_id"] == before
    project.git("switch", "-q", "main")
    assert project.apply().code == 0
    project.git("switch", "-q", "max-depth")
    assert planned(project, "--base", "main")["plan_id"] == before
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "max-depth")
    project.commit("Deeper trees (#7)")
    assert planned(project, "--base", "main~1")["plan_id"] == before
    assert planned(project)["plan_id"] == before
    assert project.apply("--expect", before[:12]).code == 0


def test_the_reviewed_plan_is_applied_after_a_rebase_merge(project: Repository) -> None:
    project.edit("models/risk/model.yaml", "owner: risk", "owner: lending")
    before = planned(project, "--base", "main")["plan_id"]
    another_change(project)
    project.git("rebase", "-q", "main")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--ff-only", "max-depth")
    done = project.apply("risk", "--expect", before)
    assert done.code == 0, done.err
    assert project.run_json("risk")["metadata"]["owner"] == "lending"


def test_the_reviewed_plan_is_applied_though_main_owes_more(project: Repository) -> None:
    before = planned(project, "--base", "main")["plan_id"]
    another_change(project)
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "max-depth")
    project.commit("Deeper trees (#7)")
    assert planned(project)["plan_id"] != before
    assert project.apply("--expect", before).code == 0


def test_a_real_change_of_inputs_is_another_plan(project: Repository) -> None:
    before = planned(project, "--base", "main")["plan_id"]
    deeper_still = project.root / "models/risk/pipeline.yaml"
    deeper_still.write_text(deeper_still.read_text().replace("max_depth: 6", "max_depth: 7"))
    project.commit("Still deeper")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "max-depth")
    project.commit("Deeper trees (#7)")
    done = project.apply("--expect", before)
    assert done.code == 5
    head = project.git("log", "-1", "--format=%h", "--abbrev=7")
    assert "param.changed train.max_depth 3 → 7, models/risk/pipeline.yaml:3 as of " + head in done.err
    assert "by Ann <ann@example.org>: Deeper trees (#7)" in done.err


def test_the_merge_that_ci_checked_out_is_planned(project: Repository) -> None:
    another_change(project)
    project.git("switch", "-q", "--detach", "main")
    project.git("merge", "-q", "--no-ff", "--no-edit", "max-depth")
    value = planned(project, "--base", "main")
    assert value["base"]["planned_as"] == "merge commit"
    assert models(value) == {"risk": "retrain"}
    assert "planned as the merge that is checked out" in project.custody("plan", "--base", "main").out


@pytest.mark.parametrize("variable", ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"])
def test_ci_names_the_base_by_itself(project: Repository, tmp_path: Path, variable: str) -> None:
    host = hosted(project, tmp_path)
    runner = clone(project, host, tmp_path / "runner", "--branch", "max-depth")
    runner.git("branch", "mlops/ledger", "origin/mlops/ledger")
    runner.environment[variable] = "main"
    value = planned(runner)
    assert value["base"]["name"] == "main"
    assert models(value) == {"risk": "retrain"}
    runner.environment[variable] = ""
    assert "base" not in planned(runner)


def test_a_runner_with_the_merge_alone_finds_its_base(project: Repository, tmp_path: Path) -> None:
    project.git("switch", "-q", "--detach", "main")
    project.git("merge", "-q", "--no-ff", "--no-edit", "max-depth")
    project.git("branch", "pull/7/merge")
    host = hosted(project, tmp_path)
    runner = clone(project, host, tmp_path / "runner", "--depth=2", "--single-branch", "--branch", "pull/7/merge")
    runner.git("fetch", "-q", "origin", "mlops/ledger:mlops/ledger")
    runner.environment["GITHUB_BASE_REF"] = "main"
    value = planned(runner)
    assert value["base"]["planned_as"] == "merge commit"
    assert models(value) == {"risk": "retrain"}


def test_a_base_that_is_not_here_says_how_to_fetch_it(project: Repository) -> None:
    done = project.custody("plan", "--base", "release")
    assert done.code == 1
    assert "git fetch origin release:refs/remotes/origin/release" in done.err


def test_a_conflict_is_said_and_the_head_planned_as_it_is(project: Repository) -> None:
    project.git("switch", "-q", "main")
    deeper(project, 5)
    project.commit("Less deep")
    project.git("switch", "-q", "max-depth")
    value = planned(project, "--base", "main")
    assert "conflicts with the base" in value["base"]["note"]
    assert value["base"]["planned_as"] == "head"


def test_what_a_change_takes_back_is_named(project: Repository) -> None:
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "max-depth")
    project.commit("Deeper trees (#7)")
    project.git("switch", "-q", "-c", "back")
    project.git("revert", "--no-edit", "HEAD")
    value = planned(project, "--base", "main")
    assert (models(value), value["base"]["taken_back"]) == ({}, ["risk"])
    assert "no longer with this change: risk" in project.custody("plan", "--base", "main").out
