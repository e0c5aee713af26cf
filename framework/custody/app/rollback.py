"""Rollback: which version a stage goes back to, the edit of the spec that says so, the hold that does it at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.stage_edit import Edit, known_versions, model_state, pointed, stage_edit
from custody.app.who import source_of
from custody.core.recording import hold_record, promotion_record
from custody.core.stages import pinned_run, version_number
from custody.domain.plan import StageMove
from custody.domain.record import Entry, Hold, Kind, ModelState, Record
from custody.errors import RefusedError, UsageError


@dataclass(frozen=True, slots=True)
class Rollback:
    """Where a stage goes: `before` is the version it points to (None: to nothing), `version` the one it goes back to.

    `held` is the hold that is on the ledger now, `moved` whether it moved the stage, `commit` its commit.
    Where the ledger is shared and `shared` is False, `unshared` says why the hold is in this clone alone.
    """

    model: str
    stage: str
    before: str | None
    version: str
    run: str
    edit: Edit
    held: Hold | None = None
    commit: str | None = None
    moved: bool = False
    shared: bool = True
    unshared: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """A hold that is over: the holds that ended with it, what the stage points to, and the commit of the decision."""

    model: str
    stage: str
    holds: tuple[Hold, ...]
    version: str | None
    commit: str


def edit_spec(project: Project, model: str, to: str | None, stage: str, *, write: bool = True) -> Rollback:
    """Point the stage in `model.yaml` of the working tree to `to`, by default to what it goes back to.

    Raises UsageError where there is no such model or version or nothing to go back to.
    """
    require_ledger(project)
    state = model_state(project, model, "rollback")
    version, run = _target(project, state, stage, to)
    edit = stage_edit(project, model, stage, version)
    if write:
        edit.write(project)
    return Rollback(model, stage, pointed(state, stage), version, run, edit)


def hold(project: Project, model: str, to: str | None, stage: str, reason: str) -> Rollback:
    """Hold the stage on the ledger and share the hold; the specs stay as they are. Works offline.

    Raises UsageError as `edit_spec` does, RefusedError where a hold with the same target is open already.
    """
    if not "".join(char for char in reason if char.isprintable()).strip():
        raise UsageError("a hold needs a reason that others understand", code="E645", help=('--reason "wrong labels"',))
    require_ledger(project)
    project.ledger.fetch()
    state = model_state(project, model, "rollback")
    version, run = _target(project, state, stage, to, now=True)
    before = pointed(state, stage)
    plan = edit_spec(project, model, version, stage, write=False)
    pointer = state.stages.get(stage)
    made = Hold(secrets.token_hex(8), stage, pointer.run if pointer else None, run, reason, _actor(project), "")
    made = replace(made, at=project.now())
    source = source_of(project, project.worktree.commit("HEAD"))
    off = project.ledger.commit_of(made.from_) if made.from_ else None
    commit = project.ledger.append(hold_record(made.record, made, state, source, off))
    shared = project.ledger.share()
    after = project.ledger.model(model).stages.get(stage)
    moved = after is not None and after.record == made.record
    return replace(
        plan,
        before=before,
        held=made,
        commit=commit,
        moved=moved,
        shared=shared.landed,
        unshared="" if shared.landed else shared.reason,
    )


def release(project: Project, model: str, which: str, stage: str) -> Released:
    """End the hold whose id begins with `which`; the stage stays where it is until the next apply.

    Raises UsageError where there is no such hold, RefusedError where another hold on the stage stays open.
    """
    require_ledger(project)
    project.ledger.fetch()
    state = model_state(project, model, "rollback")
    found = [item for item in state.holds_on(stage) if item.record.startswith(which)]
    if len(found) != 1:
        raise _no_hold(project, state, stage, which)
    last = state.holds_on(stage)[-1]
    if found[0] != last:
        raise RefusedError(
            f"hold {found[0].record[:8]} is not the newest on {stage}: {last.record[:8]} is, {last.reason}",
            code="E646",
            help=(f"custody rollback {model} --release {last.record[:8]}   ends both",),
        )
    pointer = state.stages.get(stage)
    present = pointer.run if pointer else None
    names = tuple(item.record for item in state.holds_on(stage))
    move = StageMove(stage, present, present, cleared=pointer is None, releases=names)
    record_id, at = secrets.token_hex(8), project.now()
    source = source_of(project, project.worktree.commit("HEAD"))

    def make(now: ModelState) -> Record | None:
        return promotion_record(record_id, move, now, source, at, None)

    commit = project.ledger.decide(model, make)
    if commit is None:
        raise RefusedError(f"{stage} of {model} was held again meanwhile", code="E646", help=("custody status",))
    return Released(model, stage, state.holds_on(stage), pointer.version if pointer else None, commit)


def version_before(project: Project, state: ModelState, stage: str) -> tuple[str, str] | None:
    """Return (version, run) that the stage would go back to; None where there is none."""
    try:
        return _target(project, state, stage, None, now=True)
    except UsageError:
        return None


def _actor(project: Project) -> str:
    return project.job.actor or project.ledger.actor


def _target(project: Project, state: ModelState, stage: str, to: str | None, *, now: bool = False) -> tuple[str, str]:
    """Return (version, run) that the stage goes to.

    1. The one that is asked for.
    2. What an open hold moved it to, to make that lasting.
    3. The newest older version that the stage has pointed to, else the newest older one at all.
    """
    if to is not None:
        run = pinned_run(to, state)
        version = state.version_of(run) if run else None
        if run is None or version is None:
            raise UsageError(f"{state.name} has no version {to!r}", code="E603", help=(known_versions(state),))
        return version, run
    pointer = state.stages.get(stage)
    if pointer is None:
        message = f"{stage} of {state.name} points to nothing: say which version it shall go to"
        raise UsageError(
            message, code="E603", help=(known_versions(state), f"custody rollback {state.name} --to VERSION")
        )
    holds = [item for item in state.holds_on(stage) if item.to == pointer.run]
    if holds and not now:
        return pointer.version, pointer.run
    older = [name for name in state.versions if version_number(name) < version_number(pointer.version)]
    if not older:
        message = f"{state.name} has no version before {pointer.version}, which {stage} points to"
        raise UsageError(message, code="E603", help=(known_versions(state),))
    served = set(_served(project.ledger.entries(state.name), stage))
    version = max([name for name in older if state.versions[name].run in served] or older, key=version_number)
    return version, state.versions[version].run


def _served(entries: Iterator[Entry], stage: str) -> Iterator[str]:
    """Yield the runs that the stage has pointed to."""
    for entry in entries:
        if entry.kind == Kind.PROMOTION and entry.trailer("Stage") == stage and (run := entry.trailer("Run")):
            yield run


def _no_hold(project: Project, state: ModelState, stage: str, which: str) -> UsageError:
    """Say which holds there are, and what ended this one: a release that was cut off may have landed."""
    holds = state.holds_on(stage)
    listed = tuple(f"custody rollback {state.name} --release {item.record[:8]}   {item.reason}" for item in holds)
    message = f"{stage} of {state.name} has no hold {which!r}" if holds else f"{stage} of {state.name} is not held"
    ended = (
        f"it ended with {entry.commit[:7]}: {entry.subject}"
        for entry in project.ledger.entries(state.name)
        if any(name.startswith(which) for name in (entry.trailer("Releases") or "").split())
    )
    because = tuple(ended)[:1]
    return UsageError(message, code="E646", because=because, help=listed or ("custody status",))
