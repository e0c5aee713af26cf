"""Writers that are killed while they share, beside one that is not: nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.ledger.clones import BRANCH, SHARED, check_shared, clone, make_server, start
from tests.unit.ledger.material import a_run, open_ledger, run_record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kills")]
KILLS = 60
SEED = 4


def test_killed_sharers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = make_server(tmp_path / "server.git")
    for name in ("victim", "other"):
        clone(server, tmp_path / name).close()
    chance = random.Random(SEED)
    said: list[str] = []
    other = start(tmp_path / "other", "other", 10_000, 0.5)
    try:
        for kill in range(KILLS):
            said += killed(tmp_path / "victim", f"k{kill}", chance, group=kill % 2 == 0)
            left_lock(tmp_path / "victim", server / f"refs/heads/{BRANCH}.lock")
    finally:
        other.kill()
        said += [line for line in (other.communicate()[0] or "").splitlines() if line.startswith("landed")]
    victim = open_ledger(tmp_path / "victim", SHARED)
    assert victim.share(deadline=120.0).landed
    assert victim.pending() == ()
    ledger = check_shared(server)
    recorded = [entry.id for entry in ledger.entries()]
    assert {line.split()[1] for line in said} <= set(recorded)
    assert len(said) > KILLS


def left_lock(path: Path, lock: Path) -> None:
    """Where a kill took the server along and left its lock, the next writer names it and says how to remove it."""
    with suppress(FileNotFoundError):
        os.utime(lock, (1, 1))
        with open_ledger(path, SHARED) as ledger:
            ledger.append(run_record(a_run(f"run-locked-{lock.stat().st_ino}")))
            shared = ledger.share()
        # it may have been the lock of the other writer, which was at work
        assert shared.landed or shared.help == (f"rm {lock} && custody sync",)
        lock.unlink(missing_ok=True)


def killed(path: Path, name: str, chance: random.Random, *, group: bool) -> list[str]:
    """Start a writer, kill it at a random moment, alone or with all it has started, and return what it said."""
    process = start(path, name, 10_000, 0.0)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(chance.randrange(1, 6))]
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=chance.random() * 0.5)
    if group:
        for child in children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    process.kill()
    rest, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, (process.returncode, rest)
    return [line for line in [*said, *rest.splitlines()] if line.startswith(("fact", "landed"))]


def children(pid: int) -> list[int]:
    """All processes that come from `pid`, also those in sessions of their own."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, pending = [], [pid]
    while pending:
        here = pending.pop()
        below = [child for child, parent in parents.items() if parent == here]
        found += below
        pending += below
    return found
