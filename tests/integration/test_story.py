"""The pull-request loop as people live it: author, reviewer, the jobs of CI, one host, and Git history at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clones import clone, deeper, hosted
from tests.integration.repository import Repository
from tests.integration.runner import PULL, Runner
from tests.unit.host.server import REPOSITORY, Host, serving

MAIN = "refs/heads/main"


@dataclass
class Team:
    """Ann writes, Bob reviews and merges; the host has the branches, its API the comments."""

    ann: Repository
    bob: Repository
    runner: Runner
    api: Host

    def open_pull_request(self, branch: str) -> None:
        """Push Ann's branch; the host makes the merge of it into main that its runners check out."""
        self.ann.git("push", "-q", "origin", branch)
        self.bob.git("fetch", "-q", "origin")
        self.bob.git("switch", "-q", "--detach", "origin/main")
        self.bob.git("merge", "-q", "--no-ff", "-m", f"Merge {branch} into main", f"origin/{branch}")
        self.bob.git("push", "-q", "--force", "origin", f"HEAD:{PULL}")
        self.bob.git("switch", "-q", "main")

    def squash(self, branch: str, message: str) -> None:
        """Merge as the host does with "squash and merge": Ann's work as one commit of Ann, committed by Bob."""
        self.bob.git("pull", "-q", "--ff-only")
        self.bob.git("merge", "-q", "--squash", f"origin/{branch}")
        self.bob.git("commit", "-q", "--author", "Ann <ann@example.org>", "-m", message)
        self.bob.git("push", "-q", "origin", "main")

    def apply(self) -> tuple[Repository, dict[str, Any]]:
        made = self.runner.run("apply", MAIN, write=True)
        return made, json.loads((made.root / ".mlops/state/last.json").read_text())


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    ann = Repository.create(tmp_path)
    assert ann.custody("init", "--ci", "github").code == 0
    ann.commit("Run custody in CI")
    host = hosted(ann, tmp_path)
    ann.git("branch", "-q", "--set-upstream-to=origin/main", "main")
    with serving() as api:
        yield Team(ann, clone(ann, host, tmp_path / "bob"), Runner(host, tmp_path, ann.home, api.api), api)


def test_from_the_edit_to_the_audit(team: Team) -> None:
    team.apply()

    team.ann.git("switch", "-q", "-c", "deeper")
    deeper(team.ann, 6)
    team.ann.commit("Deepen the tree")
    team.open_pull_request("deeper")
    team.runner.run("plan", PULL, write=False)
    team.runner.run("try", PULL, write=True)
    team.runner.run("comment", PULL, write=False)

    team.bob.git("switch", "-q", "--detach", "origin/deeper")
    assert team.bob.custody("sync").code == 0
    comment = team.bob.custody("comment", "--base", "origin/main", "--json").json
    body = team.api.comments[0]["body"]
    assert comment["plan_id"][:7] in body
    assert comment["verdict"] in body
    team.bob.git("switch", "-q", "main")

    # another team's change lands first
    team.bob.edit("models/debt/pipeline.yaml", "sklearn.Ridge", "sklearn.LinearRegression")
    team.bob.git("push", "-q", "origin", "main")
    team.apply()
    team.bob.git("switch", "-q", "--detach", "origin/deeper")
    assert team.bob.custody("sync").code == 0
    assert team.bob.custody("plan", "--base", "origin/main", "--json").json["plan_id"] == comment["plan_id"]
    team.bob.git("switch", "-q", "main")

    team.squash("deeper", "Deepen the tree (#7)")
    _, applied = team.apply()
    assert (applied["exit_code"], applied["plan_id"]) == (0, comment["plan_id"])
    assert applied["models"] == {"risk": "done"}

    # the author, on the laptop, with Git alone
    team.ann.git("switch", "-q", "main")
    team.ann.git("pull", "-q", "--ff-only")
    assert team.ann.custody("sync").code == 0
    assert team.ann.ran("risk") == [], "what was reviewed is taken over: nothing is trained after the merge"
    run = team.ann.run_json("risk")
    [shown] = [item for item in comment["models"] if item["model"] == "risk"]
    assert {one["metric"]: one["after"] for one in shown["comparison"]["metrics"]} == run["metrics"]
    for name in ("accuracy", "roc_auc"):
        said = re.search(rf"^\| `{name}` \|[^|]*\| ([^|]*) \|", body, re.MULTILINE)
        assert said, body
        assert said[1] == f"{run['metrics'][name]:.4g}"
    assert told(team.ann) == {
        "change": "#7",
        "behalf": "Ann <ann@example.org>; committed by Bob <bob@example.org>",
        "job": f"https://github.example/{REPOSITORY}/actions/runs/77",
        "adopted": run["steps"]["train"]["source"],
    }
    assert "octocat (GitHub Actions)  promote risk: production → v2 (was v1)  #7 for Ann" in team.ann.custody("log").out
    assert team.ann.plan() == {}
    assert f"run {run['run'][:8]} train risk" in team.ann.git("log", "-1", "--notes=mlops", "main")


def told(reader: Repository) -> dict[str, str]:
    """Return what `trace` says of those behind the run in production."""
    facts = {item["label"]: item["text"] for item in reader.custody("trace", "risk", "--json").json["facts"]}
    assert facts["ran"].startswith("octocat (GitHub Actions) on ")
    return {label: facts[label] for label in ("change", "behalf", "job", "adopted")}
