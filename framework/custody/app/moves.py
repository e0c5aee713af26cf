"""Moves: the versions and stages that a run asks for, each a decision of its own on the freshest head."""

from __future__ import annotations

import secrets
from dataclasses import replace

from custody.app.conclusion import Conclusion
from custody.app.decide import Decisions, Wanted
from custody.app.judging import judged_run
from custody.app.meanwhile import made_meanwhile, overtaken
from custody.app.origin import Origin
from custody.app.project import Project
from custody.core.recording import promotion_record, register_record, retire_record
from custody.core.stages import serving
from custody.domain.plan import Change, StageMove
from custody.domain.ports import Decision
from custody.domain.record import ModelState, Record, Run, RunStatus


class Moves:
    """What one apply wants to be moved, and why what was wanted is not."""

    def __init__(self, project: Project, origin: Origin, decisions: Decisions) -> None:
        self._project = project
        self._origin = origin
        self._ledger = project.ledger
        self._decisions = decisions
        self._why_not: dict[str, str] = {}

    def want(self, conclusion: Conclusion, moves: tuple[StageMove, ...]) -> Conclusion:
        """Want the run registered, then the stages moved; each is a decision of its own on the freshest head."""
        run = conclusion.run
        if run is None:
            return conclusion
        run_commit = self._ledger.commit_of(run.id)
        wanted: list[Wanted] = []
        if run.status is RunStatus.PASSED:
            wanted.append(Wanted(self._registration(run, run_commit), f"register {run.model}"))
        asked = [
            (secrets.token_hex(8), move if move.cleared else replace(move, run=move.run or run.id)) for move in moves
        ]
        judged = run if conclusion.judged else None
        wanted += [Wanted(self._move(run, *item, judged), f"promote {run.model}") for item in asked]
        self._decisions.want(wanted)
        return replace(conclusion, asked=tuple(asked))

    def retire(self, change: Change) -> Conclusion:
        """Want the model retired: its stages cleared."""
        record_id, source = secrets.token_hex(8), self._origin.source_for(change.model)
        decision = Decision(change.model, lambda state: retire_record(record_id, state, source))
        self._decisions.want([Wanted(decision, f"retire {change.model}")])
        return Conclusion(None, asked=tuple((record_id, move) for move in change.moves))

    def told(self, conclusion: Conclusion) -> Conclusion:
        """Return the conclusion with what has been decided by now: only what has landed is told."""
        landed, run = self._decisions.landed, conclusion.run
        moved = [(record, move) for record, move in conclusion.asked if record in landed]
        promoted = tuple(self._versioned(conclusion, move) for record, move in moved)
        notes = dict.fromkeys(filter(None, (self._why_not.get(record, "") for record, _ in conclusion.asked)))
        return replace(
            conclusion,
            commit=conclusion.commit or next((landed[record] for record, _ in moved), None),
            registered=self._ledger.model(run.model).version_of(run.id) if run else None,
            promoted=promoted,
            note="; ".join(filter(None, (conclusion.note, *notes))),
        )

    def _versioned(self, conclusion: Conclusion, move: StageMove) -> StageMove:
        run = conclusion.run
        version = self._ledger.model(run.model).version_of(move.run) if run and move.run else None
        return replace(move, version=version)

    def _registration(self, run: Run, run_commit: str | None) -> Decision:
        record_id, at, source = secrets.token_hex(8), self._project.now(), self._origin.source_for(run.model)

        def make(state: ModelState) -> Record | None:
            if made_meanwhile(self._project, self._origin.prepared, run, state):
                return None
            return register_record(record_id, run, state, at, run_commit, source)

        return Decision(run.model, make)

    def _move(self, run: Run, record_id: str, target: StageMove, judged: Run | None) -> Decision:
        at, source = self._project.now(), self._origin.source_for(run.model)
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
        if why := overtaken(self._project, self._origin.prepared, run, target, state):
            return why, ()
        present = serving(state)
        if judged is None or judged.verdict is None or present is None:
            return "", ()
        if present.run in {judged.verdict.baseline, judged.id}:
            return "", ()
        again = judged_run(self._ledger, self._origin.prepared.spec, judged)
        if again.verdict is None or again.verdict.passed:
            return "", (("Judged", f"{again.verdict.count if again.verdict else '0/0'} against {present.run}"),)
        return f"{target.stage} stays: its gates fail against {present.version}, which is there now", ()
