"""Small specs and recorded runs for tests of the core, made from keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from custody.core.difference import metadata_of, monitors_of
from custody.core.gates import judge, limits_of
from custody.core.keys import UPSTREAM, step_inputs, step_key
from custody.core.subject import Lookup
from custody.digest import digest
from custody.domain.graph import STEPS, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.problem import Place
from custody.domain.record import ModelState, Run, RunStatus, StagePointer, State, Version
from custody.domain.spec import (
    Config,
    DatasetRef,
    DatasetSpec,
    Document,
    Manifest,
    MetricGate,
    ModelSpec,
    Spec,
    Split,
    SplitKind,
    StoredFile,
    Task,
)
from custody.domain.uses import Uses

METRICS = {"roc_auc": 0.9, "accuracy": 0.8}
EVERYTHING = Lookup(step=lambda _: None, runs=lambda _model, _key: (), has=lambda _: True)


def document(kind: str, path: str) -> Document:
    return Document(kind, path, {}, {"stages": Place(path, 1, 1)})


def manifest(version: str = "v1", logical: str = "a" * 64, rows: int = 100) -> Manifest:
    columns: Mapping[str, Mapping[str, Any]] = {name: {"kind": "number"} for name in ("id", "age", "plan", "churned")}
    file = StoredFile("part-0.parquet", 10, digest(logical))
    return Manifest("customers", version, 1, rows, logical, (file,), columns, {}, "2026-01-01T00:00:00Z", "ann")


def dataset(*versions: Manifest, purposes: tuple[str, ...] = ("retention",)) -> DatasetSpec:
    known = versions or (manifest(),)
    doc = document("dataset", "datasets/customers/dataset.yaml")
    return DatasetSpec(
        "customers",
        "datasets/customers",
        "crm",
        purposes,
        doc,
        key="id",
        versions={item.version: item for item in known},
    )


def model(**changes: Any) -> ModelSpec:
    made = ModelSpec(
        name="churn",
        directory="models/churn",
        owner="growth",
        purpose="retention",
        task=Task.CLASSIFICATION,
        target="churned",
        dataset=DatasetRef("customers", "v1"),
        split=Split(SplitKind.RANDOM, 0.2, seed=1),
        train=Uses("sklearn.Ridge", {"alpha": 1.0}),
        prepare=Uses("tabular"),
        documents={
            kind: document(kind, f"models/churn/{kind}.yaml") for kind in ("model", "data", "pipeline", "gates")
        },
        stages={"production": "auto"},
        metrics=(MetricGate("roc_auc", min=0.8),),
    )
    return replace(made, **changes)


def spec(item: ModelSpec | None, data: DatasetSpec | None = None) -> Spec:
    models = {item.name: item} if item else {}
    return Spec(Config("id"), models, {"customers": data or dataset()})


def records(
    item: ModelSpec, data: DatasetSpec | None = None, *, code: Mapping[str, str | None] | None = None
) -> dict[str, StepRecord]:
    """Every step done, each output's digest made from its key."""
    data = data or dataset()
    version = data.versions[item.dataset.version]
    return made(step_inputs(item, data, version, code or {}), version.logical)


def made(inputs: Mapping[str, Mapping[str, Any]], logical: str) -> dict[str, StepRecord]:
    """Every step done with these inputs."""
    outputs: dict[str, str] = {}
    done = {}
    for step in STEPS:
        upstream = {role: outputs[maker] for role, maker in UPSTREAM[step].items()}
        key = step_key(step, inputs[step], upstream)
        outputs[step] = logical if step == "fetch" else digest(["output", key])
        facts = {"metrics": METRICS, "n": 20, "slices": {}} if step == "evaluate" else {}
        output = StepOutput(Ref(step, outputs[step], digest(["bytes", outputs[step]])), facts=facts)
        done[step] = StepRecord(step, StepStatus.DONE, key, inputs[step], upstream, output, seconds=1.0)
    return done


def run(item: ModelSpec, data: DatasetSpec | None = None, run_id: str = "1" * 16, **changes: Any) -> Run:
    data = data or dataset()
    version = data.versions[item.dataset.version]
    verdict = judge(limits_of(item), {"metrics": METRICS, "n": 20, "slices": {}})
    made = Run(
        id=run_id,
        model=item.name,
        status=RunStatus.PASSED if verdict.passed else RunStatus.REJECTED,
        code="c" * 40,
        data={"dataset": "customers", "version": version.version, "logical": version.logical, "rows": version.rows},
        steps=records(item, data),
        metadata=metadata_of(item, version),
        monitors=monitors_of(item),
        limits=limits_of(item),
        metrics=METRICS,
        verdict=verdict,
    )
    return replace(made, **changes)


def state(last: Run, *versions: Run, production: Run | None = None) -> State:
    """The state after `last`, with `versions` registered in order and `production` (default: the last of them)."""
    named = {f"v{number}": Version(f"v{number}", item.id, None, "r") for number, item in enumerate(versions, 1)}
    live = production or (versions[-1] if versions else None)
    label = next((name for name, item in named.items() if live and item.run == live.id), "")
    stages = {"production": StagePointer(live.id, label, "r", "2026")} if live else {}
    return State("h" * 40, {last.model: ModelState(last.model, last, stages, named, 3)}, {})


def lookup(*runs: Run, missing: tuple[str, ...] = ()) -> Lookup:
    """A lookup over `runs`, newest last; objects in `missing` have been lost by the store."""

    def step(key: str) -> tuple[str, StepRecord] | None:
        found = [
            (item.id, record) for item in runs for record in item.steps.values() if record.key == key and record.usable
        ]
        return found[-1] if found else None

    def with_key(name: str, key: str) -> list[Run]:
        return [item for item in reversed(runs) if item.model == name and item.key == key]

    return Lookup(step, with_key, lambda item: item not in missing)
