"""Whatever a step does to its process is recorded, the other models go on, and the next apply completes."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.repository import Repository

STEPS = """\
import os, time
from sklearn.tree import DecisionTreeClassifier

def fit(ctx):
{body}
    return DecisionTreeClassifier(max_depth=2, random_state=ctx.seed)
"""
PIPELINE = 'train: {{uses: "./steps.py:fit"{more}}}\nseed: 1\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("failures"))


@pytest.fixture
def fresh(project: Repository) -> Iterator[Repository]:
    """The project without any record of a run."""
    start = project.git("rev-parse", "HEAD")
    yield project
    project.git("reset", "-q", "--hard", start)
    project.git("update-ref", "-d", "refs/heads/mlops/ledger")


def with_step(project: Repository, body: str, more: str = "") -> None:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    project.write("models/risk/steps.py", STEPS.format(body=lines))
    project.write("models/risk/pipeline.yaml", PIPELINE.format(more=more))
    project.commit("Train by own code")


@pytest.mark.parametrize(
    ("body", "more", "error"),
    [
        ("raise ValueError('bad luck')", "", "ValueError: bad luck"),
        ("while True: pass", ", timeout: 1s", "timed out after 1 s"),
        ("os._exit(7)", "", "exit 7"),
        ("os.kill(os.getpid(), 11)", "", "SIGSEGV"),
        ("x = bytearray(8 << 30)", ", memory: 3GB", "memory"),
        ("return 'no estimator'", "", "estimator"),
    ],
    ids=["raises", "hangs", "exits", "segfaults", "memory", "wrong"],
)
@pytest.mark.parametrize("engine", ["inline", pytest.param("prefect", marks=pytest.mark.slow)])
def test_a_step_that_fails_is_recorded_and_the_other_model_is_done(
    fresh: Repository, body: str, more: str, error: str, engine: str
) -> None:
    with_step(fresh, body, more)
    done = fresh.apply(engine=engine)
    assert done.code == 7, done.err
    assert fresh.run_json("debt")["status"] == "passed"
    run = fresh.run_json("risk")
    assert (run["status"], run["failure"]["step"]) == ("failed", "train")
    assert error.lower() in run["failure"]["error"].lower()
    assert "\n" not in run["failure"]["error"]
    assert "train risk: failed at train" in "\n".join(fresh.subjects())
    with_step(fresh, "pass")
    assert fresh.apply().code == 0
    assert fresh.ran("risk") == ["train", "evaluate"]
    assert fresh.plan() == {}


def test_nothing_but_failure_exits_1(fresh: Repository) -> None:
    fresh.git("rm", "-rq", "models/debt")
    with_step(fresh, "raise ValueError('bad luck')")
    assert fresh.apply().code == 1


def reached_training(project: Repository, engine: str, folder: Path) -> int:
    """Start an apply whose training blocks, and return its pid once the training has begun."""
    gate = folder / "gate"
    os.mkfifo(gate)
    with_step(project, f"with open({str(gate)!r}, 'w') as gate: gate.write('here')\nwhile True: time.sleep(60)")
    process = project.start("apply", "--engine", engine)
    with gate.open() as reader:
        assert reader.read() == "here"
    project.environment["STARTED"] = str(process.pid)
    project.process = process  # type: ignore[attr-defined]
    return process.pid


def left_behind(project: Repository) -> list[str]:
    """Processes that still name the project's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                folder = str((entry / "cwd").readlink())
            except OSError:
                continue
            if state != "Z" and (str(project.root).encode() in command or folder == str(project.root)):
                found.append(command.decode(errors="replace"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "prefect"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_is_recorded_and_finished_steps_are_kept(
    fresh: Repository, engine: str, number: signal.Signals, tmp_path: Path
) -> None:
    pid = reached_training(fresh, engine, tmp_path)
    os.kill(pid, number)
    process = fresh.process  # type: ignore[attr-defined]
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    run = fresh.run_json("risk")
    assert (run["status"], run["failure"]["step"]) == ("interrupted", "train")
    assert left_behind(fresh) == []
    with_step(fresh, "pass")
    assert fresh.apply().code == 0
    assert fresh.ran("risk") == ["train", "evaluate"]


@pytest.mark.slow
def test_a_terminal_that_is_closed_is_an_interrupt(fresh: Repository, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with_step(fresh, f"with open({str(gate)!r}, 'w') as gate: gate.write('here')\nwhile True: time.sleep(60)")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(fresh.root)
        command = fresh.command("apply", "--engine", "inline")
        os.execve(command[0], command, fresh.variables())
    with gate.open() as reader:
        assert reader.read() == "here"
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert fresh.run_json("risk")["status"] == "interrupted"
    assert left_behind(fresh) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "prefect"])
def test_a_killed_apply_leaves_no_process_and_the_next_one_records_it(
    fresh: Repository, engine: str, tmp_path: Path
) -> None:
    pid = reached_training(fresh, engine, tmp_path)
    os.kill(pid, signal.SIGKILL)
    process = fresh.process  # type: ignore[attr-defined]
    process.communicate(timeout=60)  # returns when the last process that holds the pipes is gone
    with_step(fresh, "pass")
    assert fresh.apply().code == 0
    assert any(subject.startswith("train risk: crashed at train") for subject in fresh.subjects())
    assert fresh.ran("risk") == ["train", "evaluate"]
    assert left_behind(fresh) == []
