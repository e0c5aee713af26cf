"""Make a repository with many models and a real ledger, so that `custody plan` there has nothing to do.

    python benchmarks/generate.py --models 1000 --records 3000 DIR [--datasets 100]

Models are small valid specs, every fifth with a steps.py of its own; ten share a dataset. They came in commits of ten.
The records are written by custody's own writer, in batches: runs of former parameters first, then for each model the
run of the spec as it stands, and as far as `--records` reaches its version and its promotion (models that it does not
reach have no stage). Results are invented, keys are real. Objects are kept in memory until some thousands make a pack.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from unpacked import Unpacked

from custody.app.basis import with_basis
from custody.app.code import digests
from custody.app.plan import prepare
from custody.app.project import Project, open_project
from custody.app.readme import render_readme
from custody.core.difference import metadata_of
from custody.core.gates import judge, limits_of
from custody.core.keys import UPSTREAM, features_of, step_inputs, step_key
from custody.core.recording import Source, data_record, promotion_record, register_record, run_record
from custody.domain.graph import STEPS, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.plan import StageMove
from custody.domain.record import ModelState, Record, Run, RunStatus, State
from custody.domain.spec import ModelSpec, Spec
from custody.git.identity import find_identity
from custody.git.objects import open_repository
from custody.git.refs import move_ref
from custody.ledger.index import Index
from custody.ledger.reader import Reader
from custody.ledger.standing import Standing
from custody.ledger.writer import Hand, Writer
from custody.spec.dump import dump_model

CONFIG = "spec: 1\nid: 5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10\n"
DATASET = """\
owner: cellar
classification: internal
purposes: [quality]
source: {{uses: file, with: {{path: data/{name}.csv}}}}
key: row
columns: {{good: {{type: boolean}}, alcohol: {{type: number, min: 0, max: 20}}, ash: {{type: number}}}}
"""
STEPS_PY = """\
\"\"\"Columns of {name}.\"\"\"

import numpy as np


def prepare(table, *, scale=1.0):
    # widths are in millimetres
    return np.log1p(np.abs(table)) * scale
"""
KINDS = ("table", "report", "split", "transformer", "model", "evaluation")
TOGETHER = 10
"""Models that share a dataset, and that came in one commit."""
NOTED = 50
"""Records that name the same source commit, at most."""
TOGETHER_PACKED = 2000
"""Records after which their objects are packed."""
BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)


def name_of(number: int) -> str:
    return f"wine-{number:05}"


def dataset_of(number: int, datasets: int) -> str:
    return f"cellar-{number % datasets:04}"


def write_model(folder: Path, number: int, datasets: int, *, staged: bool) -> None:
    """Write the specs of one model."""
    model = folder / "models" / name_of(number)
    model.mkdir(parents=True)
    own = number % 5 == 0
    stages = "stages: {production: auto}\n" if staged else ""
    (model / "model.yaml").write_text(
        f"owner: team-{number % 7}\npurpose: quality\ntask: classification\ntarget: good\n{stages}"
    )
    (model / "data.yaml").write_text(
        f"dataset: {dataset_of(number, datasets)}@v1\nsplit: {{stratify: good, test: 0.25, seed: 7}}\n"
    )
    prepare = 'prepare: {uses: "./steps.py:prepare", with: {scale: 2}}\n' if own else ""
    (model / "pipeline.yaml").write_text(
        f"{prepare}train:\n  uses: sklearn.HistGradientBoostingClassifier\n"
        f"  with: {{max_depth: {2 + number % 9}, learning_rate: 0.1}}\nseed: 7\n"
    )
    (model / "gates.yaml").write_text("metrics:\n  roc_auc: {min: 0.8, max_drop: 0.01}\n  accuracy: {min: 0.7}\n")
    if own:
        (model / "steps.py").write_text(STEPS_PY.format(name=name_of(number)))


def write_datasets(folder: Path, count: int) -> None:
    """Write the sources and their first versions, by `custody data add`'s own code."""
    from custody.app.data import Addition, add

    (folder / "data").mkdir()
    project = open_project(folder)
    for number in range(count):
        name = f"cellar-{number:04}"
        rows = (f"{row},{(row * 7 + number) % 13 + 2},{row % 17 / 10},{str(row % 3 == 0).lower()}" for row in range(20))
        (folder / f"data/{name}.csv").write_text("row,alcohol,ash,good\n" + "\n".join(rows) + "\n")
        (folder / f"datasets/{name}").mkdir(parents=True)
        (folder / f"datasets/{name}/dataset.yaml").write_text(DATASET.format(name=name))
        add(project, Addition(name, None, "Ann <ann@example.org>"))


def write_project(folder: Path, models: int, datasets: int, staged: int) -> list[str]:
    """Write and commit everything, ten models a commit; return the commits."""
    (folder / ".mlops").mkdir(parents=True)
    (folder / ".mlops/config.yaml").write_text(CONFIG)
    (folder / ".gitignore").write_text(".mlops/store/\n.mlops/state/\n")
    git(folder, "init", "-q", "-b", "main")
    for key, value in (("user.name", "Ann"), ("user.email", "ann@example.org"), ("gc.auto", "0")):
        git(folder, "config", key, value)
    write_datasets(folder, datasets)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Add datasets")
    commits = []
    for first in range(0, models, TOGETHER):
        last = min(first + TOGETHER, models)
        for number in range(first, last):
            write_model(folder, number, datasets, staged=number < staged)
        git(folder, "add", "models")
        git(folder, "commit", "-q", "-m", f"Add models {first} to {last - 1}")
        commits.append(git(folder, "rev-parse", "HEAD").strip())
    return commits


def write_commits(folder: Path, count: int) -> list[str]:
    """Add `count` commits to main that change no file, and return them."""
    raw = open_repository(folder, durable=False).raw
    head = raw[raw.head.target]
    who, made = raw.default_signature, []
    for number in range(count):
        parents = [made[-1] if made else head.id]
        made.append(raw.create_commit(None, who, who, f"Tune models, step {number}\n", head.tree.id, parents))
    if made:
        raw.references.get("refs/heads/main").set_target(made[-1])
    return [str(commit) for commit in made]


class Batch:
    """Appends records with the ledger's own writer, and now and then packs their objects and moves the branch."""

    def __init__(self, folder: Path, project: Project) -> None:
        self._repository = open_repository(folder, durable=False)
        self._objects = Unpacked(folder)
        self._repository.raw.odb.add_backend(self._objects, 9)
        project.worktree.repository.raw.odb.add_backend(Unpacked(folder, self._objects), 9)
        identity = find_identity(self._repository)
        hand = Hand(identity, "custody (generated)", self.clock, render_readme)
        reader = Reader(self._repository, threading.RLock())
        standing = Standing(self._repository, project.config)
        self.count = 0
        self.writer = Writer(standing, project.config, Index(self._repository), reader, hand)
        self.head = self._moved = self.writer.head_to_append()
        self.ref = f"refs/heads/{project.config.ledger}"

    def clock(self) -> datetime:
        return BEGAN + timedelta(minutes=self.count)

    def append(self, record: Record) -> str:
        self.head = self.writer.write(self.head, record.model, record)
        self.count += 1
        if self.count % TOGETHER_PACKED == 0:
            self.flush()
        return self.head

    def flush(self) -> None:
        self._objects.pack()
        if self.head != self._moved and not move_ref(self._repository, self.ref, self._moved, self.head, "custody"):
            raise SystemExit("the ledger was moved by somebody else")
        self._moved = self.head


def step_records(inputs: dict[str, dict[str, Any]], salt: float) -> dict[str, StepRecord]:
    """Return what came of the steps of one run: real keys, invented results."""
    outputs: dict[str, Ref] = {}
    found = {}
    for step, kind in zip(STEPS, KINDS, strict=True):
        upstream = {role: outputs[maker].digest for role, maker in UPSTREAM[step].items()}
        key = step_key(step, inputs[step], upstream)
        object_id = hashlib.sha256(key.encode()).hexdigest()
        digest = inputs["fetch"]["logical"] if step == "fetch" else object_id
        outputs[step] = Ref(kind, digest, object_id)
        output = StepOutput(outputs[step], facts=facts_of(step, salt))
        found[step] = StepRecord(
            step, StepStatus.DONE, key, inputs[step], upstream, output, seconds=0.25, cpu=0.2, memory=150_000_000
        )
    return found


def facts_of(step: str, salt: float) -> dict[str, Any]:
    if step == "train":
        return {"rows": 1500, "dropped": 0, "environment": ENVIRONMENT}
    if step == "evaluate":
        metrics = {name: round(0.85 + salt / (7 + place), 6) for place, name in enumerate(METRICS)}
        return {"n": 500, "metrics": metrics, "slices": {}}
    return {}


METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "average_precision", "brier")
ENVIRONMENT = {
    "python": "3.11.7",
    "implementation": "CPython",
    "platform": "linux-x86_64",
    "distributions": [f"library-{number}=={number}.{number % 3}.1" for number in range(14)],
    "threads": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1, "MKL_NUM_THREADS": 1},
}


class Maker:
    """Makes the records of all models."""

    def __init__(self, project: Project, commits: list[str]) -> None:
        self.prepared = prepare(project, commits[-1])
        self.spec: Spec = self.prepared.spec
        self.code = self.prepared.code
        read, models = self.prepared.read, project.config.models
        self.digests = digests(self.code, State(), read, project.worktree.blob_bytes, models)
        self.project = project
        self.blob = project.worktree.blob
        self.commits = commits
        self.made = 0

    def data(self, commit: str) -> Iterator[Record]:
        for dataset in self.spec.datasets.values():
            for manifest in dataset.versions.values():
                yield data_record(self._id(), manifest, self._source(commit), at(0), dataset.classification)

    def run(self, number: int, head: str | None, former: int | None = None) -> tuple[Run, Record]:
        """Return a run of the spec as it stands, recorded on `head`, or of one of its former parameters."""
        model = self.spec.models[name_of(number)]
        commit = self.commits[number // TOGETHER]
        if former is not None:
            commit = self.tuned[former // NOTED]
            with_ = {**model.train.with_, "learning_rate": round(0.2 + former / 10**6, 7)}
            model = replace(model, train=replace(model.train, with_=with_))
        run = self._run(model, commit, (self.made * 7919 % 1000) / 1000)
        if former is None:
            run = with_basis(self.project, self.prepared, run, head)
        manifest = self.spec.resolve(model.dataset)
        features = features_of(model, self.spec.datasets[model.dataset.name], manifest)
        return run, run_record(run, dump_model(model, manifest, features), self._source(commit), "roc_auc", None)

    def decisions(self, run: Run, run_commit: str) -> Iterator[Callable[[ModelState], Record | None]]:
        source, when = self._source(run.code or ""), at(self.made)
        yield lambda state: register_record(self._id(), run, state, when, run_commit, source)
        move = StageMove("production", None, run.id)
        yield lambda state: promotion_record(self._id(), move, state, source, when, run_commit)

    def _run(self, model: ModelSpec, commit: str, salt: float) -> Run:
        dataset, manifest = self.spec.datasets[model.dataset.name], self.spec.resolve(model.dataset)
        inputs = step_inputs(model, dataset, manifest, self.digests.get(model.name, {}))
        steps = step_records(inputs, salt)
        facts = steps["evaluate"].output.facts
        code = self.code.get(model.name, {})
        files = {path: self.blob(None, path) for item in code.values() for path in item.files}
        verdict = judge(limits_of(model), facts, None)
        return Run(
            id=self._id(),
            model=model.name,
            status=RunStatus.PASSED,
            code=commit,
            data={
                "dataset": manifest.dataset,
                "version": manifest.version,
                "logical": manifest.logical,
                "rows": manifest.rows,
                "classification": dataset.classification,
            },
            steps=steps,
            metadata=metadata_of(model, manifest),
            limits=limits_of(model),
            category="retrain",
            params=dict(model.train.with_),
            seed=model.seed,
            artifact=steps["train"].output.ref.object,
            metrics=facts["metrics"],
            verdict=verdict,
            closure=files,
            environment={**ENVIRONMENT, "lock": None},
            started=at(self.made),
            finished=at(self.made),
            seconds=1.5,
            actor="Ann <ann@example.org>",
        )

    def _source(self, commit: str) -> Source:
        return Source(commit, "Ann <ann@example.org>")

    def _id(self) -> str:
        self.made += 1
        return hashlib.sha256(f"record {self.made}".encode()).hexdigest()[:16]

    tuned: list[str]


def at(minutes: int) -> str:
    return (BEGAN + timedelta(minutes=minutes)).isoformat()


def write_ledger(folder: Path, models: int, records: int, staged: int, commits: list[str]) -> int:
    """Write all records; return how many there are."""
    project = open_project(folder)
    former = max(0, records - models - 2 * staged - len(list((folder / "datasets").iterdir())))
    maker, batch = Maker(project, commits), Batch(folder, project)
    maker.tuned = write_commits(folder, -(-former // NOTED))
    for record in maker.data(commits[0]):
        batch.append(record)
    for number in range(former):
        batch.append(maker.run(number % models, batch.head, number)[1])
    for number in range(models):
        run, record = maker.run(number, batch.head)
        commit = batch.append(record)
        if number < staged:
            state = ModelState(run.model)
            register, promote = maker.decisions(run, commit)
            batch.append(register(state))
            state = batch.writer._reader.model(batch.head, run.model)
            batch.append(promote(state))
    batch.flush()
    batch.writer.rebuild_notes()
    batch.flush()
    git(folder, "repack", "-a", "-d", "-q")
    git(folder, "pack-refs", "--all")
    return batch.count


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def generate(folder: Path, models: int, records: int, datasets: int | None = None) -> int:
    """Make the repository in `folder`, a new one; return how many records its ledger has."""
    datasets = datasets or max(1, models // TOGETHER)
    least = models + datasets
    if records < least:
        raise SystemExit(
            f"{models} models need at least {least} records: one run each, and {datasets} dataset versions"
        )
    staged = min(models, (records - least) // 2)
    folder.mkdir(parents=True)
    commits = write_project(folder, models, datasets, staged)
    return write_ledger(folder, models, records, staged, commits)


def check(folder: Path) -> str:
    """Return what `custody plan` says there; it has to be that there is nothing to do."""
    done = subprocess.run(
        [sys.executable, "-m", "custody.cli.main", "plan"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode or "\nNothing to do: " not in done.stdout:
        raise SystemExit(f"the generated repository is not in order:\n{done.stdout[:2000]}{done.stderr[:2000]}")
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--records", type=int, help="default: what the models need")
    parser.add_argument("--datasets", type=int)
    options = parser.parse_args()
    os.environ["NO_COLOR"] = "1"
    began = time.perf_counter()
    datasets = options.datasets or max(1, options.models // TOGETHER)
    wanted = options.records or 3 * options.models + datasets
    count = generate(options.folder, options.models, wanted, datasets)
    print(f"{options.models} models, {count} records in {time.perf_counter() - began:.0f} s")
    print(check(options.folder))


if __name__ == "__main__":
    main()
