"""Conclude: from what came of a model to its records on the ledger."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from custody.app.basis import with_basis
from custody.app.conclusion import Conclusion
from custody.app.decide import Decisions
from custody.app.judging import judged_run, production_run
from custody.app.moves import Moves
from custody.app.origin import Origin
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.steps import Running
from custody.core.recording import (
    failure_of,
    metadata_record,
    primary_metric,
    refusal,
    run_record,
    verdict_record,
)
from custody.core.stages import possible
from custody.domain.graph import Outcome, StepStatus
from custody.domain.plan import DESCRIBING, Category, Change, StageMove
from custody.domain.record import Failure, Record, Run, RunStatus


class Recorder:
    """Appends the records of one apply."""

    def __init__(self, project: Project, origin: Origin) -> None:
        self.origin = origin
        self.decisions = Decisions(project.ledger)
        self.moves = Moves(project, origin, self.decisions)
        self._project = project
        self._ledger = project.ledger

    def go_on(self, prepared: Prepared) -> None:
        """Go on with a later wave, which was planned on what has been decided by now."""
        self.origin.prepared = prepared

    def header(self, change: Change, run_id: str) -> dict[str, Any]:
        """Return what an intent keeps so that a run that dies can be recorded by the next command."""
        run = self.origin.run(change, run_id, (), RunStatus.CRASHED)
        return {
            "run": run.to_dict(),
            "spec": self.origin.spec(change.model).decode(),
            "source": self.origin.source_for(change.model).to_dict(),
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
                return self.moves.retire(change)
            case Category.METADATA | Category.MONITOR:
                return self._describe(change)
            case Category.REGATE:
                return self._judge_again(change)
            case Category.PROMOTE | Category.ROLLBACK:
                run = self._recorded(change)
                described = any(reason.code in DESCRIBING for reason in change.reasons)
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

    def _decide(self, conclusion: Conclusion, moves: tuple[StageMove, ...]) -> Conclusion:
        return self.moves.want(conclusion, moves)

    def _ended(self, change: Change, run_id: str, outcome: Outcome) -> Run:
        """Return the run as it came out, judged where all of its steps ended well."""
        status = RunStatus.INTERRUPTED if outcome.cancelled else RunStatus.FAILED
        run = self.origin.run(change, run_id, outcome.steps, status)
        run = replace(run, finished=self._project.now(), seconds=round(outcome.seconds, 3))
        if not outcome.cancelled and outcome.failed is None:
            return replace(judged_run(self._ledger, self.origin.prepared.spec, run), attempts=0)
        return replace(run, failure=failure_of(outcome))

    def _adopted(self, run: Run) -> tuple[str, ...]:
        trials = self.origin.prepared.trials
        return trials.adopted(run) if trials else ()

    def _adoption(self, run: Run) -> str:
        """Say what was taken over from trials, and whether anything ran besides."""
        trials = ", ".join(trial[:8] for trial in self._adopted(run))
        idle = all(step.status is StepStatus.REUSED for step in run.steps.values())
        return f"adopted the results of trial {trials}{'; no step ran' if idle else ''}" if trials else ""

    def _append(self, run: Run) -> str:
        """Append the record of a run, with the trials that it adopts, and return its commit."""
        record = self._record(self._based(run))
        adopted = tuple(("Adopted", trial) for trial in self._adopted(run))
        return self._ledger.append(replace(record, trailers=(*record.trailers, *adopted)))

    def _based(self, run: Run) -> Run:
        return with_basis(self._project, self.origin.prepared, run, self._ledger.head())

    def _record(self, run: Run) -> Record:
        metric = primary_metric(self.origin.prepared.spec.models.get(run.model), run)
        production = production_run(self._ledger, self._ledger.model(run.model))
        before = production.metrics.get(metric or "") if production else None
        return run_record(run, self.origin.spec(run.model), self.origin.source_for(run.model), metric, before)

    def _judge_again(self, change: Change) -> Conclusion:
        recorded = self._recorded(change)
        run = judged_run(self._ledger, self.origin.prepared.spec, replace(recorded, **self.origin.declared(change)))
        spec, source = self.origin.spec(change.model), self.origin.source_for(change.model)
        record = verdict_record(_new_id(), self._based(run), spec, source, self._ledger.commit_of(run.id))
        conclusion = Conclusion(run, self._ledger.append(record), judged=True)
        return self._decide(conclusion, possible(change.moves, run))

    def _describe(self, change: Change) -> Conclusion:
        recorded = self._recorded(change)
        run = replace(recorded, **self.origin.description(change.model))
        reasons = [reason.to_dict() for reason in change.reasons if reason.code in DESCRIBING]
        spec, source = self.origin.spec(change.model), self.origin.source_for(change.model)
        record = metadata_record(_new_id(), self._based(run), spec, source, reasons)
        return Conclusion(run, self._ledger.append(record))

    def _block(self, change: Change) -> Conclusion:
        """Record a refusal, once for each cause."""
        reason = change.reasons[0]
        error = refusal(reason)
        last = self._ledger.model(change.model).run
        if last and last.status is RunStatus.BLOCKED and last.failure and last.failure.error == error:
            return Conclusion(last, self._ledger.commit_of(last.id), note=error)
        run = self.origin.run(change, _new_id(), (), RunStatus.BLOCKED)
        run = replace(run, failure=Failure("plan", error), finished=self._project.now())
        commit = self._ledger.append(run_record(run, self.origin.spec(change.model), self.origin.source, None, None))
        return Conclusion(run, commit, note=error)

    def _recorded(self, change: Change) -> Run:
        """The recorded run that a change is about, with its last verdict."""
        state = self._ledger.model(change.model)
        if state.run and state.run.id == change.run:
            return state.run
        entry = self._ledger.find_entry(change.run or "")
        key = str(change.steps[-1].key)
        runs = (run for run in self._ledger.runs_with_key(change.model, key) if run.id == change.run)
        run = next(runs, None) or (self._ledger.run(entry) if entry else None)
        if run is None:
            raise LookupError(f"run {change.run} of {change.model} is planned and not on the ledger")
        return run


def _new_id() -> str:
    return secrets.token_hex(8)
