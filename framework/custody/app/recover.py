"""Recover: record the runs whose process died before it could, from the intents that they left."""

from __future__ import annotations

from dataclasses import replace

from custody.app.adopt import COMMITTED
from custody.app.project import Project
from custody.core.recording import Source, run_record, trial_record
from custody.domain.ports import Ledger
from custody.domain.record import Failure, Record, Run, RunStatus
from custody.ledger.intents import Abandoned, Intents


def recover(project: Project) -> tuple[Run, ...]:
    """Append one `crashed` record for every abandoned run and remove its intent; a landed run is not recorded twice.

    The steps that had finished are in the record, so that the next run of the same inputs reuses them.
    """
    intents = Intents(project.worktree.common_dir)
    return tuple(run for item in intents.abandoned() if (run := _recover(project, intents, item)))


def _recover(project: Project, intents: Intents, item: Abandoned) -> Run | None:
    run = None
    ledger = _ledger(project, item)
    if ledger.commit_of(item.run_id) is None:
        try:
            run = _crashed(item)
        except (KeyError, TypeError, ValueError):
            # A torn header: the process died before any step began, so there is nothing to record.
            intents.remove(item.run_id)
            return None
        told = item.header.get("source")
        known = told if isinstance(told, dict) else item.header
        people = {name: str(known.get(name, "")) for name in ("behalf", "change", "job", "actor")}
        source = Source(str(run.code), **people)
        record = run_record(run, str(item.header.get("spec", "")).encode(), source, None, None)
        ledger.append(_trial(record, item) if item.header.get("trial") else record)
    intents.remove(item.run_id)
    return run


def _ledger(project: Project, item: Abandoned) -> Ledger:
    """Return the ledger that a dead run would have been recorded on; a torn header is no trial of a commit."""
    about = item.header.get("trial")
    if not about:
        return project.ledger
    trailers = about.get("trailers") if isinstance(about, dict) else None
    committed = isinstance(trailers, list) and ["Trial", COMMITTED] in trailers
    return project.trials if committed else project.local_trials


def _trial(record: Record, item: Abandoned) -> Record:
    """Return the record of a trial that died, as the trial itself would have made it."""
    about = item.header["trial"]
    return trial_record(record, str(about["source"]), [(str(key), str(value)) for key, value in about["trailers"]])


def _crashed(item: Abandoned) -> Run:
    run = Run.from_dict(item.header["run"])
    steps = {step.step: step for step in item.steps}
    where = item.last_started if item.last_started and item.last_started not in steps else "start"
    failure = Failure(where, "the process died before it could record (killed, or the machine stopped)")
    return replace(run, status=RunStatus.CRASHED, steps=steps, failure=failure)
