"""Where a run comes from: what it records of the spec, the data, the code, the environment and the people behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.who import source_behind, source_of
from custody.core.attempts import attempts_after
from custody.core.difference import metadata_of, monitors_of
from custody.core.gates import limits_of
from custody.core.keys import features_of
from custody.core.locked import locked_with
from custody.core.recording import Source
from custody.domain.graph import StepRecord
from custody.domain.plan import Change
from custody.domain.record import Run, RunStatus
from custody.domain.spec import ModelSpec, spec_files
from custody.spec.dump import dump_model


class Origin:
    """What the runs of one apply are made from. A later wave brings a `prepared` of its own."""

    def __init__(self, project: Project, prepared: Prepared) -> None:
        self.prepared = prepared
        self._project = project
        self._ledger = project.ledger
        self._started = project.now()
        self._sources: dict[str, Source] = {}

    @cached_property
    def source(self) -> Source:
        """The spec commit and the people behind it."""
        return source_of(self._project, self._project.worktree.commit(self.prepared.plan.spec_commit or "HEAD"))

    @property
    def tree(self) -> str:
        """The commit, or the tree of a trial, that all files were read from."""
        return self.source.commit

    def source_for(self, model: str) -> Source:
        """The spec commit, and the people behind the files of one model."""
        if model not in self._sources:
            code = self.prepared.code.get(model, {})
            files = sorted({path for item in code.values() for path, value in item.files.items() if value})
            declared = self.prepared.spec.models.get(model)
            specs = spec_files(f"{self._project.config.models}/{model}", declared.profile if declared else None)
            paths, known = (*specs, *files), self.source
            self._sources[model] = source_behind(self._project, known, paths) if known.behalf else known
        return self._sources[model]

    def run(self, change: Change, run_id: str, steps: tuple[StepRecord, ...], status: RunStatus) -> Run:
        """Return the run of a change with the steps that were done; times and verdict are still to come."""
        by_name = {step.step: step for step in steps}
        evaluate, train = by_name.get("evaluate"), by_name.get("train")
        artifact = train.output.ref.object if train and train.usable and train.output else None
        facts = evaluate.output.facts if evaluate and evaluate.usable and evaluate.output else {}
        return Run(
            id=run_id,
            status=status,
            code=self.source.commit,
            category=change.category.word,
            reasons=tuple(reason.to_dict() for reason in change.reasons),
            artifact=artifact,
            metrics=facts.get("metrics", {}),
            environment=self._environment(change, train),
            asked=change.asked,
            attempts=attempts_after(status, change.failed, [step.error or "" for step in steps]),
            plan=self.prepared.plan.id,
            started=self._started,
            actor=self._project.job.actor or self._ledger.actor,
            steps=by_name,
            **self.declared(change),
        )

    def declared(self, change: Change) -> dict[str, Any]:
        """Return what a run records of the spec as it stands."""
        name, model = change.model, self.prepared.spec.models[change.model]
        manifest = self.prepared.spec.resolve(model.dataset)
        data: dict[str, Any] = {}
        if manifest:
            data = {
                "dataset": manifest.dataset,
                "version": manifest.version,
                "logical": manifest.logical,
                "rows": manifest.rows,
                "classification": self.prepared.spec.datasets[manifest.dataset].classification,
            }
        if change.inputs:
            data["inputs"] = {column: dict(item) for column, item in change.inputs.items()}
        return {
            "model": name,
            "data": data,
            "limits": limits_of(model),
            "params": dict(model.train.with_),
            "seed": model.seed,
            "closure": self._closure(name),
            **self.description(name),
        }

    def description(self, name: str) -> dict[str, Any]:
        """Return what a model says of itself that no step reads: `metadata` and `monitors`."""
        model = self._model(name)
        manifest = self.prepared.spec.resolve(model.dataset)
        return {"metadata": metadata_of(model, manifest) if manifest else {}, "monitors": monitors_of(model)}

    def spec(self, name: str) -> bytes:
        """Return the resolved spec of a model, as it is kept on the ledger; empty where its data is unknown."""
        model, spec = self._model(name), self.prepared.spec
        manifest = spec.resolve(model.dataset)
        if manifest is None:
            return b""
        return dump_model(model, manifest, features_of(model, spec.datasets[model.dataset.name], manifest))

    def _closure(self, name: str) -> dict[str, str | None]:
        """The blob id of each file of the model's own code; None for what was looked up and is absent."""
        commit = self.tree
        code = self.prepared.code.get(name, {})
        files = {path: value for item in code.values() for path, value in item.files.items()}
        worktree = self._project.worktree
        return {path: worktree.blob(commit, path) if value else None for path, value in sorted(files.items())}

    def _environment(self, change: Change, train: StepRecord | None) -> Mapping[str, Any]:
        """What the process consisted of that trained the model, and what was locked then."""
        measured = train.output.facts.get("environment", {}) if train and train.output else {}
        entry = self._ledger.find_entry(train.source) if train and train.source else None
        made = self._ledger.run(entry) if entry else None
        return {**measured, **locked_with(change, made, self.prepared.lock)}

    def _model(self, name: str) -> ModelSpec:
        return self.prepared.spec.models[name]
