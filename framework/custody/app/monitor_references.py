"""The first phases of all that is about monitors: the commit, the models that are watched, and their references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from custody.app.branch import require_ledger, serve
from custody.app.monitor_graph import Sight, reference_node
from custody.app.monitor_run import MonitorRun
from custody.app.project import Project
from custody.app.watched import Watched
from custody.app.windows_recorded import recorded_reference
from custody.core.due import NOTHING, Due
from custody.core.keys import step_key
from custody.core.versions import with_recorded
from custody.domain.graph import Outcome
from custody.domain.monitoring import Judged
from custody.domain.spec import Spec
from custody.errors import UsageError


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """One model on its way through the phases.

    `history` are its recorded windows, `reference` is what they are compared with, its key included, and `made` says
    that it is not recorded yet; `notes` are what could not be had for it. `error` is why the way ended.
    """

    watched: Watched
    history: tuple[Judged, ...] = ()
    reference: Mapping[str, Any] | None = None
    made: bool = False
    notes: tuple[str, ...] = ()
    due: Due = NOTHING
    error: str = ""


@dataclass(frozen=True, slots=True)
class Time:
    """What time it is, and in which zone windows are."""

    now: datetime
    zone: tzinfo


def committed(project: Project) -> tuple[str, Spec]:
    """Return the commit that is served and its specs, with the ledger fetched.

    Raises UsageError where there is no commit, RefusedError where it is not on the branch, InvalidSpecError, and
    LedgerError where a shared ledger was not fetched.
    """
    commit = project.worktree.head()
    if commit is None:
        raise UsageError("there is no commit yet", code="E410", help=('git add -A && git commit -m "Add monitors"',))
    serve(project, commit)
    if project.ledger.remote is not None:
        project.ledger.fetch(first=bool(project.worktree.repository.shallow_boundary))
    require_ledger(project)
    return commit, with_recorded(project.load_valid(commit), project.ledger.state().datasets)


def with_references(project: Project, models: Sequence[OnItsWay], sight: Sight, run: MonitorRun) -> list[OnItsWay]:
    """Give each model its reference: the one that is recorded under the same key, else a new one."""
    nodes = {item.watched.name: reference_node(item.watched, sight) for item in models}
    keys = {name: step_key(node.step, node.inputs, {}) for name, node in nodes.items()}
    by_name = {item.watched.name: item for item in models}
    for item in models:
        known = recorded_reference(project.ledger.files, item.watched.name)
        if known and known.get("key") == keys[item.watched.name]:
            by_name[item.watched.name] = replace(item, reference=known)
    for outcome in run(tuple(node for name, node in nodes.items() if by_name[name].reference is None)):
        item, made = by_name[outcome.model], made_of(outcome)
        reference = {**made["reference"], "key": keys[outcome.model]} if made else None
        notes = tuple(made["notes"]) if made else ()
        by_name[outcome.model] = replace(
            item, reference=reference, made=bool(made), notes=notes, error=error_of(outcome)
        )
    return [by_name[item.watched.name] for item in models]


def made_of(outcome: Outcome) -> Mapping[str, Any] | None:
    """Return what the one step of a model made; None where it did not end well."""
    step = next(iter(outcome.steps), None)
    return step.output.facts if step and step.output else None


def error_of(outcome: Outcome) -> str:
    """Return why the one step of a model did not end well; nothing where it did."""
    if outcome.cancelled:
        return "interrupted"
    failed = outcome.failed
    return f"{failed.step}: {failed.error or failed.status}" if failed else ""
