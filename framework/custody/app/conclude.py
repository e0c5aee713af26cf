"""Conclude: from what came of a model to its records on the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from custody.app.decide import Decisions, Wanted
from custody.app.meanwhile import made_meanwhile, overtaken
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.steps import Running
from custody.app.who import source_behind, source_of
from custody.core.attempts import attempts_after
from custody.core.difference import metadata_of
from custody.core.gates import judge, limits_of
from custody.core.keys import features_of
from custody.core.locked import locked_with
from custody.core.recording import (
    Source,
    failure_of,
    metadata_record,
    primary_metric,
    promotion_record,
    refusal,
    register_record,
    retire_record,
    run_record,
    verdict_record,
)
from custody.core.stages import possible
from custody.domain.graph import Outcome, StepRecord, StepStatus
from custody.domain.plan import Category, Change, StageMove
from custody.domain.ports import Decision
from custody.domain.record import Failure, ModelState, Record, Run, RunStatus
from custody.domain.spec import ModelSpec, spec_files
from custody.spec.dump import dump_model

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What was recorded for one model: the run, whether it ran and was judged now, the commit, and the decisions.

    `asked` are the moves that are wanted, by the id of their record; `registered` and `promoted` are told once landed.
    """

    run: Run | None
    commit: str | None = None
    ran: bool = False
    registered: str | None = None
    promoted: tuple[StageMove, ...] = ()
    note: str = ""
    judged: bool = False
    asked: tuple[tuple[str, StageMove], ...] = ()


class Recorder:
    """Appends the records of one apply."""

    def __init__(self, project: Project, prepared: Prepared) -> None:
        self._project = project
        self._prepared = prepared
        self._ledger = project.ledger
        self._started = project.now()
        self._why_not: dict[str, str] = {}
        self.decisions = Decisions(project.ledger)
        self._sources: dict[str, Source] = {}

    def go_on(self, prepared: Prepared) -> None:
        """Go on with a later wave, which was planned on what has been decided by now."""
        self._prepared = prepared

    @cached_property
    def source(self) -> Source:
        """The spec commit and the people behind it."""
        return source_of(self._project, self._project.worktree.commit(self._prepared.plan.spec_commit or "HEAD"))

    @property
    def tree(self) -> str:
        """The commit, or the tree of a trial, that all files were read from."""
        return self.source.commit

    def source_for(self, model: str) -> Source:
        """The spec commit, and the people behind the files of one model."""
        if model not in self._sources:
            code = self._prepared.code.get(model, {})
            files = sorted({path for item in code.values() for path, value in item.files.items() if value})
            declared = self._prepared.spec.models.get(model)
            specs = spec_files(f"{self._project.config.models}/{model}", declared.profile if declared else None)
            paths, known = (*specs, *files), self.source
            self._sources[model] = source_behind(self._project, known, paths) if known.behalf else known
        return self._sources[model]

    def header(self, change: Change, run_id: str) -> dict[str, Any]:
        """Return what an intent keeps so that a run that dies can be recorded by the next command."""
        run = self._run(change, run_id, (), RunStatus.CRASHED)
        return {
            "run": run.to_dict(),
            "spec": self._spec(change.model).decode(),
            "source": self.source_for(change.model).to_dict(),
        }

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
                return self._retire(change)
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
        run = self._ended(change, run_id, outcome)
        note = run.failure.error if run.failure else self._adoption(run)
        conclusion = Conclusion(run, self._append(run), ran=True, note=note, judged=True)
        return self._decide(conclusion, possible(change.moves, run))

    def _ended(self, change: Change, run_id: str, outcome: Outcome) -> Run:
        """Return the run as it came out, judged where all of its steps ended well."""
        status = RunStatus.INTERRUPTED if outcome.cancelled else RunStatus.FAILED
        run = self._run(change, run_id, outcome.steps, status)
        run = replace(run, finished=self._project.now(), seconds=round(outcome.seconds, 3))
        if not outcome.cancelled and outcome.failed is None:
            return replace(self._judged(run), attempts=0)
        return replace(run, failure=failure_of(outcome))

    def _adopted(self, run: Run) -> tuple[str, ...]:
        return self._prepared.trials.adopted(run) if self._prepared.trials else ()

    def _adoption(self, run: Run) -> str:
        """Say what was taken over from trials, and whether anything ran besides."""
        trials = ", ".join(trial[:8] for trial in self._adopted(run))
        idle = all(step.status is StepStatus.REUSED for step in run.steps.values())
        return f"adopted the results of trial {trials}{'; no step ran' if idle else ''}" if trials else ""

    def _append(self, run: Run) -> str:
        """Append the record of a run, with the trials that it adopts, and return its commit."""
        record = self._record(run)
        adopted = tuple(("Adopted", trial) for trial in self._adopted(run))
        return self._ledger.append(replace(record, trailers=(*record.trailers, *adopted)))

    def _record(self, run: Run) -> Record:
        metric = primary_metric(self._prepared.spec.models.get(run.model), run)
        production = self._production(run.model)
        before = production.metrics.get(metric or "") if production else None
        return run_record(run, self._spec(run.model), self.source_for(run.model), metric, before)

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
        run = self._judged(replace(recorded, **self._declared(change)))
        run_commit = self._ledger.commit_of(run.id)
        record = verdict_record(_new_id(), run, self._spec(change.model), self.source_for(change.model), run_commit)
        conclusion = Conclusion(run, self._ledger.append(record), judged=True)
        return self._decide(conclusion, possible(change.moves, run))

    def _describe(self, change: Change) -> Conclusion:
        recorded = self._recorded(change)
        run = replace(recorded, metadata=self._metadata(change.model))
        reasons = [reason.to_dict() for reason in change.reasons if reason.code == "metadata.changed"]
        record = metadata_record(_new_id(), run, self._spec(change.model), self.source_for(change.model), reasons)
        return Conclusion(run, self._ledger.append(record))

    def _block(self, change: Change) -> Conclusion:
        """Record a refusal, once for each cause."""
        reason = change.reasons[0]
        error = refusal(reason)
        last = self._state(change.model).run
        if last and last.status is RunStatus.BLOCKED and last.failure and last.failure.error == error:
            return Conclusion(last, self._ledger.commit_of(last.id), note=error)
        run = self._run(change, _new_id(), (), RunStatus.BLOCKED)
        run = replace(run, failure=Failure("plan", error), finished=self._project.now())
        commit = self._ledger.append(run_record(run, self._spec(change.model), self.source, None, None))
        return Conclusion(run, commit, note=error)

    def told(self, conclusion: Conclusion) -> Conclusion:
        """Return the conclusion with what has been decided by now: only what has landed is told."""
        landed, run = self.decisions.landed, conclusion.run
        moved = [(record, move) for record, move in conclusion.asked if record in landed]
        promoted = tuple(self._versioned(conclusion, move) for record, move in moved)
        notes = dict.fromkeys(filter(None, (self._why_not.get(record, "") for record, _ in conclusion.asked)))
        return replace(
            conclusion,
            commit=conclusion.commit or next((landed[record] for record, _ in moved), None),
            registered=self._state(run.model).version_of(run.id) if run else None,
            promoted=promoted,
            note="; ".join(filter(None, (conclusion.note, *notes))),
        )

    def _versioned(self, conclusion: Conclusion, move: StageMove) -> StageMove:
        run = conclusion.run
        version = self._state(run.model).version_of(move.run) if run and move.run else None
        return replace(move, version=version)

    def _retire(self, change: Change) -> Conclusion:
        record_id, source = _new_id(), self.source_for(change.model)
        decision = Decision(change.model, lambda state: retire_record(record_id, state, source))
        self.decisions.want([Wanted(decision, f"retire {change.model}")])
        return Conclusion(None, asked=tuple((record_id, move) for move in change.moves))

    def _decide(self, conclusion: Conclusion, moves: tuple[StageMove, ...]) -> Conclusion:
        """Want the run registered, then the stages moved; each is a decision of its own on the freshest head."""
        run = conclusion.run
        if run is None:
            return conclusion
        run_commit = self._ledger.commit_of(run.id)
        wanted: list[Wanted] = []
        if run.status is RunStatus.PASSED:
            wanted.append(Wanted(self._registration(run, run_commit), f"register {run.model}"))
        asked = [(_new_id(), move if move.cleared else replace(move, run=move.run or run.id)) for move in moves]
        judged = run if conclusion.judged else None
        wanted += [Wanted(self._move(run, *item, judged), f"promote {run.model}") for item in asked]
        self.decisions.want(wanted)
        return replace(conclusion, asked=tuple(asked))

    def _registration(self, run: Run, run_commit: str | None) -> Decision:
        record_id, at, source = _new_id(), self._project.now(), self.source_for(run.model)

        def make(state: ModelState) -> Record | None:
            if made_meanwhile(self._project, self._prepared, run, state):
                return None
            return register_record(record_id, run, state, at, run_commit, source)

        return Decision(run.model, make)

    def _move(self, run: Run, record_id: str, target: StageMove, judged: Run | None) -> Decision:
        at, source = self._project.now(), self.source_for(run.model)
        commit = self._ledger.commit_of(target.run) if target.run else None

        def make(state: ModelState) -> Record | None:
            record = promotion_record(record_id, target, state, source, at, commit)
            if record is None:
                return None
            reason, trailers = self._objection(run, target, state, judged)
            self._why_not[record_id] = reason
            return None if reason else replace(record, trailers=(*record.trailers, *trailers))

        return Decision(run.model, make)

    def _objection(
        self, run: Run, target: StageMove, state: ModelState, judged: Run | None
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return why a promotion is not made on this state, empty where it is, and what its record says besides.

        Where another run is in production than the one the verdict was given against, it is given again, and decides.
        """
        if why := overtaken(self._project, self._prepared, run, target, state):
            return why, ()
        present = state.stages.get(PRODUCTION) or next(iter(state.stages.values()), None)
        if judged is None or judged.verdict is None or present is None:
            return "", ()
        if present.run in {judged.verdict.baseline, judged.id}:
            return "", ()
        again = self._judged(judged)
        if again.verdict is None or again.verdict.passed:
            return "", (("Judged", f"{again.verdict.count if again.verdict else '0/0'} against {present.run}"),)
        return f"{target.stage} stays: its gates fail against {present.version}, which is there now", ()

    def _run(self, change: Change, run_id: str, steps: tuple[StepRecord, ...], status: RunStatus) -> Run:
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
            attempts=attempts_after(status, change.failed),
            plan=self._prepared.plan.id,
            started=self._started,
            actor=self._project.job.actor or self._ledger.actor,
            steps=by_name,
            **self._declared(change),
        )

    def _declared(self, change: Change) -> dict[str, Any]:
        """What a run records of the spec as it stands."""
        name, model = change.model, self._prepared.spec.models[change.model]
        manifest = self._prepared.spec.resolve(model.dataset)
        data: dict[str, Any] = {}
        if manifest:
            data = {
                "dataset": manifest.dataset,
                "version": manifest.version,
                "logical": manifest.logical,
                "rows": manifest.rows,
                "classification": self._prepared.spec.datasets[manifest.dataset].classification,
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
            "metadata": self._metadata(name),
        }

    def _closure(self, name: str) -> dict[str, str | None]:
        """The blob id of each file of the model's own code; None for what was looked up and is absent."""
        commit = self.tree
        code = self._prepared.code.get(name, {})
        files = {path: value for item in code.values() for path, value in item.files.items()}
        worktree = self._project.worktree
        return {path: worktree.blob(commit, path) if value else None for path, value in sorted(files.items())}

    def _environment(self, change: Change, train: StepRecord | None) -> Mapping[str, Any]:
        """What the process consisted of that trained the model, and what was locked then."""
        measured = train.output.facts.get("environment", {}) if train and train.output else {}
        entry = self._ledger.find_entry(train.source) if train and train.source else None
        made = self._ledger.run(entry) if entry else None
        return {**measured, **locked_with(change, made, self._prepared.lock)}

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


def _new_id() -> str:
    return secrets.token_hex(8)
