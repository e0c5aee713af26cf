"""A wave: the graph of all models that have steps to run, with an intent on disk for each of their runs."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.code import materialise
from custody.app.conclude import Recorder
from custody.app.ingest import contract
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.steps import Running, RunSteps
from custody.core.compiler import compile_graph
from custody.domain.graph import Graph
from custody.domain.plan import Change
from custody.domain.spec import Spec
from custody.errors import CustodyError
from custody.ledger.intents import Intents


@dataclass(frozen=True, slots=True)
class Wave:
    """What the engine is given, and the runs that it is for, by model."""

    graph: Graph
    steps: RunSteps
    changes: Mapping[str, Change]
    runs: Mapping[str, Running]

    def close(self) -> None:
        """Let go of the intents that are left; those of runs without a record stay for the next command."""
        for run in self.runs.values():
            run.intent.release()


def wave_of(project: Project, prepared: Prepared, recorder: Recorder) -> Wave | None:
    """Return the wave of a plan; None where no step has to run. Opens the intents.

    Raises StoreError or CustodyError where nothing could be kept, before anything has begun.
    """
    changes = {change.model: change for change in prepared.plan.active if change.to_run}
    if not changes:
        return None
    project.store.ready()
    _writable(project.state_dir)
    graph = compile_graph(
        changes.values(), prepared.spec.models, lambda model, step: settings_of(project, prepared.spec, model, step)
    )
    runs = {name: _running(project, prepared, recorder, change) for name, change in changes.items()}
    return Wave(graph, run_steps(project, prepared, runs), changes, runs)


def run_steps(project: Project, prepared: Prepared, runs: Mapping[str, Running]) -> RunSteps:
    """Return what does the steps of `runs`, with the project's store and logs."""
    return RunSteps(
        runs,
        prepared.lookup,
        project.store,
        project.root / ".mlops" / "store",
        project.state_dir / "logs",
        prepared.spec.config.extensions,
    )


def _writable(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            return
    except OSError as error:
        message = f"the state folder {state} cannot be written to: {error.strerror}"
        raise CustodyError(message, code="E608", help=(f"df -h {state.parent}", f"ls -ld {state}")) from error


def _running(project: Project, prepared: Prepared, recorder: Recorder, change: Change) -> Running:
    model = prepared.spec.models[change.model]
    run_id = secrets.token_hex(8)
    code = prepared.code.get(model.name)
    folder = materialise(code, prepared.read, project.state_dir / "code") if code else None
    intent = Intents(project.worktree.common_dir).open(run_id, recorder.header(change, run_id))
    return Running(run_id, intent, model.directory, folder)


def settings_of(project: Project, spec: Spec, name: str, step: str) -> Mapping[str, Any]:
    """Return what a step of the model `name` is told beside the inputs of its key."""
    model = spec.models[name]
    dataset, manifest = spec.datasets[model.dataset.name], spec.resolve(model.dataset)
    match step:
        case "fetch" if manifest is not None:
            source = dataset.source
            return {
                "dataset": dataset.name,
                "version": manifest.version,
                "purpose": model.purpose,
                "purposes": list(dataset.purposes),
                "root": str(project.root),
                "file": manifest.files[0].sha256,
                "rows": manifest.rows,
                "key": dataset.key,
                "time": dataset.time,
                "source": {"uses": source.name, "with": dict(source.with_)} if source else None,
                "columns": contract(dataset),
                "digests": {column: facts.get("digest") for column, facts in manifest.columns.items()},
                "kinds": {column: facts.get("kind") for column, facts in manifest.columns.items()},
                "raw": dict(manifest.source),
            }
        case "validate":
            return {"sensitive": sorted(column.name for column in dataset.columns.values() if column.sensitive)}
        case "prepare":
            from custody.spec.estimators import locate
            from custody.spec.preparation import named

            return {"transformers": {name: locate(name) for name in named(model.prepare)}}
        case "train":
            from custody.spec.estimators import locate

            return {"estimator": locate(model.train.name)}
        case "evaluate" if manifest is not None and dataset.key in manifest.stored_columns:
            return {"key": dataset.key}
        case _:
            return {}
