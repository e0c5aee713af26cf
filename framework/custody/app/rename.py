"""Renames of an apply: recorded first, so that all else is planned and recorded under the new names."""

from __future__ import annotations

import secrets
from dataclasses import replace

from custody.app.apply_result import AppliedModel
from custody.app.conclude import Recorder
from custody.app.plan import Prepared, prepare
from custody.app.project import Project
from custody.core.choice import Choice
from custody.core.renames import rename_record
from custody.domain.plan import Category, Change
from custody.domain.record import ModelState, Record


def record_renames(
    project: Project, prepared: Prepared, recorder: Recorder, choice: Choice
) -> tuple[Prepared, list[AppliedModel]]:
    """Record the renames of a plan and plan anew; return that, and the models of which nothing else has to be done.

    The new plan keeps the id of the one that was asked for. Raises PartialError where a rename did not land.
    """
    asked = [change for change in prepared.plan.changes if change.was]
    if not asked:
        return prepared, []
    commits = {change.model: _record(project, recorder, change) for change in asked}
    again = prepare(project, prepared.revision, choice)
    again = replace(again, plan=replace(again.plan, id=prepared.plan.id))
    recorder.go_on(again)
    alone = [change for change in asked if change.category is Category.RENAME]
    return again, [
        AppliedModel(change.model, change.category, commit=commits[change.model], note=f"was {change.was}")
        for change in alone
    ]


def _record(project: Project, recorder: Recorder, change: Change) -> str | None:
    record_id, at, source = secrets.token_hex(8), project.now(), recorder.origin.source_for(change.model)
    was = str(change.was)

    def make(present: ModelState) -> Record | None:
        return rename_record(record_id, change.model, was, (project.ledger.model(was), present), source, at)

    return project.ledger.decide(change.model, make)
