"""Show: everything that is recorded of one run, and its stored log."""

from __future__ import annotations

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import Recorded, find_run
from custody.errors import UsageError


def show(project: Project, target: str) -> Recorded:
    """Return the run that `target` names with all its records; see `find_run`.

    Raises LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    return find_run(project.ledger, target)


def read_step_log(project: Project, recorded: Recorded, step: str | None = None) -> str:
    """Return the stored log of a step: of the failed one, else of the last that left one.

    Raises UsageError where there is none, StoreError where this clone's store does not hold it.
    """
    run = recorded.run
    logs = {name: item.log for name, item in run.steps.items() if item.log}
    if run.failure and run.failure.log:
        logs.pop(run.failure.step, None)
        logs[run.failure.step] = run.failure.log
    wanted = step or next(reversed(logs), None)
    digest = logs.get(wanted or "")
    if digest is None:
        known = ", ".join(logs) or "none"
        raise UsageError(f"no log of step {wanted or '?'} is recorded for run {run.id[:8]}; there are: {known}")
    return project.store.get(digest).decode("utf-8", "replace")
