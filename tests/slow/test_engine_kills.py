"""`kill -9` of the process that applies, at several moments, and Ctrl-C as a terminal sends it: no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

ROOT = Path(__file__).parents[2]
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
"""The user's own, whatever the home of a test: Prefect's schema is there, once it has been made."""
LIMIT = 2.0
"""Seconds after which everything must be gone."""


class Trial:
    """A program that applies, and all processes that come from it, known by a variable that they inherit."""

    def __init__(self, folder: Path, engine: str, *does: str) -> None:
        self.folder = folder
        self.mark = f"CUSTODY_TRIAL={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        with (folder / "out").open("w") as out:
            self.program = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.engine.trial", engine, str(folder), *does],
                cwd=ROOT,
                env={**os.environ, name: value, "XDG_CACHE_HOME": CACHE},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait(self, name: str, text: str = "") -> None:
        """Wait until the file is there with the text in it."""
        path = self.folder / name
        while not (path.exists() and text in path.read_text()):
            assert self.program.poll() is None, (self.folder / "out").read_text()
            pause(0.01)

    def processes(self) -> list[str]:
        return [
            " ".join(command(entry))
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self.mark in environment(entry) and command(entry)
        ]

    def left(self) -> list[str]:
        """Return the processes that are still there when the limit is over, or none as soon as there is none."""
        end = time.monotonic() + LIMIT
        while (found := self.processes()) and time.monotonic() < end:
            pause(0.02)
        return found


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def environment(entry: Path) -> str:
    try:
        return (entry / "environ").read_text(errors="replace")
    except OSError:
        return ""


def command(entry: Path) -> list[str]:
    """The words of the command line; none for what has ended and is not reaped."""
    try:
        return (
            (entry / "cmdline").read_text(errors="replace").split("\0")[:6] if (entry / "cmdline").read_bytes() else []
        )
    except OSError:
        return []


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    trials: list[Trial] = []

    def start(engine: str, *does: str) -> Trial:
        trials.append(Trial(tmp_path, engine, *does))
        return trials[-1]

    yield start
    for trial in trials:
        trial.program.kill()
        trial.program.wait()


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.4, 0.8, 1.5, 2.5])
def test_killed_while_everything_is_starting(start, delay):
    trial = start("prefect", "make")
    trial.wait("stage", "begun")
    pause(delay)
    trial.program.kill()
    trial.program.wait()
    assert trial.left() == []


@pytest.mark.parametrize("engine", ["inline", "prefect"])
@pytest.mark.parametrize("does", ["hang", "hold_the_gil"])
def test_killed_during_a_step(start, engine, does):
    trial = start(engine, does, "make")
    trial.wait("started")
    assert len(trial.processes()) >= 3
    trial.program.kill()
    trial.program.wait()
    assert trial.left() == []


@pytest.mark.parametrize("engine", ["inline", "prefect"])
def test_killed_during_a_step_that_has_started_processes_also_outside_its_group(start, engine):
    trial = start(engine, "hang_with_processes")
    trial.wait("started", " ")
    assert len(trial.processes()) >= 5
    trial.program.kill()
    trial.program.wait()
    assert trial.left() == []


@pytest.mark.parametrize("word", ["m0/fetch done", "m0/validate done", "executed", "stopped"])
def test_killed_between_and_after_the_steps(start, word):
    trial = start("prefect", "make")
    trial.wait("stage", word)
    trial.program.kill()
    trial.program.wait()
    assert trial.left() == []


@pytest.mark.parametrize("engine", ["inline", "prefect"])
def test_ctrl_c_of_a_terminal_cancels_and_ends_in_order(start, engine):
    trial = start(engine, "hang")
    trial.wait("started")
    os.killpg(trial.program.pid, signal.SIGINT)
    assert trial.program.wait() == 0
    assert "m0 cancelled" in (trial.folder / "stage").read_text()
    assert (trial.folder / "out").read_text() == ""
    assert trial.left() == []
    if engine == "prefect":
        assert len(list((trial.folder / "state" / "prefect").glob("*.db"))) == 1
