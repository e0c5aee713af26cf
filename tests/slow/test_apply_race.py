"""Six runners that apply at once against one bare host, the whole command line with its real pushes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from custody.app.project import open_project
from custody.domain.record import Entry
from custody.ledger.ledger import GitLedger
from tests.integration.clones import clone
from tests.integration.repository import CONFIG, Repository, loans
from tests.unit.ledger.clones import check_trees

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
BRANCH = "mlops/ledger"
ROUNDS = 20
RUNNERS = 6
MODELS = tuple(f"m{number}" for number in range(4))


@dataclass
class Runner:
    """A clone of its own, and the process that applies in it."""

    clone: Repository
    process: subprocess.Popen[str]

    def begin(self, commit: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{commit}\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture
def author(tmp_path: Path) -> Repository:
    """A project of small models that has been applied once, on a host that refuses rewriting."""
    config = {".mlops/config.yaml": CONFIG + "remote: origin\n", "data/loans.csv": loans(40)}
    made = Repository.create(tmp_path / "author", config)
    made.git("rm", "-rq", "models")
    for name in MODELS:
        made.write(f"models/{name}/model.yaml", MODEL)
        made.write(f"models/{name}/data.yaml", "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income]\n")
        made.write(f"models/{name}/gates.yaml", "metrics:\n  rmse: {max: 100000}\n")
        train(made, name, 1)
    made.commit("Begin")
    host = tmp_path / "host.git"
    made.git("init", "-q", "--bare", "-b", "main", str(host))
    for key in ("receive.denyNonFastForwards", "receive.denyDeletes", "receive.fsckObjects"):
        made.git("--git-dir", str(host), "config", key, "true")
    made.git("remote", "add", "origin", host.as_uri())
    made.git("push", "-q", "origin", "main")
    assert made.apply().code == 0
    return made


MODEL = "owner: risk\npurpose: scoring\ntask: regression\ntarget: debt\nstages: {production: auto}\n"


def train(made: Repository, name: str, alpha: int) -> None:
    text = f"train:\n  uses: sklearn.Ridge\n  with: {{alpha: {alpha}}}\nseed: 1\n"
    made.write(f"models/{name}/pipeline.yaml", text)


@pytest.fixture
def runners(author: Repository, tmp_path: Path) -> Iterator[list[Runner]]:
    made = []
    for number in range(RUNNERS):
        here = clone(author, tmp_path / "host.git", tmp_path / f"runner{number}")
        here.write("data/loans.csv", loans(40))
        command = [sys.executable, "-m", "tests.slow.appliers", str(here.root)]
        variables = here.variables() | {"CI": "true"}
        made.append(Runner(here, start(command, variables)))
    yield made
    for runner in made:
        runner.process.communicate()


def start(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def push(author: Repository, number: int) -> list[str]:
    """Land two merges on main, one on top of the other, both of which change a model; return their commits."""
    commits = []
    for step, names in enumerate(((0, 1), (1, 2))):
        for name in names:
            train(author, MODELS[(number + name) % len(MODELS)], 2 * number + step + 2)
        commits.append(author.commit(f"Round {number}, merge {step}"))
    author.git("push", "-q", "origin", "main")
    return commits


def test_six_runners_at_once(author: Repository, runners: list[Runner], tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        older, newer = push(author, number)
        for place, runner in enumerate(runners):
            runner.begin(older if (place + number) % 3 == 0 else newer)
        told += told_by(runners)
    late = clone(author, tmp_path / "host.git", tmp_path / "late")
    late.write("data/loans.csv", loans(40))
    assert late.apply().code == 0, "what an older commit left in production last is put right"
    assert "Nothing to do" in late.apply().out
    with open_project(late.root).ledger as ledger:  # type: ignore[attr-defined]
        entries = list(ledger.entries())[::-1]
        check_told(ledger, entries, told)
        check_decisions(ledger, entries)
        check_trees(ledger, f"origin/{BRANCH}", [entry.commit for entry in entries])
    merges = int(late.git("rev-list", "--merges", "--count", f"origin/{BRANCH}"))
    assert merges <= 0.4 * len(entries), (merges, len(entries))
    for name in MODELS:
        format_ = "--format=%(trailers:key=Record,valueonly)"
        shown = late.git("log", format_, f"origin/{BRANCH}", "--", f"models/{name}").split()
        assert set(shown) == {entry.id for entry in entries if entry.trailer("Model") == name}


def told_by(runners: list[Runner]) -> list[dict[str, Any]]:
    """What the runners said of each model; none has given up, been refused or failed."""
    told = []
    for runner in runners:
        answer = runner.end()
        assert answer["code"] == 0, answer
        assert answer["said"]["unshared_reason"] == ""
        told += answer["said"]["models"]
    assert told
    return told


def check_told(ledger: GitLedger, entries: list[Entry], told: list[dict[str, Any]]) -> None:
    """Every run that a runner told of is recorded once, in the commit that it named, as the version that it named."""
    ids = [entry.id for entry in entries]
    assert len(set(ids)) == len(ids)
    runs = [str(entry.trailer("Run")) for entry in entries if entry.kind == "run"]
    assert len(set(runs)) == len(runs)
    trained = [item for item in told if item["ran"]]
    assert len(trained) > RUNNERS * ROUNDS
    assert {item["run"] for item in trained} < set(runs)
    assert len(set(runs)) == len({item["run"] for item in trained}) + len(untold(runs, trained))
    commits = {entry.commit: entry for entry in entries}
    for item in told:
        assert commits[item["commit"]].trailer("Run") == item["run"]
        assert ledger.model(item["model"]).version_of(item["run"]) == item["version"]
        assert item["version"] or "production stays:" in item["note"], item


def untold(runs: list[str], trained: list[dict[str, Any]]) -> set[str]:
    """The runs before the race and after it."""
    found = set(runs) - {item["run"] for item in trained}
    assert len(found) <= 2 * len(MODELS)
    return found


def check_decisions(ledger: GitLedger, entries: list[Entry]) -> None:
    """In landing order versions count up without gaps, and each promotion replaces the one that stood: one winner.

    What several runners made of the same inputs is one version.
    """
    keys = {entry.trailer("Run"): entry.trailer("Key") for entry in entries if entry.kind == "run"}
    for name in MODELS:
        own = [entry for entry in entries if entry.trailer("Model") == name]
        versions = [entry.trailer("Version") for entry in own if entry.kind == "register"]
        assert versions == [f"v{number + 1}" for number in range(len(versions))]
        assert list(ledger.model(name).versions) == versions
        registered = [keys[entry.trailer("Run")] for entry in own if entry.kind == "register"]
        assert len(set(registered)) == len(registered)
        present = "none"
        for entry in own:
            if entry.kind == "promotion":
                assert entry.trailer("Replaces") == present
                present = str(entry.trailer("Run"))
        assert ledger.model(name).stages["production"].run == present
