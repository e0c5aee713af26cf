"""A runner of the host: does the jobs of the workflow that `init --ci github` writes, each in a fresh clone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.repository import Repository
from tests.unit.host.server import REPOSITORY, TOKEN

WORKFLOW = ".github/workflows/custody.yml"
PULL = "refs/pull/7/merge"


@dataclass
class Runner:
    """Runs jobs of a workflow: each in a clone of its own that is thrown away after it."""

    host: Path
    folder: Path
    home: Path
    api: str
    count: int = 0
    source: str = REPOSITORY
    """The repository that the pull request comes from."""

    def run(self, job: str, revision: str, *, write: bool, **environment: str) -> Repository:
        """Run the steps of a GitHub job on what the host has at `revision`; those that install are done already."""
        made = self.checkout(revision, write=write)
        workflow = yaml.safe_load((made.root / WORKFLOW).read_text())
        for step in workflow["jobs"][job]["steps"]:
            if "run" in step and not step["name"].startswith("Install"):
                variables = {**self.variables(made, revision, environment), **self.of_step(step)}
                self.shell(made, step["run"], variables)
        return made

    def checkout(self, revision: str, *, write: bool) -> Repository:
        """Do what the checkout action does: the whole history, and a detached HEAD for a pull request."""
        self.count += 1
        made = Repository(self.folder / f"job-{self.count}", self.home)
        made.root.mkdir()
        made.git("init", "-q")
        made.git("remote", "add", "origin", f"file://{self.host}")
        if not write:
            made.git("remote", "set-url", "--push", "origin", f"file://{self.folder}/forbidden")
        made.git("fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", f"+{revision}:refs/checked/out")
        branch = revision.removeprefix("refs/heads/")
        where = ("-B", branch) if revision.startswith("refs/heads/") else ("--detach",)
        made.git("checkout", "-q", *where, "refs/checked/out")
        return made

    def variables(self, made: Repository, revision: str, given: dict[str, str]) -> dict[str, str]:
        pull = revision == PULL
        event = {"number": 7, "head": {"repo": {"full_name": self.source}}, "base": {"repo": {"full_name": REPOSITORY}}}
        payload = self.folder / "event.json"
        payload.write_text(json.dumps({"pull_request": event} if pull else {}))
        return {
            **made.variables(),
            "PATH": f"{Path(sys.executable).parent}:{made.variables()['PATH']}",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "77",
            "GITHUB_REF": revision,
            "GITHUB_BASE_REF": "main" if pull else "",
            "GITHUB_EVENT_PATH": str(payload),
            "GITHUB_API_URL": self.api,
            **given,
        }

    def of_step(self, step: dict[str, Any]) -> dict[str, str]:
        return {name: TOKEN if "github.token" in value else value for name, value in step.get("env", {}).items()}

    def shell(self, made: Repository, script: str, variables: dict[str, str]) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=made.root, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout
