"""The workflows that `init --ci` writes: their commands, run in order as a runner would, in fresh clones of a host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.clones import clone, deeper, hosted
from tests.integration.repository import Repository
from tests.integration.runner import PULL, WORKFLOW, Runner
from tests.unit.host.server import REPOSITORY, Host, serving


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as found:
        yield found


def refs(folder: Path) -> str:
    done = subprocess.run(["git", "show-ref"], cwd=folder, capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if "refs/heads" in line or "refs/notes" in line)


def test_every_step_of_the_github_workflow(tmp_path: Path, host: Host) -> None:
    author = Repository.create(tmp_path)
    made = author.custody("init", "--ci", "github")
    assert made.code == 0, made.err
    assert "remote: origin" in (author.root / ".mlops/config.yaml").read_text()
    author.commit("Run custody in CI")
    bare = hosted(author, tmp_path)
    runner = Runner(bare, tmp_path, author.home, host.api)
    author.git("switch", "-q", "-c", "deeper")
    deeper(author, 5)
    author.commit("Deepen the tree")
    author.git("switch", "-q", "main")
    author.git("merge", "-q", "--no-ff", "-m", "Merge deeper into main", "deeper")
    author.git("push", "-q", "origin", f"main:{PULL}", "deeper")
    author.git("reset", "-q", "--hard", "HEAD^")

    before = refs(bare)
    runner.run("plan", PULL, write=False)
    assert refs(bare) == before, "a job for forks writes nothing, also before there is a ledger"

    runner.run("apply", "refs/heads/main", write=True)
    applied = refs(bare)
    assert "refs/heads/mlops/ledger" in applied

    runner.run("plan", PULL, write=False)
    assert refs(bare) == applied
    runner.run("try", PULL, write=True)
    runner.run("comment", PULL, write=False)
    assert len(host.comments) == 1

    author.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from ann/deeper", "deeper")
    author.git("push", "-q", "origin", "main")
    runner.run("apply", "refs/heads/main", write=True)
    reader = clone(author, bare, tmp_path / "reader")
    assert reader.custody("sync").code == 0
    facts = {item["label"]: item["text"] for item in reader.custody("trace", "risk", "--json").json["facts"]}
    assert facts["change"] == "#7"
    assert facts["behalf"] == "Ann <ann@example.org>; merged by Ann <ann@example.org>"
    assert facts["job"] == f"https://github.example/{REPOSITORY}/actions/runs/77"
    assert facts["ran"].startswith("octocat (GitHub Actions) on ")
    assert "#7" in reader.custody("log", "risk").out


def test_what_a_fork_can_reach(tmp_path: Path) -> None:
    author = Repository.create(tmp_path)
    author.custody("init", "--ci", "github")
    workflow = yaml.safe_load((author.root / WORKFLOW).read_text())
    assert set(workflow[True]) == {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert "permissions" not in jobs["plan"]
    assert jobs["comment"]["permissions"]["contents"] == "read"
    assert jobs["apply"]["concurrency"] == {"group": "custody-apply", "cancel-in-progress": False}
    writers = {name for name, job in jobs.items() if job.get("permissions", {}).get("contents") == "write"}
    assert writers == {"try", "apply", "monitor"}
    assert "head.repo.full_name == github.repository" in jobs["try"]["if"]
    for name in ("plan", "comment"):
        text = json.dumps(jobs[name])
        assert "secrets." not in text
        assert "custody try" not in text
        assert "requirements" not in text
    assert not any("env" in step for step in jobs["plan"]["steps"])


def test_a_fork_runs_reads_and_writes_nothing(tmp_path: Path, host: Host) -> None:
    author = Repository.create(tmp_path)
    assert author.custody("init", "--ci", "github").code == 0
    author.commit("Run custody in CI")
    bare = hosted(author, tmp_path)
    assert author.apply().code == 0
    marker = tmp_path / "marker"
    mark = f"open({str(marker)!r}, 'w').close()\n"
    author.git("switch", "-q", "-c", "fork")
    author.write("models/risk/steps.py", f"{mark}\n\ndef fit(ctx):\n    {mark}")
    author.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    author.commit("Run on your runner")
    author.git("push", "-q", "origin", f"fork:{PULL}")
    runner = Runner(bare, tmp_path, author.home, host.api, source="mallory/models")
    before, host.read_only = refs(bare), True
    for job in ("plan", "comment"):
        made = runner.run(job, PULL, write=False)
        assert not marker.exists(), f"{job} ran the code of a fork"
        with pytest.raises(subprocess.CalledProcessError):
            made.git("push", "-q", "origin", "HEAD:refs/heads/mlops/ledger")
    assert host.comments == []
    made.environment.update(runner.variables(made, PULL, {}))
    tried = made.custody("try", "--commit")
    assert (tried.code, marker.exists()) == (4, False)
    assert "this job is for a fork's request: its code is not run here" in tried.err
    assert refs(bare) == before

    made.environment.clear()
    made.custody("try", "risk")
    assert marker.exists(), "else nothing above shows that the code was not run"


@pytest.mark.parametrize("host_name", ["github", "gitlab"])
def test_workflows_name_only_what_custody_has(host_name: str, tmp_path: Path) -> None:
    author = Repository.create(tmp_path, {"requirements.lock": "scikit-learn==1.9.1\n"})
    author.edit(".mlops/config.yaml", "branch: main\n", "branch: main\nlock: requirements.lock\n")
    assert author.custody("init", "--ci", host_name).code == 0
    path = author.root / (WORKFLOW if host_name == "github" else ".gitlab-ci.yml")
    text = path.read_text()
    assert yaml.safe_load(text)
    assert "pip install -r requirements.lock" in text
    words = [
        line.split("custody ", 1)[1]
        for line in text.splitlines()
        if line.strip(" -").startswith(("custody ", "run: custody"))
    ]
    verbs = {word.split()[0].strip(":") for word in words} - {"plan:", "try:"}
    assert {"sync", "check", "plan", "try", "comment", "apply", "monitor"} <= verbs
    for verb in verbs:
        assert author.custody(verb, "--help").code == 0, verb
    again = author.custody("init", "--ci", host_name)
    assert again.out.strip() == "Nothing to do: this is a project already"
    assert path.read_text() == text


@pytest.mark.slow
def test_every_step_of_the_gitlab_workflow(tmp_path: Path) -> None:
    author = Repository.create(tmp_path)
    assert author.custody("init", "--ci", "gitlab").code == 0
    author.commit("Run custody in CI")
    bare = hosted(author, tmp_path)
    runner = Runner(bare, tmp_path, author.home, "http://127.0.0.1:9")
    author.git("switch", "-q", "-c", "deeper")
    deeper(author, 5)
    author.commit("Deepen the tree")
    author.git("push", "-q", "origin", "deeper")
    jobs = yaml.safe_load((author.root / ".gitlab-ci.yml").read_text())
    stages = (
        ("custody plan", "refs/heads/deeper"),
        ("custody apply", "refs/heads/main"),
        ("custody plan", "refs/heads/deeper"),
    )
    for job, revision in (*stages, ("custody try", "refs/heads/deeper"), ("custody comment", "refs/heads/deeper")):
        made = runner.checkout(revision, write=job in {"custody try", "custody apply"})
        made.git("checkout", "-q", "--detach")
        variables = {
            **made.variables(),
            "PATH": f"{Path(sys.executable).parent}:{made.variables()['PATH']}",
            "CI": "true",
            "GITLAB_CI": "true",
            "GITLAB_USER_LOGIN": "gia",
            "CI_JOB_URL": "https://gitlab.example/group/models/-/jobs/8",
            "CI_SERVER_HOST": "gitlab.example",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_COMMIT_BRANCH": revision.removeprefix("refs/heads/"),
            "CI_COMMIT_SHA": made.git("rev-parse", "HEAD"),
        }
        lines = [*jobs[job].get("before_script", ()), *jobs[job]["script"], *jobs[job].get("after_script", ())]
        usual = [line for line in lines if "pip install" not in line and "set-url" not in line]
        runner.shell(made, "\n".join(usual), variables)
        if job == "custody comment":
            assert "risk" in (made.root / "custody.md").read_text()
    log = made.git(
        "log",
        "-1",
        "--grep=^Kind: run$",
        "--format=%(trailers:key=Actor,valueonly)%(trailers:key=Job,valueonly)",
        "refs/remotes/origin/mlops/ledger",
    )
    assert log.split("\n")[0] == "gia (GitLab CI)"
    assert "https://gitlab.example/group/models/-/jobs/8" in log
