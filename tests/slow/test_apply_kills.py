"""`kill -9` of applies at any moment: nothing recorded is lost, no lock stays, all attempts are told."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.repository import Repository

pytestmark = pytest.mark.slow
SEED = 20261124
PIPELINE = "train:\n  uses: sklearn.DecisionTreeClassifier\n  with: {{max_depth: {depth}}}\nseed: 1\nattempts: 1000\n"
GATES = "metrics:\n  roc_auc: {min: 0.0}\n"


class Killed:
    """A project whose applies are killed, and what has been seen of them: heads of the ledger and runs that began."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.project = Repository.create(folder, {"models/risk/gates.yaml": GATES})
        self.engine = engine
        self.project.git("rm", "-rq", "models/debt")
        self.chance = random.Random(SEED)
        self.depth = 1
        self.begun: set[str] = set()
        self.ask()
        assert self.project.apply(engine=engine).code == 0
        self.ask()
        start = time.monotonic()
        assert self.project.apply(engine=engine).code == 0
        self.whole = time.monotonic() - start

    def ask(self) -> None:
        """Have work to do: another parameter."""
        self.depth += 1
        self.project.write("models/risk/pipeline.yaml", PIPELINE.format(depth=self.depth))
        self.project.commit(f"Depth {self.depth}")

    def kill(self) -> None:
        """Start an apply and kill it at a moment within the time that a whole one takes."""
        before = self.project.head()
        process = self.project.start("apply", "--engine", self.engine)
        try:
            process.wait(timeout=self.chance.random() * self.whole)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        self.project.git("merge-base", "--is-ancestor", before, "mlops/ledger")
        for path in self.intents():
            header = path.read_text(encoding="utf-8").partition("\n")
            if header[1]:
                self.begun.add(path.stem)

    def intents(self) -> list[Path]:
        return sorted((self.project.root / ".git/custody/intents").glob("*.jsonl"))

    def complete(self) -> None:
        """Apply to the end, and check that nothing is left to do or behind."""
        done = self.project.apply(engine=self.engine)
        assert done.code == 0, done.err
        assert self.project.plan() == {}
        assert self.intents() == []
        assert list((self.project.root / ".git").rglob("refs/**/*.lock")) == []
        runs = self.project.git("log", "--format=%(trailers:key=Run,valueonly)", "mlops/ledger").split()
        assert self.begun <= set(runs)
        run = json.loads(self.project.git("show", "mlops/ledger:models/risk/run.json"))
        assert (run["status"], run["params"]) == ("passed", {"max_depth": self.depth})


@pytest.mark.parametrize(("engine", "kills", "every"), [("inline", 100, 10), ("prefect", 5, 5)])
def test_killed_at_any_moment(tmp_path: Path, engine: str, kills: int, every: int) -> None:
    killed = Killed(tmp_path, engine)
    for kill in range(kills):
        killed.ask()
        killed.kill()
        if kill % every == every - 1:
            killed.complete()
    killed.project.git("fsck", "--full", "--strict")
    subjects = killed.project.subjects()
    assert sum("crashed" in subject for subject in subjects) >= kills // 10
