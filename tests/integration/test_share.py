"""Two clones and one bare host: apply shares what it records, says what it could not, and the next one makes up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.repository import CONFIG, Repository

LEDGER = "refs/heads/mlops/ledger"


@pytest.fixture
def ann(tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path / "ann", {".mlops/config.yaml": CONFIG + "remote: origin\n"})
    host = tmp_path / "host.git"
    made.git("init", "-q", "--bare", "-b", "main", str(host))
    made.git("--git-dir", str(host), "config", "uploadpack.allowFilter", "true")
    made.git("--git-dir", str(host), "config", "uploadpack.allowAnySHA1InWant", "true")
    made.git("remote", "add", "origin", host.as_uri())
    made.git("push", "-q", "origin", "main")
    return made


def clone(ann: Repository, folder: Path, *options: str) -> Repository:
    made = Repository(folder / "project", folder / "home")
    made.home.mkdir(parents=True)
    made.root.mkdir()
    host = ann.git("remote", "get-url", "origin")
    made.git("clone", "-q", *options, host, ".")
    made.git("config", "user.name", "Bob")
    made.git("config", "user.email", "bob@example.org")
    made.write("data/loans.csv", (ann.root / "data/loans.csv").read_text())
    return made


def on_host(repository: Repository) -> list[str]:
    found = repository.git("ls-remote", "origin", LEDGER, "refs/notes/mlops").split()
    return found[::2]


def test_apply_is_done_when_it_is_shared_and_a_clone_knows_all(ann: Repository, tmp_path: Path) -> None:
    done = ann.apply()
    assert done.code == 0, done.err + done.out
    assert on_host(ann)[0] == ann.head()
    assert len(on_host(ann)) == 2
    assert "production → v1" in done.out
    bob = clone(ann, tmp_path / "bob")
    assert bob.plan() == {}
    assert "v1" in bob.custody("status").out
    again = bob.apply()
    assert again.code == 0, again.err
    assert "Nothing to do" in again.out
    assert on_host(ann)[0] == ann.head()


def test_what_is_only_here_is_said_and_shared_by_the_next_run(ann: Repository, tmp_path: Path) -> None:
    assert ann.apply().code == 0
    host = tmp_path / "host.git"
    host.rename(tmp_path / "away.git")
    ann.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    offline = ann.apply()
    assert offline.code == 7, offline.out
    assert "Not yet shared: origin was not reached" in offline.out
    assert "recorded here: train risk" in offline.out
    assert "not done: promote risk" in offline.out
    assert "run custody apply again" in offline.out
    assert "→ v2" not in offline.out
    assert ann.custody("sync").code == 7
    (tmp_path / "away.git").rename(host)
    synced = ann.custody("sync", "--json")
    assert synced.code == 0, synced.err
    assert [item["subject"].split(":")[0] for item in synced.json["landed"]] == ["train risk"]
    done = ann.apply()
    assert done.code == 0, done.out
    assert "production → v2" in done.out
    assert on_host(ann)[0] == ann.head()
    assert ann.custody("sync").out.startswith("Nothing to share")


def test_two_clones_apply_different_commits_and_the_older_one_is_superseded(ann: Repository, tmp_path: Path) -> None:
    assert ann.apply().code == 0
    bob = clone(ann, tmp_path / "bob")
    bob.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 2")
    bob.git("push", "-q", "origin", "main")
    ann.git("pull", "-q", "origin", "main")
    ann.edit("models/risk/pipeline.yaml", "max_depth: 2", "max_depth: 4")
    ann.git("push", "-q", "origin", "main")
    assert "production → v2" in ann.apply().out
    late = bob.apply()
    assert late.code == 0, late.err + late.out
    assert "superseded by the later commit" in late.out
    state = bob.custody("status", "--json").out
    assert '"v2"' in state
    shown = bob.git("log", "--format=%(trailers:key=Run,valueonly)", "origin/mlops/ledger", "--", "models/risk").split()
    assert len(set(shown)) == 3


def test_a_shallow_job_applies_on_the_newest_state_alone(ann: Repository, tmp_path: Path) -> None:
    assert ann.apply().code == 0
    ann.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    ann.git("push", "-q", "origin", "main")
    job = clone(ann, tmp_path / "job", "--depth=1")
    done = job.apply()
    assert done.code == 0, done.err + done.out
    assert "production → v2" in done.out
    assert len(job.git("log", "--oneline", "origin/mlops/ledger").splitlines()) < 12
    ann.custody("sync")
    assert ann.git("rev-parse", "origin/mlops/ledger") == on_host(ann)[0]
    assert "v2" in ann.custody("status").out


def test_sync_without_a_remote_says_what_to_do(tmp_path: Path) -> None:
    alone = Repository.create(tmp_path / "alone")
    done = alone.custody("sync")
    assert done.code == 64
    assert "remote: origin" in done.err
