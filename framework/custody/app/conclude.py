"""Conclude: from what came of a model to its records on the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.steps import Running
from custody.core.difference import metadata_of
from custody.core.gates import judge, limits_of
from custody.core.keys import features_of
from custody.core.recording import (
    Source,
    metadata_record,
    primary_metric,
    promotion_record,
    register_record,
    retire_record,
    run_record,
    verdict_record,
)
from custody.domain.graph import Outcome, StepRecord, StepStatus
from custody.domain.plan import Category, Change, StageMove
from custody.domain.record import Failure, ModelState, Record, Run, RunStatus
from custody.domain.spec import ModelSpec
from custody.spec.dump import dump_model

PRODUCTION = "production"
_REFUSED = {
    "purpose.refused": "is not allowed",
    "version.edited": "was edited after it was recorded",
    "stage.unknown": "is not a registered version or run",
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What was recorded for one model: the run, whether it ran now, the commit of its record, and the decisions."""

    run: Run | None
    commit: str | None = None
    ran: bool = False
    registered: str | None = None
    promoted: tuple[StageMove, ...] = ()
    note: str = ""


class Recorder:
    """Appends the records of one apply."""

    def __init__(self, project: Project, prepared: Prepared) -> None:
        self._project = project
        self._prepared = prepared
        self._ledger = project.ledger
        self._started = project.now()

    @cached_property
    def source(self) -> Source:
        """The spec commit and the people behind it."""
        revision = self._prepared.plan.spec_commit or "HEAD"
        commit = self._project.worktree.commit(revision)
        merged = "" if commit.committer == commit.author else f"; committed by {commit.committer}"
        return Source(commit.id, f"{commit.author}{merged}")

    def header(self, change: Change, run_id: str) -> dict[str, Any]:
        """Return what an intent keeps so that a run that dies can be recorded by the next command."""
        run = self._run(change, run_id, (), RunStatus.CRASHED)
        return {"run": run.to_dict(), "spec": self._spec(change.model).decode(), "behalf": self.source.behalf}

    def conclude(self, change: Change, running: Running, outcome: Outcome) -> Conclusion:
        """Record what an engine made of a model, then register and promote it where its gates pass."""
        conclusion = self._record_run(change, running.id, outcome)
        running.intent.close()
        return conclusion

    def settle(self, change: Change) -> Conclusion:
        """Record a change that needs no step process."""
        match change.category:
            case Category.BLOCKED:
                return self._block(change)
            case Category.RETIRE:
                commit = self._ledger.decide(change.model, lambda state: retire_record(_new_id(), state, self.source))
                return Conclusion(None, commit, promoted=change.moves)
            case Category.METADATA:
                return self._describe(change)
            case Category.REGATE:
                return self._judge_again(change)
            case Category.PROMOTE | Category.ROLLBACK:
                run = self._recorded(change)
                described = any(reason.code == "metadata.changed" for reason in change.reasons)
                commit = self._describe(change).commit if described else None
                return self._decide(Conclusion(run, commit), change.moves)
            case _:
                known = tuple(step.known for step in change.steps if step.known)
                return self._record_run(change, _new_id(), Outcome(change.model, known))

    def _record_run(self, change: Change, run_id: str, outcome: Outcome) -> Conclusion:
        status = RunStatus.INTERRUPTED if outcome.cancelled else RunStatus.FAILED
        run = self._run(change, run_id, outcome.steps, status)
        run = replace(run, finished=self._project.now(), seconds=round(outcome.seconds, 3))
        if not outcome.cancelled and outcome.failed is None:
            run = self._judged(run)
        else:
            run = replace(run, failure=_failure(outcome))
        metric = primary_metric(self._prepared.spec.models.get(change.model), run)
        production = self._production(change.model)
        before = production.metrics.get(metric or "") if production else None
        commit = self._ledger.append(run_record(run, self._spec(change.model), self.source, metric, before))
        conclusion = Conclusion(run, commit, ran=True, note=run.failure.error if run.failure else "")
        return self._decide(conclusion, change.moves) if run.status is RunStatus.PASSED else conclusion

    def _judged(self, run: Run) -> Run:
        """Judge the stored evaluation by the declared limits, against the run in production at this moment."""
        evaluation = run.steps["evaluate"].output
        production = self._production(run.model)
        verdict = judge(
            limits_of(self._prepared.spec.models[run.model]),
            evaluation.facts if evaluation else {},
            production.metrics if production else None,
            production.id if production else None,
        )
        return replace(run, verdict=verdict, status=RunStatus.PASSED if verdict.passed else RunStatus.REJECTED)

    def _judge_again(self, change: Change) -> Conclusion:
        recorded = self._recorded(change)
        run = self._judged(replace(recorded, **self._declared(change.model)))
        run_commit = self._ledger.commit_of(run.id)
        record = verdict_record(_new_id(), run, self._spec(change.model), self.source, run_commit)
        conclusion = Conclusion(run, self._ledger.append(record))
        return self._decide(conclusion, change.moves) if run.status is RunStatus.PASSED else conclusion

    def _describe(self, change: Change) -> Conclusion:
        recorded = self._recorded(change)
        run = replace(recorded, metadata=self._metadata(change.model))
        reasons = [reason.to_dict() for reason in change.reasons if reason.code == "metadata.changed"]
        record = metadata_record(_new_id(), run, self._spec(change.model), self.source, reasons)
        return Conclusion(run, self._ledger.append(record))

    def _block(self, change: Change) -> Conclusion:
        """Record a refusal, once for each cause."""
        reason = change.reasons[0]
        error = f"{reason.subject} {_REFUSED[reason.code]}: {reason.note}"
        last = self._state(change.model).run
        if last and last.status is RunStatus.BLOCKED and last.failure and last.failure.error == error:
            return Conclusion(last, self._ledger.commit_of(last.id), note=error)
        run = self._run(change, _new_id(), (), RunStatus.BLOCKED)
        run = replace(run, failure=Failure("plan", error), finished=self._project.now())
        commit = self._ledger.append(run_record(run, self._spec(change.model), self.source, None, None))
        return Conclusion(run, commit, note=error)

    def _decide(self, conclusion: Conclusion, moves: tuple[StageMove, ...]) -> Conclusion:
        """Register the run, then move the stages; each is a decision of its own on the freshest head."""
        run = conclusion.run
        if run is None:
            return conclusion
        run_commit = self._ledger.commit_of(run.id)
        if run.status is RunStatus.PASSED:
            self._ledger.decide(
                run.model, lambda state: register_record(_new_id(), run, state, self._project.now(), run_commit)
            )
        promoted = tuple(done for move in moves if (done := self._move(run, move, run_commit)))
        return replace(conclusion, registered=self._state(run.model).version_of(run.id), promoted=promoted)

    def _move(self, run: Run, move: StageMove, run_commit: str | None) -> StageMove | None:
        target = move if move.cleared else replace(move, run=move.run or run.id)
        record_id, at = _new_id(), self._project.now()

        def make(state: ModelState) -> Record | None:
            return promotion_record(record_id, target, state, self.source, at, run_commit)

        if self._ledger.decide(run.model, make) is None:
            return None
        version = self._state(run.model).version_of(target.run) if target.run else None
        return replace(target, version=version)

    def _run(self, change: Change, run_id: str, steps: tuple[StepRecord, ...], status: RunStatus) -> Run:
        model = self._prepared.spec.models[change.model]
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
            environment=self._environment(train),
            plan=self._prepared.plan.id,
            started=self._started,
            actor=self._ledger.actor,
            steps=by_name,
            **self._declared(model.name),
        )

    def _declared(self, name: str) -> dict[str, Any]:
        """What a run records of the spec as it stands."""
        model = self._prepared.spec.models[name]
        manifest = self._prepared.spec.resolve(model.dataset)
        data: dict[str, Any] = {}
        if manifest:
            data = {
                "dataset": manifest.dataset,
                "version": manifest.version,
                "logical": manifest.logical,
                "rows": manifest.rows,
            }
        return {
            "model": name,
            "data": data,
            "limits": limits_of(model),
            "params": dict(model.train.with_),
            "seed": model.seed,
            "closure": self._closure(name),
            "metadata": self._metadata(name),
        }

    def _closure(self, name: str) -> dict[str, str | None]:
        """The blob id of each file of the model's own code; None for what was looked up and is absent."""
        commit = self.source.commit
        code = self._prepared.code.get(name, {})
        files = {path: value for item in code.values() for path, value in item.files.items()}
        worktree = self._project.worktree
        return {path: worktree.blob(commit, path) if value else None for path, value in sorted(files.items())}

    def _environment(self, train: StepRecord | None) -> Mapping[str, Any]:
        measured = train.output.facts.get("environment", {}) if train and train.output else {}
        lock = self._prepared.spec.config.lock
        blob = self._project.worktree.blob(self.source.commit, lock) if lock else None
        return {**measured, "lock": blob} if measured else {}

    def _metadata(self, name: str) -> dict[str, Any]:
        model = self._model(name)
        manifest = self._prepared.spec.resolve(model.dataset)
        return metadata_of(model, manifest) if manifest else {}

    def _spec(self, name: str) -> bytes:
        model, spec = self._model(name), self._prepared.spec
        manifest = spec.resolve(model.dataset)
        if manifest is None:
            return b""
        return dump_model(model, manifest, features_of(model, spec.datasets[model.dataset.name], manifest))

    def _model(self, name: str) -> ModelSpec:
        return self._prepared.spec.models[name]

    def _recorded(self, change: Change) -> Run:
        """The recorded run that a change is about, with its last verdict."""
        state = self._state(change.model)
        if state.run and state.run.id == change.run:
            return state.run
        entry = self._ledger.find_entry(change.run or "")
        key = str(change.steps[-1].key)
        runs = (run for run in self._ledger.runs_with_key(change.model, key) if run.id == change.run)
        run = next(runs, None) or (self._ledger.run(entry) if entry else None)
        if run is None:
            raise LookupError(f"run {change.run} of {change.model} is planned and not on the ledger")
        return run

    def _production(self, name: str) -> Run | None:
        """The run that `production` (else the first stage) points to now, with its recorded metrics."""
        state = self._state(name)
        pointer = state.stages.get(PRODUCTION) or next(iter(state.stages.values()), None)
        if pointer is None:
            return None
        if state.run and state.run.id == pointer.run:
            return state.run
        entry = self._ledger.find_entry(pointer.run)
        return self._ledger.run(entry) if entry else None

    def _state(self, name: str) -> ModelState:
        return self._ledger.model(name)


def _failure(outcome: Outcome) -> Failure:
    failed = outcome.failed
    if failed is None or failed.status is StepStatus.CANCELLED:
        step = failed.step if failed else "start"
        return Failure(step, "cancelled", failed.log if failed else None)
    return Failure(failed.step, failed.error or str(failed.status), failed.log)


def _new_id() -> str:
    return secrets.token_hex(8)
