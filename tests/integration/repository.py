"""A small real project in a real Git repository: one CSV dataset and two models, and the command line on it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custody.cli.main import main

CONFIG = """\
spec: 1
id: 5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10
branch: main
ledger: mlops/ledger
"""
DATASET = """\
owner: lending
purposes: [scoring]
source: {uses: file, with: {path: data/loans.csv}}
key: id
time: day
columns:
  id: {type: integer}
  day: {type: date}
  income: {type: number, min: 0, null_max: 0.2}
  debt: {type: number, min: 0}
  job: {type: string}
  gender: {type: string, sensitive: true, values: [f, m]}
  email: {type: string, personal: true}
  defaulted: {type: boolean}
"""
FILES = {
    ".mlops/config.yaml": CONFIG,
    ".gitignore": ".mlops/store/\n.mlops/state/\n",
    "datasets/loans/dataset.yaml": DATASET,
    "models/risk/model.yaml": "owner: risk\npurpose: scoring\ntask: classification\ntarget: defaulted\n"
    "stages: {production: auto}\n",
    "models/risk/data.yaml": "dataset: loans@v1\nsplit: {by: day, test: 0.25}\n",
    "models/risk/pipeline.yaml": "train:\n  uses: sklearn.DecisionTreeClassifier\n  with: {max_depth: 3}\nseed: 1\n",
    "models/risk/gates.yaml": "metrics:\n  roc_auc: {min: 0.55}\nslices:\n"
    "  gender: {metric: accuracy, min_ratio: 0.5}\n",
    "models/debt/model.yaml": "owner: risk\npurpose: scoring\ntask: regression\ntarget: debt\n"
    "stages: {production: auto}\n",
    "models/debt/data.yaml": "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income, job]\n",
    "models/debt/pipeline.yaml": "train: {uses: sklearn.Ridge}\nseed: 1\n",
    "models/debt/gates.yaml": "metrics:\n  rmse: {max: 100000}\n",
}


READING = frozenset({"check", "log", "plan", "runs", "show", "status", "trace"})
"""Verbs that start nothing: most of a process of its own would be its start."""


def loans(rows: int, seed: int = 1) -> str:
    """Return a CSV of loans whose default depends on debt and income."""
    rng = random.Random(seed)
    lines = ["id,day,income,debt,job,gender,email,defaulted"]
    for number in range(rows):
        income, debt = rng.uniform(10, 90), rng.uniform(0, 60)
        bad = debt / income + rng.gauss(0, 0.3) > 1
        day = f"2025-{1 + number * 12 // rows:02}-{1 + number % 28:02}"
        job, gender = rng.choice(["clerk", "nurse", "none"]), rng.choice("fm")
        shown = "" if number % 17 == 3 else f"{income:.2f}"
        lines.append(f"{number},{day},{shown},{debt:.2f},{job},{gender},p{number}@example.org,{str(bad).lower()}")
    return "\n".join(lines) + "\n"


@dataclass
class Result:
    """What a command left: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Repository:
    """A project below `root`, with a HOME of its own and no Git identity outside of the repository."""

    root: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, files: dict[str, str] | None = None) -> Repository:
        """Make the project with its first data version recorded by `custody data add`, all committed."""
        made = cls(folder / "project", folder / "home")
        made.root.mkdir(parents=True)
        made.home.mkdir()
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.name", "Ann")
        made.git("config", "user.email", "ann@example.org")
        for path, text in {**FILES, "data/loans.csv": loans(400), **(files or {})}.items():
            made.write(path, text)
        added = made.here("data", "add", "loans", "--from-source")
        if added.code:
            raise RuntimeError(added.err)
        made.commit("Add models")
        return made

    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PREFECT_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path(os.environ["HOME"]) / ".cache")),
            "NO_COLOR": "1",
            **self.environment,
        }

    def custody(self, *arguments: str) -> Result:
        """Run a command: in a process of its own where it does more than to read, or has an environment of its own."""
        if arguments[:1] and arguments[0] in READING and not self.environment:
            return self.here(*arguments)
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.variables(), capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def here(self, *arguments: str) -> Result:
        """Run a command in this process, which it must not need for itself."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["-C", str(self.root), "--no-color", *arguments])
        return Result(code, out.getvalue(), err.getvalue())

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "custody.cli.main", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, to be interrupted or killed."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def apply(self, *arguments: str, engine: str = "inline") -> Result:
        return self.custody("apply", "--engine", engine, *arguments)

    def plan(self) -> dict[str, Any]:
        """Return the changes of the plan by model, without the unchanged ones."""
        done = self.custody("plan", "--json")
        if done.code:
            raise RuntimeError(done.err or done.out)
        return {change["model"]: change for change in done.json["changes"] if change["category"] != "unchanged"}

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.variables(), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace `before`, which must be there, in a file and commit."""
        text = (self.root / path).read_text(encoding="utf-8")
        if before not in text:
            raise ValueError(f"{before!r} is not in {path}")
        self.write(path, text.replace(before, after))
        self.commit(f"Edit {path}")

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def head(self) -> str:
        return self.git("rev-parse", "mlops/ledger")

    def subjects(self, since: str | None = None) -> list[str]:
        """Return the subjects of the ledger's records, oldest first."""
        revisions = f"{since}..mlops/ledger" if since else "mlops/ledger"
        return self.git("log", "--reverse", "--format=%s", revisions).splitlines()

    def run_json(self, model: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.git("show", f"mlops/ledger:models/{model}/run.json"))
        return value

    def ran(self, model: str) -> list[str]:
        """Return the steps that the last recorded run of `model` did itself."""
        steps = self.run_json(model)["steps"]
        return [name for name, step in steps.items() if step["status"] != "reused"]
