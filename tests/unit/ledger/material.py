"""Records and ledgers for tests: as `app` makes them, and no larger than a test needs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from custody.domain.graph import STEPS, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.record import Kind, Record, Run, RunStatus, State
from custody.domain.spec import Config
from custody.domain.verdict import Verdict
from custody.git.identity import Identity
from custody.git.objects import open_repository
from custody.ledger.ledger import GitLedger

CONFIG = Config(id="6f1c0a52-0000-4000-8000-000000000001")
DAY = datetime(2026, 11, 24, tzinfo=UTC)


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def readme(state: State) -> bytes:
    """A line for each stage."""
    data = len(state.datasets)
    lines = [
        f"{name} {stage} {pointer.version} of {len(model.versions)}, records {model.records}, data {data}\n"
        for name, model in state.models.items()
        for stage, pointer in sorted(model.stages.items())
    ]
    return "".join(lines).encode()


def open_ledger(
    path: Path, config: Config = CONFIG, identity: Identity | None = None, *, durable: bool = False
) -> GitLedger:
    """Open the ledger of the repository; not synced to disk, since most tests wait for nothing else."""
    seconds = count()
    return GitLedger(
        open_repository(path, durable=durable),
        config,
        readme=readme,
        tool="custody 0.1.0",
        clock=lambda: DAY + timedelta(seconds=next(seconds)),
        identity=identity,
    )


def a_run(run_id: str, model: str = "churn", seed: str = "", **changes: Any) -> Run:
    """A passed run of all steps; runs with the same `seed` have the same keys."""
    steps = {
        step: StepRecord(
            step,
            StepStatus.DONE,
            key_of(f"{model} {step} {seed or run_id}"),
            {"seed": seed},
            {},
            StepOutput(Ref(step, "d" * 64, "d" * 64)),
        )
        for step in STEPS
    }
    values: dict[str, Any] = {
        "status": RunStatus.PASSED,
        "code": "c" * 40,
        "data": {"dataset": "customers", "version": "v1", "logical": "e" * 64},
        "steps": steps,
        "metadata": {"owner": "growth-ml"},
        "params": {"max_depth": 4},
        "metrics": {"roc_auc": 0.84},
    }
    return Run(run_id, model, **(values | changes))


def run_files(run: Run) -> dict[str, bytes]:
    data = (json.dumps(run.to_dict(), indent=2) + "\n").encode()
    return {f"models/{run.model}/run.json": data, f"models/{run.model}/spec.yaml": f"seed: {run.id}\n".encode()}


def run_record(run: Run, notes: tuple[tuple[str, str], ...] = (), **changes: Any) -> Record:
    steps = " ".join(f"{name}={step.key[:16]}" for name, step in run.steps.items() if step.usable)
    trailers = (("Run", run.id), ("Key", run.key or "none"), ("Steps", steps or "none"))
    subject = f"train {run.model}: roc_auc 0.841, 7/7 gates passed"
    values: dict[str, Any] = {"id": f"record-of-{run.id}", "kind": Kind.RUN, "subject": subject, "trailers": trailers}
    return Record(**(values | {"model": run.model, "files": run_files(run), "notes": notes} | changes))


def verdict_record(record_id: str, run: Run, verdict: Verdict) -> Record:
    judged = replace(run, verdict=verdict)
    trailers = (("Run", run.id), ("Key", run.key or "none"))
    return Record(record_id, Kind.VERDICT, f"re-gate {run.model}", trailers, run.model, files=run_files(judged))


def register_record(run: Run, version: str, notes: tuple[tuple[str, str], ...] = ()) -> Record:
    effect = {"version": version, "run": run.id, "artifact": "a" * 64, "at": DAY.isoformat()}
    subject = f"register {run.model} {version}"
    return Record(f"register-{run.id}", Kind.REGISTER, subject, (), run.model, effect=effect, notes=notes)


def promotion_record(run: Run, version: str, replaces: str | None, record_id: str = "") -> Record:
    effect = {"stage": "production", "run": run.id, "version": version, "replaces": replaces, "at": DAY.isoformat()}
    return Record(
        record_id or f"promote-{run.id}",
        Kind.PROMOTION,
        f"promote {run.model} {version} to production",
        (("Behalf", "Grace"),),
        run.model,
        effect=effect,
    )


def data_record(version: str, content: bytes = b'{"rows": 1}\n', dataset: str = "customers") -> Record:
    path = f"datasets/{dataset}/{version}.json"
    subject = f"data {dataset}@{version}: 1 row"
    return Record(
        f"data-{dataset}-{version}", Kind.DATA, subject, (("Data", f"{dataset}@{version}"),), files={path: content}
    )
