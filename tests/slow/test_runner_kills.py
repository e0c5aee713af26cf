"""A runner that is killed at one moment of an apply: the next job goes on, in its clone or in a new one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.clones import clone
from tests.integration.repository import CONFIG, Repository, loans

pytestmark = pytest.mark.slow
BRANCH = "mlops/ledger"
DECIDED = {f"{verb} {model}": 1 for verb in ("register", "promote") for model in ("risk", "debt")}
RECORD = "--format=%(trailers:key=Record,valueonly)"


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project on a host, applied once; then main has got a merge that trains both models anew."""
    folder = tmp_path_factory.mktemp("author")
    made = Repository.create(folder, {".mlops/config.yaml": CONFIG + "remote: origin\nadopt: false\n"})
    made.git("init", "-q", "--bare", "-b", "main", str(folder / "host.git"))
    made.git("remote", "add", "origin", (folder / "host.git").as_uri())
    made.git("push", "-q", "origin", "main")
    assert made.apply().code == 0
    assert made.plan() == {}
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    made.edit("models/debt/pipeline.yaml", "{uses: sklearn.Ridge}", "{uses: sklearn.Ridge, with: {alpha: 2.0}}")
    made.git("push", "-q", "origin", "main")
    return made


def job(author: Repository, host: Path, folder: Path) -> Repository:
    made = clone(author, host, folder)
    made.write("data/loans.csv", loans(400))
    return made


def killed(runner: Repository, until: Callable[[subprocess.Popen[str]], None]) -> list[str]:
    """Apply, kill the process group at the moment that `until` waits for; return the records that were acknowledged."""
    process = runner.start("apply", "--engine", "inline", "--jobs", "1")
    until(process)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    present = runner.git("for-each-ref", f"refs/heads/{BRANCH}")
    return runner.git("log", RECORD, BRANCH).split() if present else []


def trained(runner: Repository, _host: Path) -> list[str]:
    """Kill it when a model's last step has ended and no run is recorded: the append waits for a lock held here."""
    folder = runner.root / ".git/custody"
    folder.mkdir()
    handle = os.open(folder / "append.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)

    def until(process: subprocess.Popen[str]) -> None:
        while not any('"step": "evaluate"' in path.read_text() for path in folder.glob("intents/*.jsonl")):
            assert process.poll() is None, process.communicate()
            threading.Event().wait(0.01)
        os.killpg(process.pid, signal.SIGKILL)

    try:
        return killed(runner, until)
    finally:
        os.close(handle)


def before_the_push(runner: Repository, host: Path) -> list[str]:
    """Kill it when Git begins to talk to the host, before anything is sent."""
    return killed_by(runner, host.parent / "receive-pack", "exit 1", "remote.origin.receivepack")


def in_the_push_that_fails(runner: Repository, host: Path) -> list[str]:
    """Kill it when all is sent and no ref has moved; the host hears no more."""
    return killed_by(runner, host / "hooks/pre-receive", "exit 1")


def in_the_push_that_lands(runner: Repository, host: Path) -> list[str]:
    """Kill it when all is sent and no ref has moved; the host goes on by itself."""
    return killed_by(runner, host / "hooks/pre-receive", "exit 0")


def before_the_answer(runner: Repository, host: Path) -> list[str]:
    """Kill it when the refs have moved and nobody has been told."""
    return killed_by(runner, host / "hooks/post-receive", "exit 0")


def killed_by(runner: Repository, script: Path, end: str, setting: str | None = None) -> list[str]:
    """Have a script that Git starts kill the apply that is above it."""
    pid = script.parent.parent / "pid"
    script.write_text(f"#!/bin/sh\nuntil [ -s {pid} ]; do :; done\nkill -9 -$(cat {pid})\n{end}\n")
    script.chmod(0o755)
    if setting:
        runner.git("config", setting, str(script))
    said = killed(runner, lambda process: pid.write_text(str(process.pid)))  # type: ignore[func-returns-value]
    script.unlink()
    if setting:
        runner.git("config", "--unset", setting)
    return said


MOMENTS = (trained, before_the_push, in_the_push_that_fails, in_the_push_that_lands, before_the_answer)


@pytest.fixture
def host(author: Repository, tmp_path: Path) -> Path:
    return shutil.copytree(author.root.parent / "host.git", tmp_path / "host.git")


def records(made: Repository) -> list[str]:
    """The records on the host, by their ids."""
    made.git("fetch", "-q", "origin", f"{BRANCH}:refs/remotes/origin/{BRANCH}")
    return made.git("log", "--no-merges", RECORD, f"origin/{BRANCH}").split()


def check(made: Repository, acknowledged: list[str]) -> Counter[str]:
    """Nothing acknowledged is lost, nothing is there twice, main is in production; count what became of its runs."""
    landed = records(made)
    assert set(acknowledged) <= set(landed)
    assert len(set(landed)) == len(landed)
    assert made.plan() == {}
    head = made.git("rev-parse", "HEAD")
    lines = made.git("log", "--no-merges", f"--grep=^Code: {head}", "--format=%s", f"origin/{BRANCH}").splitlines()
    return Counter(" ".join(line.split(":")[0].split()[:2]) for line in lines)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_job_in_the_same_clone_goes_on(
    moment: Callable[[Repository, Path], list[str]], author: Repository, host: Path, tmp_path: Path
) -> None:
    runner = job(author, host, tmp_path / "runner")
    acknowledged = moment(runner, host)
    done = runner.apply()
    assert done.code == 0, done.err + done.out
    counted = check(runner, acknowledged)
    assert DECIDED.items() <= counted.items(), counted
    runs = sum(counted[f"{verb} {model}"] for verb in ("train", "evaluate") for model in ("risk", "debt"))
    assert runs == (4 if moment is trained else 3), "each lost attempt is recorded, and done once more"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_in_a_new_clone_does_it_and_the_dead_one_may_come_back(
    moment: Callable[[Repository, Path], list[str]], author: Repository, host: Path, tmp_path: Path
) -> None:
    runner = job(author, host, tmp_path / "runner")
    acknowledged = moment(runner, host)
    landed = records(runner)
    other = job(author, host, tmp_path / "other")
    done = other.apply()
    assert done.code == 0, done.err + done.out
    check(other, landed)
    back = runner.apply()
    assert back.code == 0, back.err + back.out
    counted = check(runner, acknowledged)
    assert DECIDED.items() <= counted.items(), counted
    assert "Nothing to do" in other.apply().out
