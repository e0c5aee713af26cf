"""Which commit apply serves, on real repositories of every kind; each refusal says what to do."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.clones import clone, copied, deeper, hosted
from tests.integration.repository import Repository


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    return copied(applied, tmp_path)


def commands(err: str) -> list[str]:
    """The commands of the help of an error."""
    lines = err.rpartition("= help: ")[2].splitlines()
    return [line.strip() for line in lines if line.strip()]


def test_another_branch_is_refused_with_what_to_do(project: Repository) -> None:
    project.git("switch", "-q", "-c", "max-depth")
    deeper(project)
    project.commit("Deeper trees")
    done = project.apply()
    assert done.code == 4
    assert "apply serves main; you are on max-depth" in done.err
    assert commands(done.err) == ["custody try risk", "git switch main"]


def test_a_branch_whose_commit_is_on_main_is_served(project: Repository) -> None:
    project.git("switch", "-q", "-c", "just-begun")
    assert project.apply().code == 0


def test_a_detached_head_is_served_where_main_has_the_commit(project: Repository) -> None:
    project.git("switch", "-q", "--detach", "main")
    assert project.apply().code == 0
    deeper(project)
    project.commit("On no branch")
    done = project.apply()
    assert done.code == 4
    assert "HEAD is detached" in done.err


def test_before_the_first_commit_both_verbs_say_commit(tmp_path: Path) -> None:
    made = Repository.create(tmp_path)
    made.git("switch", "-q", "--orphan", "fresh")
    made.git("checkout", "-q", "main", "--", ".")
    for verb in ("apply", "try"):
        done = made.custody(verb)
        assert done.code == 64
        assert "there is no commit yet" in done.err


def test_where_no_branch_has_the_configured_name_both_remedies_are_named(project: Repository) -> None:
    project.git("branch", "-m", "main", "trunk")
    done = project.apply()
    assert done.code == 4
    assert "there is no branch of that name; you are on trunk" in done.err
    assert commands(done.err)[0] == "git branch -m trunk main"
    project.git("branch", "-m", "trunk", "main")
    assert project.apply().code == 0


def test_a_clone_without_the_branch_is_told_to_fetch_it(project: Repository, tmp_path: Path) -> None:
    project.git("branch", "max-depth")
    host = hosted(project, tmp_path)
    single = clone(project, host, tmp_path / "single", "--single-branch", "--branch", "max-depth")
    done = single.apply()
    assert done.code == 4
    assert "this clone does not have it" in done.err
    subprocess.run(shlex.split(commands(done.err)[0]), cwd=single.root, env=single.variables(), check=True)
    assert "apply serves" not in single.apply().err


def test_a_shallow_clone_on_a_runner_is_served_at_the_head_of_main(project: Repository, tmp_path: Path) -> None:
    host = hosted(project, tmp_path)
    runner = clone(project, host, tmp_path / "runner", "--depth=1", "--no-single-branch")
    runner.git("fetch", "-q", "origin", "mlops/ledger:mlops/ledger")
    runner.git("switch", "-q", "--detach", "origin/main")
    runner.git("branch", "-D", "main")
    assert runner.apply().code == 0


def test_a_shallow_clone_that_cannot_tell_says_so(project: Repository, tmp_path: Path) -> None:
    old = project.git("rev-parse", "main")
    project.write("later.txt", "later\n")
    project.commit("Later")
    host = hosted(project, tmp_path)
    runner = clone(project, host, tmp_path / "runner", "--depth=1")
    runner.git("fetch", "-q", "--depth=1", "origin", old)
    runner.git("switch", "-q", "--detach", old)
    done = runner.apply()
    assert done.code == 4
    assert "this shallow clone cannot tell" in done.err
    subprocess.run(shlex.split(commands(done.err)[0]), cwd=runner.root, env=runner.variables(), check=True)
    assert "apply serves" not in runner.apply().err


def test_the_main_of_a_fork_does_not_count(project: Repository, tmp_path: Path) -> None:
    config = project.root / ".mlops" / "config.yaml"
    config.write_text(config.read_text() + "remote: origin\n")
    project.commit("Share the ledger")
    host = hosted(project, tmp_path)
    fork = tmp_path / "fork.git"
    project.git("clone", "-q", "--bare", str(host), str(fork))
    stranger = clone(project, fork, tmp_path / "stranger")
    deeper(stranger)
    stranger.commit("Deeper trees")
    stranger.git("push", "-q", "origin", "main")
    project.git("remote", "add", "fork", f"file://{fork}")
    project.git("fetch", "-q", "fork")
    project.git("switch", "-q", "--detach", "fork/main")
    done = project.apply()
    assert done.code == 4
    assert commands(done.err)[0] == "custody try risk"


def test_a_linked_worktree_shares_the_ledger(project: Repository, tmp_path: Path) -> None:
    project.git("switch", "-q", "-c", "other")
    project.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    linked = Repository(tmp_path / "linked", project.home)
    done = linked.apply()
    assert done.code == 0, done.err
    assert "nothing to do" in done.out.lower()
    assert linked.custody("try").code == 0


def test_a_project_in_a_subfolder_is_tried_and_applied(tmp_path: Path) -> None:
    made = Repository.create(tmp_path)
    whole = tmp_path / "whole"
    (whole / "ml").mkdir(parents=True)
    for path in made.root.iterdir():
        if path.name != ".git":
            path.rename(whole / "ml" / path.name)
    inside = Repository(whole / "ml", made.home)
    inside.git("init", "-q", "-b", "main", str(whole))
    inside.git("config", "user.name", "Ann")
    inside.git("config", "user.email", "ann@example.org")
    (whole / "top.txt").write_text("top\n")
    inside.commit("All")
    deeper(inside)
    (whole / "beside.txt").write_text("untracked, beside the project\n")
    assert inside.custody("try", "risk").code == 0
    assert inside.git("show", "custody/local/trials:source/beside.txt").startswith("untracked")
    assert "max_depth: 6" in inside.git("show", "custody/local/trials:source/ml/models/risk/pipeline.yaml")
    assert inside.git("rev-parse", "--verify", "-q", "HEAD")
    inside.git("checkout", "-q", "--", ".")
    assert inside.apply("debt").code == 0


def test_a_shared_ledger_that_is_not_here_is_never_an_empty_one(project: Repository, tmp_path: Path) -> None:
    config = project.root / ".mlops" / "config.yaml"
    config.write_text(config.read_text() + "remote: origin\n")
    project.commit("Share the ledger")
    host = hosted(project, tmp_path)
    project.git("push", "-q", "origin", "refs/notes/mlops:refs/notes/mlops")
    fresh = clone(project, host, tmp_path / "fresh", "--single-branch", "--branch=main")
    done = fresh.custody("plan")
    assert done.code == 1
    assert "the ledger is not here" in done.err
    [command] = commands(done.err)
    assert command.startswith("git fetch origin mlops/ledger:")
    for verb in (["status"], ["log"], ["log", "--trials"], ["trace", "risk"], ["show", "risk"]):
        done = fresh.custody(*verb)
        assert done.code == 1
        assert "error[E422]: the ledger is not here" in done.err
    subprocess.run(shlex.split(command), cwd=fresh.root, env=fresh.variables(), check=True)
    done = fresh.custody("plan")
    assert done.code == 0
    assert "Nothing to do" in done.out


def test_a_host_that_has_no_ledger_yet_is_told_from_one_that_was_not_fetched(
    project: Repository, tmp_path: Path
) -> None:
    config = project.root / ".mlops" / "config.yaml"
    config.write_text(config.read_text() + "remote: origin\n")
    project.commit("Share the ledger")
    host = hosted(project, tmp_path)
    project.git("push", "-q", "origin", ":mlops/ledger")
    fresh = clone(project, host, tmp_path / "fresh")
    done = fresh.custody("plan")
    assert done.code == 1
    assert "there is no ledger yet: origin had no mlops/ledger when it was last fetched" in done.err
    first, second = commands(done.err)
    assert first.startswith("custody apply ")
    assert fresh.custody(second.split()[1]).code == 0
    assert set(fresh.plan()) == {"debt", "risk"}


def test_a_ledger_that_is_not_shared_may_be_empty(project: Repository) -> None:
    project.git("update-ref", "-d", "refs/heads/mlops/ledger")
    assert set(project.plan()) == {"debt", "risk"}
