"""A real repository with a project, several people and a ledger, for tests of what is read back."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from custody.app.project import Project
from custody.core.recording import (
    Source,
    data_record,
    promotion_record,
    register_record,
    run_record,
    verdict_record,
)
from custody.domain.graph import Ref, StepOutput, StepRecord, StepStatus
from custody.domain.plan import StageMove
from custody.domain.record import Failure, Record, Run, RunStatus
from custody.domain.spec import Config, Manifest, StoredFile
from custody.domain.verdict import GateResult, Verdict
from custody.git.identity import Identity
from custody.git.worktree import open_worktree
from custody.ledger.ledger import GitLedger

ANA, BEN, CLEO, DAN = (f"{name} <{name.lower()}@example.org>" for name in ("Ana", "Ben", "Cleo", "Dan"))
LOGICAL = "ab" * 32
CONFIG = Config("6f1c6f5e-2c1b-4c8e-9d55-0d2f6a1b7e90", extensions=("src",), lock="requirements.lock")
FILES = {
    ".mlops/config.yaml": f"spec: 1\nid: {CONFIG.id}\nlock: requirements.lock\nextensions: [src]\n",
    ".gitignore": ".mlops/state/\n.mlops/store/\n",
    "requirements.lock": "scikit-learn==1.9.1\n",
    "datasets/customers/dataset.yaml": (
        "owner: crm\npurposes: [retention]\nsource: {uses: file, with: {path: customers.csv}}\nkey: id\n"
        "columns: {churned: {type: boolean}}\n"
    ),
    "datasets/customers/versions/v1.yaml": (
        "format: 1\nas_of: 2026-11-01T00:00:00+00:00\nby: crm-bot\nrows: 1200\n"
        f'logical: "{LOGICAL}"\n'
        f'files: [{{path: part-0.parquet, size: 9, sha256: "{"cd" * 32}"}}]\n'
        "source: {uses: file, with: {path: customers.csv}}\n"
        "columns:\n"
        f'  id: {{kind: integer, digest: "{"1" * 64}", nulls: 0, distinct: 1200}}\n'
        f'  age: {{kind: integer, digest: "{"2" * 64}", nulls: 0, distinct: 70}}\n'
        f'  churned: {{kind: boolean, digest: "{"3" * 64}", nulls: 0, distinct: 2}}\n'
    ),
    "models/churn/model.yaml": (
        "owner: growth-ml\npurpose: retention\ntask: classification\ntarget: churned\nstages: {production: auto}\n"
    ),
    "models/churn/data.yaml": "dataset: customers@v1\nsplit: {test: 0.2, seed: 7}\n",
    "models/churn/pipeline.yaml": (
        'prepare: {uses: "./steps.py:prepare"}\ntrain:\n  uses: sklearn.LogisticRegression\n  with: {C: 1.0}\nseed: 7\n'
    ),
    "models/churn/gates.yaml": "metrics:\n  roc_auc: {min: 0.8}\n",
    "models/churn/steps.py": "from shared import scale\n\n\ndef prepare(ctx):\n    return scale(ctx)\n",
    "src/shared.py": "def scale(ctx):\n    return ctx\n",
}


class History:
    """A project whose history is written by calls; people commit, runs are recorded, the clock ticks by minutes."""

    def __init__(self, folder: Path, inside: str = "") -> None:
        self.top = folder / "repository"
        self.root = self.top / inside
        self.root.mkdir(parents=True)
        self.home = folder / "home"
        self.home.mkdir()
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.git("init", "-q", "-b", "main")
        for path, text in FILES.items():
            self.write(path, text)
        self.first = self.commit("Add churn", ANA)
        self.ids = iter(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(1, 1000))
        self.project = self.open()

    def open(self) -> Project:
        """Open the project anew, as another process would."""
        worktree = open_worktree(self.root)
        project = Project(self.root, worktree, CONFIG, clock=self._tick)
        project.ledger = GitLedger(
            worktree,
            CONFIG,
            readme=lambda _: b"# Ledger\n",
            tool="custody 0",
            clock=self._tick,
            identity=Identity("Runner", "ci@example.org", configured=True),
        )
        return project

    def git(self, *arguments: str, who: str = ANA) -> str:
        name, _, address = who.partition(" <")
        date = self.now.isoformat()
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address.rstrip(">"),
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": address.rstrip(">"),
            "GIT_COMMITTER_DATE": date,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.top, env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, subject: str, who: str) -> str:
        self._tick()
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject, who=who)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str, who: str) -> str:
        self._tick()
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch, who=who)
        return self.git("rev-parse", "HEAD")

    def record_data(self) -> str:
        manifest = Manifest(
            "customers",
            "v1",
            1,
            1200,
            LOGICAL,
            (StoredFile("part-0.parquet", 9, "cd" * 32),),
            {"id": {"digest": "1" * 64}},
            {"uses": "file", "with": {"path": "customers.csv"}},
            "2026-11-01T00:00:00+00:00",
            "crm-bot",
        )
        source = Source(self.git("rev-parse", "HEAD"), ANA)
        return self.project.ledger.append(data_record(next(self.ids), manifest, source, self._tick().isoformat()))

    def record(self, run: Run) -> str:
        return self.project.ledger.append(run_record(run, spec_of(run), Source(str(run.code), ANA), "roc_auc", None))

    def judge(self, run: Run, verdict: Verdict) -> Run:
        status = RunStatus.PASSED if verdict.passed else RunStatus.REJECTED
        judged = replace(run, verdict=verdict, status=status)
        commit = self.project.ledger.commit_of(run.id)
        self.project.ledger.append(
            verdict_record(next(self.ids), judged, spec_of(run), Source(str(run.code), ANA), commit)
        )
        return judged

    def promote(self, run: Run, stage: str = "production") -> None:
        ledger, at = self.project.ledger, self._tick().isoformat()
        commit = ledger.commit_of(run.id)
        ledger.decide(run.model, lambda state: _bare(register_record(next(self.ids), run, state, at, commit)))
        move, source = StageMove(stage, None, run.id), Source(str(run.code), ANA)
        ledger.decide(
            run.model,
            lambda state: promotion_record(next(self.ids), move, state, source, at, commit),
        )

    def run(self, code: str, **changes: Any) -> Run:
        """Return a passed run of the project's model at a commit."""
        blob = {path: self.project.worktree.blob(code, path) for path in ("models/churn/steps.py", "src/shared.py")}
        run = Run(
            id=next(self.ids),
            model="churn",
            status=RunStatus.PASSED,
            code=code,
            data={"dataset": "customers", "version": "v1", "logical": LOGICAL, "rows": 1200},
            steps=steps(),
            metadata={"owner": "growth-ml"},
            limits={"metrics": {"roc_auc": {"min": 0.8}}, "slices": {}},
            category="new",
            reasons=({"code": "never-run", "subject": "no run is recorded", "before": None, "after": None},),
            params={"C": 1.0},
            seed=7,
            artifact="ef" * 32,
            metrics={"accuracy": 0.88, "roc_auc": 0.9123456},
            verdict=verdict(0.9123456),
            closure={**blob, "models/churn/shared.py": None},
            environment={
                "python": "3.11.7",
                "platform": "linux-x86_64",
                "packages": {"numpy": "2.4.6"},
                "lock": self.project.worktree.blob(code, "requirements.lock"),
            },
            plan="7c1e90d" + "0" * 57,
            started=self.now.isoformat(),
            finished=self._tick().isoformat(),
            seconds=12.5,
            actor=ANA,
        )
        return replace(run, **changes)

    def _tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def _bare(record: Record | None) -> Record | None:
    """Leave out the trailer that follows from the record's effect."""
    return record and replace(record, trailers=tuple(item for item in record.trailers if item[0] != "Artifact"))


def verdict(value: float, limit: float = 0.8) -> Verdict:
    gate = GateResult("roc_auc.min", "roc_auc", value, limit, value >= limit)
    return Verdict("limits", (gate,))


def failed(run: Run) -> Run:
    """Return `run` as one whose training raised."""
    error = "ValueError: Input X contains NaN"
    broken = replace(steps()["train"], status=StepStatus.FAILED, output=None, error=error, log="aa" * 32)
    done = {name: step for name, step in steps().items() if name in {"fetch", "split"}}
    failure = Failure("train", error, "aa" * 32)
    return replace(
        run,
        status=RunStatus.FAILED,
        steps={**done, "train": broken},
        failure=failure,
        verdict=None,
        metrics={},
        artifact=None,
        category="retrain",
    )


def steps() -> dict[str, StepRecord]:
    facts = {
        "evaluate": {
            "metrics": {"roc_auc": 0.9123456, "accuracy": 0.88},
            "n": 240,
            "slices": {"plan": {"basic": {"n": 200, "roc_auc": 0.91}}},
        }
    }
    inputs = {
        "prepare": {"uses": "./steps.py:prepare", "with": {}},
        "train": {"uses": "sklearn.LogisticRegression", "with": {"C": 1.0}},
    }
    found = {}
    for number, step in enumerate(("fetch", "validate", "split", "prepare", "train", "evaluate")):
        digest = f"{number}" * 64
        output = StepOutput(Ref(step, digest, digest), facts=facts.get(step, {}))
        reused = step == "fetch"
        found[step] = StepRecord(
            step,
            StepStatus.REUSED if reused else StepStatus.DONE,
            f"k1:{digest}",
            inputs.get(step, {}),
            {},
            output,
            log=None if reused else "bb" * 32,
            seconds=None if reused else 1.25,
            cpu=None if reused else 1.0,
            memory=None if reused else 200 << 20,
            source="0123456789abcdef" if reused else None,
        )
    return found


def spec_of(run: Run) -> bytes:
    return json.dumps(dict(run.params)).encode() + b"\n"
