"""Promote: which version a stage shall point to, and the edit of the spec that says so."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import find_record, recorded
from custody.app.stage_edit import Edit, known_versions, model_state, pointed, stage_edit
from custody.core.recording import gate_line
from custody.core.stages import AUTO, NONE, agrees, pinned_run
from custody.domain.record import Entry, Hold, Kind, ModelState, Run, RunStatus
from custody.errors import RefusedError, UsageError
from custody.spec.schema import keeps, schema


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a stage will point to: `to` as it stands in the spec, `version` and `run` what it means now.

    Both are None for `auto` and `none`. `before` is the version that the ledger has there, None for none; `added`
    whether the spec did not know the stage.
    """

    model: str
    stage: str
    before: str | None
    to: str
    version: str | None
    run: str | None
    edit: Edit
    added: bool


def promote(project: Project, model: str, stage: str, to: str | None) -> Promotion:
    """Point the stage in `model.yaml` of the working tree to `to`: a version, a run, `auto` or `none`.

    By default to the newest version. Raises UsageError where there is no such model, version or run, RefusedError
    where it did not pass its gates, or where the stage is held.
    """
    require_ledger(project)
    state = model_state(project, model, "promote")
    value = to or _newest(state)
    run = None if value in {AUTO, NONE} else _passed(project, state, value)
    value = run if run and value not in state.versions else value
    _nameable(stage, value)
    if (holds := state.holds_on(stage)) and not agrees(value, state, stage):
        raise _held(state, stage, holds)
    edit = stage_edit(project, model, stage, value)
    known = project.load(None)[0].models.get(model)
    edit.write(project)
    version = state.version_of(run) if run else None
    added = bool(edit.diff) and known is not None and stage not in known.stages
    return Promotion(model, stage, pointed(state, stage), value, version, run, edit, added)


def _newest(state: ModelState) -> str:
    if not state.versions:
        message = f"{state.name} has no version yet: a run becomes one when it passes its gates"
        raise UsageError(message, code="E603", help=(f"custody plan {state.name}", "custody status"))
    return list(state.versions)[-1]


def _nameable(stage: str, value: str) -> None:
    if not keeps(schema("model")["properties"]["stages"], {stage: value}):
        message = f"{stage}: {value} cannot stand in a spec: the name of a stage is in small letters"
        raise UsageError(message, code="E603", help=("custody promote --help",))


def _passed(project: Project, state: ModelState, value: str) -> str:
    """Return the registered run that `value` names, which passes the gates that judged it last."""
    run = pinned_run(value, state)
    if run is None:
        raise _unregistered(project, state, value)
    found = recorded(project.ledger, project.ledger.state(), run)
    if found.run.status is not RunStatus.PASSED:
        raise _failed(found.run, f"{state.name} {state.version_of(run)}", found.holder)
    return run


def _unregistered(project: Project, state: ModelState, value: str) -> UsageError | RefusedError:
    """Say why a version or run cannot be promoted: it did not pass, or there is none."""
    entry = find_record(project.ledger, value)
    run = project.ledger.run(entry) if entry and entry.kind == Kind.RUN else None
    if entry and run and entry.trailer("Model") == state.name and run.status is not RunStatus.PASSED:
        return _failed(run, f"run {run.id[:8]} of {state.name}", entry)
    near = get_close_matches(value, [*state.versions, AUTO, NONE], 1)
    hint = (f"did you mean {near[0]}?",) if near else ()
    return UsageError(f"{state.name} has no version {value!r}", code="E603", help=(*hint, known_versions(state)))


def _failed(run: Run, what: str, entry: Entry) -> RefusedError:
    gates = run.verdict.gates if run.verdict else ()
    because = tuple(gate_line(gate) for gate in gates if not gate.passed)
    because = because or ((f"{run.failure.step}: {run.failure.error}",) if run.failure else ())
    message = f"{what} did not pass its gates: it was {run.status} on {entry.at}"
    return RefusedError(message, code="E606", because=because, help=(f"custody show {run.id[:8]}",))


def _held(state: ModelState, stage: str, holds: tuple[Hold, ...]) -> RefusedError:
    last = holds[-1]
    option = "" if stage == "production" else f" --stage {stage}"
    return RefusedError(
        f"{stage} of {state.name} is held by {last.record[:8]}: {last.reason}, by {last.by}",
        code="E646",
        help=(f"custody rollback {state.name} --release {last.record[:8]}{option}",),
    )
