"""Log predictions: those that another server made become sealed batches like our own, each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.branch import require_ledger
from custody.app.predictions import batches
from custody.app.project import Project
from custody.app.promoted import find_promoted
from custody.app.sealing import record_batches
from custody.app.stage_edit import known_versions, model_state
from custody.domain.batch import Batch
from custody.domain.ports import Shared
from custody.domain.record import ModelState
from custody.domain.serving import Promoted
from custody.errors import UsageError


@dataclass(frozen=True, slots=True)
class Logged:
    """What came of a log: its rows, those that were recorded already, and the columns that were left out.

    `unseen` are batches of the same time whose content is not here, so that doubles of theirs were not looked for.
    """

    model: str
    rows: int
    skipped: int
    batches: tuple[Batch, ...]
    dropped: tuple[str, ...]
    unseen: tuple[str, ...]
    shared: Shared


def log_predictions(project: Project, model: str, data: Path, version: str | None = None) -> Logged:
    """Record the predictions in the file `data`: columns id, time, prediction, and what else a batch has.

    Its column `version` or `run` says what made each; where it has none, `version` does. Predictions that are recorded
    already are skipped. Raises UsageError for a version that there is not, ContractError for rows that cannot be.
    """
    from custody.app import score

    require_ledger(project)
    project.ledger.fetch()
    state = model_state(project, model, "log-predictions")
    project.store.ready()
    payload: dict[str, Any] = {
        "data": str(data.resolve()),
        "shown": data.name,
        "root": str(project.root),
        "model": model,
        "timezone": project.config.timezone,
        "store": str(project.store.files.root),
    }
    seen = score.peek(payload)
    named_by, promoted = _promoted(project, state, seen["named"], version, data.name)
    near = batches(project, model, seen["first"], None)
    near = tuple(batch for batch in near if batch.first <= seen["last"])
    known = {batch.id: str(project.store.path(batch.content)) for batch in near if project.store.has(batch.content)}
    payload |= {"named_by": named_by, "known": list(known.values())}
    payload["promoted"] = {name: item.to_dict() for name, item in promoted.items()}
    answer = score.take(payload)
    recorded = record_batches(project, answer["batches"])
    unseen = tuple(batch.id for batch in near if batch.id not in known)
    facts = answer["rows"], answer["skipped"], recorded, tuple(answer["dropped"]), unseen
    return Logged(model, *facts, project.ledger.share())


def _promoted(
    project: Project, state: ModelState, named: dict[str, list[str | None]], version: str | None, shown: str
) -> tuple[str | None, dict[str, Promoted]]:
    """Return the column that says what made each row, and what its values stand for."""
    column = next((name for name in ("version", "run") if name in named), None)
    if column is None and version is None:
        message = f"{shown} has no column version or run: say which version made its predictions"
        raise UsageError(message, code="E640", help=(f"custody log-predictions {state.name} {shown} --version v1",))
    if column is not None and version is not None:
        raise UsageError(f"{shown} has the column {column}: --version would contradict it", code="E640")
    values = named[column] if column else [version]
    found: dict[str, Promoted] = {}
    for value in values:
        run = next((item.run for item in state.versions.values() if value in {item.version, item.run}), None)
        known = state.version_of(run) if run else None
        if value is None or known is None:
            message = f"{shown}: {value!r} is no version of {state.name}"
            raise UsageError(message, code="E603", help=(known_versions(state),))
        found[value] = find_promoted(project, f"{state.name}@{known}").promoted
    return column, found
