"""Writers that are killed at any moment: what was acknowledged is there, and the next writer goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.git.repositories import commit
from tests.unit.ledger.checks import check_ledger

ROOT = Path(__file__).resolve().parents[2]
KILLS = 50
pytestmark = pytest.mark.slow


def test_killed_writers_lose_nothing_that_was_acknowledged(repository: Path) -> None:
    target = commit(repository)
    chance = random.Random(os.getpid())
    acknowledged: list[str] = []
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.unit.ledger.writers", str(repository), f"k{kill}", "100000", target]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(chance.randrange(6))]
            try:
                process.wait(timeout=chance.random() * 0.03)
            except subprocess.TimeoutExpired:
                process.kill()
            acknowledged += process.stdout.read().split()
            assert process.wait() == -9
    assert len(acknowledged) > KILLS
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.ledger.writers", str(repository), "last", "1", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not list((repository / ".git/refs").rglob("*.lock"))
    check_ledger(repository, [*acknowledged, *done.stdout.split()], [target])
