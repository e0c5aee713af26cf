"""The comment on a pull request, on a real repository with a run in production and an edited branch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.repository import Repository, loans
from tests.unit.host.server import REPOSITORY, TOKEN, Host, serving


@pytest.fixture
def branch(applied: Repository) -> Iterator[Repository]:
    """The applied project on a branch of its own; whatever a test did is taken back."""
    before, ledger = applied.git("rev-parse", "HEAD"), applied.head()
    applied.git("switch", "-qc", "deeper")
    yield applied
    applied.environment.clear()
    applied.git("reset", "-q", "--hard", before)
    applied.git("switch", "-q", "main")
    applied.git("reset", "-q", "--hard", before)
    applied.git("branch", "-qD", "deeper")
    applied.git("update-ref", "refs/heads/mlops/ledger", ledger)
    for ref in applied.git("for-each-ref", "--format=%(refname)", "refs/heads/mlops/trials", "refs/custody").split():
        applied.git("update-ref", "-d", ref)


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as made:
        yield made


def deepen(branch: Repository) -> None:
    branch.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 6")


def attempt(branch: Repository) -> None:
    done = branch.custody("try", "--commit", "--engine", "inline")
    assert done.code == 0, done.err


def model_of(found: dict[str, Any], name: str = "risk") -> dict[str, Any]:
    return next(item for item in found["models"] if item["model"] == name)


def comment(branch: Repository, *arguments: str) -> dict[str, Any]:
    done = branch.custody("comment", "--base", "main", "--json", *arguments)
    assert done.code == 0, done.err
    value: dict[str, Any] = done.json
    return value


def in_actions(branch: Repository, host: Host, *, fork: bool = False) -> Path:
    """Set what a job of GitHub Actions on pull request 7 finds in its environment; return its step summary."""
    repo = {"full_name": "mallory/models" if fork else REPOSITORY}
    head, base = branch.git("rev-parse", "HEAD"), branch.git("rev-parse", "main")
    pull = {"number": 7, "head": {"sha": head, "repo": repo}, "base": {"sha": base, "repo": {"full_name": REPOSITORY}}}
    event, summary = branch.home / "event.json", branch.home / "summary.md"
    event.write_text(json.dumps({"pull_request": pull}), encoding="utf-8")
    summary.write_text("", encoding="utf-8")
    branch.environment.update(
        CI="true",
        GITHUB_ACTIONS="true",
        GITHUB_API_URL=host.api,
        GITHUB_BASE_REF="main",
        GITHUB_EVENT_PATH=str(event),
        GITHUB_REPOSITORY=REPOSITORY,
        GITHUB_RUN_ID="5",
        GITHUB_SERVER_URL="https://github.com",
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_TOKEN=TOKEN,
    )
    return summary


def test_before_a_trial_it_says_what_will_run_and_for_how_long(branch: Repository) -> None:
    deepen(branch)
    found = comment(branch)
    item = model_of(found)
    assert found["verdict"].startswith("❔ not measured yet: 1 model · 1 retrain · 1 unchanged")
    assert (item["measured"], item["passed"], item["comparison"]) == (None, None, None)
    assert item["estimate"]["n"] == 1
    assert item["estimate"]["p90"] >= item["estimate"]["p50"] > 0
    said = branch.custody("comment", "--base", "main").out
    assert "runs train, evaluate ≈" in said
    assert "production → v2 (was v1) if its gates pass" in said
    assert found["plan_id"][:7] in said


def test_what_the_trial_measured_is_what_is_recorded_after_the_merge(branch: Repository) -> None:
    deepen(branch)
    attempt(branch)
    found = comment(branch)
    item = model_of(found)
    compared = {one["metric"]: one for one in item["comparison"]["metrics"]}
    assert item["measured"]["trial"]
    assert item["adopts"] == item["measured"]["run"]
    assert found["verdict"].startswith("✅ may merge (2/2 gates)")
    production = branch.run_json("risk")["metrics"]
    assert {name: one["before"] for name, one in compared.items()} == production
    low, high = compared["accuracy"]["interval"]
    assert low <= compared["accuracy"]["change"] <= high
    flips = item["comparison"]["flips"]
    change = compared["accuracy"]["change"] * item["comparison"]["rows"]
    assert flips["fixed"] - flips["newly_wrong"] == pytest.approx(change)
    assert {one["value"] for one in item["comparison"]["slices"]} == {"f", "m"}
    assert all(one["interval"] and one["flips"] for one in item["comparison"]["slices"])

    branch.git("switch", "-q", "main")
    branch.git("merge", "-q", "--squash", "deeper")
    branch.commit("Deeper trees (#7)")
    assert branch.apply("--expect", found["plan_id"]).code == 0
    assert branch.run_json("risk")["metrics"] == {name: one["after"] for name, one in compared.items()}


def test_a_relaxed_gate_is_told_with_its_line(branch: Repository) -> None:
    branch.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.5")
    found = model_of(comment(branch))
    assert found["relaxed"] == [
        {"limit": "metrics.roc_auc.min", "before": 0.55, "after": 0.5, "place": "models/risk/gates.yaml:2:18"}
    ]
    # a re-gate judges the stored evaluation: nothing has to be tried for it
    assert (found["passed"], found["measured"]["trial"]) == (True, False)
    assert "**gate relaxed**" in branch.custody("comment", "--base", "main").out


def test_a_stricter_gate_that_fails_is_told_before_the_merge(branch: Repository) -> None:
    branch.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    found = comment(branch)
    assert found["verdict"].startswith("❌ 1 model would not pass its gates")
    assert model_of(found)["relaxed"] == []
    assert model_of(found)["gates"][0]["margin"] < 0


def test_other_data_is_not_paired(branch: Repository) -> None:
    branch.write("data/loans.csv", loans(440))
    assert branch.custody("data", "add", "loans", "--from-source").code == 0
    branch.edit("models/debt/data.yaml", "loans@v1", "loans@v2")
    attempt(branch)
    compared = model_of(comment(branch), "debt")["comparison"]
    assert compared["note"] == "other test rows; not paired"
    assert {one["interval"] for one in map(_hashable, compared["metrics"])} == {None}
    assert all(one["before"] is not None for one in compared["metrics"])
    assert "No intervals: other test rows; not paired." in branch.custody("comment", "--base", "main").out


def _hashable(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "interval": found["interval"] and tuple(found["interval"])}


def test_predictions_that_are_gone_leave_the_values(branch: Repository) -> None:
    deepen(branch)
    attempt(branch)
    steps = branch.run_json("risk")["steps"]
    lost = steps["evaluate"]["output"]["extra"]["predictions"]["object"]
    path = branch.root / ".mlops/store/sha256" / lost[:2] / lost[2:]
    data = path.read_bytes()
    path.unlink()
    compared = model_of(comment(branch))["comparison"]
    path.write_bytes(data)
    assert compared["note"].startswith("the stored predictions are not here")
    assert compared["flips"] is None
    assert all(one["before"] is not None for one in compared["metrics"])


def test_what_main_owes_itself_is_one_line_and_no_part_of_the_change(branch: Repository) -> None:
    branch.git("switch", "-q", "main")
    branch.edit("models/debt/pipeline.yaml", "sklearn.Ridge}", "sklearn.Ridge, with: {alpha: 2.0}}")
    branch.git("switch", "-q", "deeper")
    deepen(branch)
    found = comment(branch)
    assert [item["model"] for item in found["models"]] == ["risk"]
    assert found["owed"] == {"debt": "retrain"}
    assert "The base itself still owes: debt (retrain)." in branch.custody("comment", "--base", "main").out


def test_the_job_posts_once_and_edits_in_place(branch: Repository, host: Host) -> None:
    deepen(branch)
    summary = in_actions(branch, host)
    first = branch.custody("comment", "--post")
    assert (first.code, len(host.comments)) == (0, 1), first.err
    assert "Posted: https://github.com/acme/models/pull/7#issuecomment-1000." in first.err
    body = host.comments[0]["body"]
    head = branch.git("rev-parse", "HEAD")
    assert f"https://github.com/{REPOSITORY}/blob/{head}/models/risk/pipeline.yaml#L3" in body
    assert body.strip() == summary.read_text().strip()
    assert re.search(r"^::notice file=models/risk/pipeline.yaml,line=3,", first.err, re.MULTILINE)
    assert "Unchanged:" in branch.custody("comment", "--post").err
    attempt(branch)
    assert "Updated:" in branch.custody("comment", "--post").err
    assert len(host.comments) == 1
    assert "✅ may merge" in host.comments[0]["body"]
    branch.git("reset", "-q", "--hard", "main")
    assert "Updated:" in branch.custody("comment", "--post").err
    assert "nothing changes" in host.comments[0]["body"]
    assert TOKEN not in first.out + first.err


def test_nothing_to_say_is_not_said(branch: Repository, host: Host) -> None:
    in_actions(branch, host)
    done = branch.custody("comment", "--post")
    assert (done.code, host.comments) == (0, [])
    assert "Nothing to say" in done.err


def test_a_fork_gets_the_summary_and_no_comment(branch: Repository, host: Host) -> None:
    deepen(branch)
    host.read_only = True
    summary = in_actions(branch, host, fork=True)
    done = branch.custody("comment", "--post", "--out", "plan.md")
    assert done.code == 0, done.err
    assert "No comment was posted: a fork's token can only read; the step summary holds it." in done.err
    written = (branch.root / "plan.md").read_text(encoding="utf-8")
    (branch.root / "plan.md").unlink()
    assert written.strip() == summary.read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("arguments", "without", "words"),
    [
        (("--post",), "GITHUB_TOKEN", "there is no token"),
        (("--post",), "GITHUB_EVENT_PATH", "which pull request?"),
        (("--post", "--pr", "8"), "", "no such pull request"),
        (("--post", "--pr", "x"), "", "no number of a pull request"),
        (("--post", "--api", "http://api.example.org"), "", "a token is not sent there"),
        (("--base", "nowhere"), "", "nowhere"),
    ],
)
def test_what_is_wrong_is_told(branch: Repository, host: Host, arguments: Any, without: str, words: str) -> None:
    deepen(branch)
    in_actions(branch, host)
    branch.environment.pop(without, None)
    done = branch.custody("comment", *arguments)
    assert done.code in {1, 64}
    assert words in done.err
    assert TOKEN not in done.out + done.err


def test_specs_with_errors_are_told_in_the_comment(branch: Repository, host: Host) -> None:
    branch.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: eight")
    in_actions(branch, host)
    done = branch.custody("comment", "--post")
    assert done.code == 1
    assert "cannot be planned: 1 error in the specs" in host.comments[0]["body"]
    assert "pipeline.yaml:3" in host.comments[0]["body"]


def test_a_hostile_spec_stays_text(branch: Repository) -> None:
    nasty = '"@acme/risk | x | <!-- custody:plan --> <img src=x> [a](https://evil.example) `b` ::error::c"'
    branch.write("templates/comment/plan.md.j2", "forged by the pull request")
    branch.edit("models/risk/model.yaml", "owner: risk", f"owner: {nasty}")
    said = branch.custody("comment", "--base", "main").out
    assert said.count("<!-- custody:plan -->") == 1
    assert "forged" not in said
    assert "<img" not in said
    assert "@acme" not in said
    assert "](https://evil" not in said
    assert not re.search(r"^::", said, re.MULTILINE)


def test_plan_has_the_same_forms_without_measuring(branch: Repository, host: Host) -> None:
    deepen(branch)
    attempt(branch)
    shown = branch.custody("plan", "--base", "main", "--format", "markdown")
    assert shown.out.startswith("<!-- custody:plan -->\n### custody · ")
    assert "production → v2" in shown.out
    assert shown.out.splitlines()[1] == "### custody · 1 retrain · 1 unchanged"
    assert "paired resamples" not in shown.out
    assert "Not measured" not in shown.out
    summary = in_actions(branch, host)
    done = branch.custody("plan", "--format", "github")
    assert done.code == 0, done.err
    assert "::notice file=models/risk/pipeline.yaml,line=3," in done.err
    assert "| `risk` | retrain |" in summary.read_text(encoding="utf-8")
    assert branch.custody("plan", "--format", "json").json["plan_id"]
