"""Sealing: predictions become batches, their content in the store and their digests on the ledger, exactly once.

The order is store, ledger, journal. A batch is named by its rows, so that what was done before a crash is found done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.project import Project
from custody.app.who import source_of
from custody.app.work import work
from custody.core.predictions import predictions_record
from custody.domain.batch import Batch
from custody.serving import journal


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed: the batches, and the segments that were set aside since a part of them cannot be read."""

    batches: tuple[Batch, ...] = ()
    damaged: tuple[Path, ...] = ()


def journal_root(project: Project) -> Path:
    """Return the folder of the journals, one below it for each model."""
    return project.state_dir / journal.FOLDER


def record_batches(project: Project, values: Iterable[Mapping[str, Any]]) -> tuple[Batch, ...]:
    """Append a record for each batch that is stored, and return them; one that is recorded is not recorded again."""
    batches = tuple(Batch.from_dict(value) for value in values)
    source = source_of(project, project.worktree.commit("HEAD"))
    for batch in batches:
        project.ledger.append(predictions_record(batch, source))
    return batches


def seal(project: Project, models: Iterable[str] | None = None, *, apart: bool = False) -> Sealed:
    """Seal all segments that nobody writes to, of these models or of all; shares nothing.

    `apart`: in a process of its own, beside one that has other things to do. Raises CustodyError where that fails; the
    journal keeps what is not sealed.
    """
    wanted = None if models is None else set(models)
    found = [folder for folder in journal.folders(journal_root(project)) if wanted is None or folder.name in wanted]
    with ExitStack() as stack:
        segments = [path for folder in found for path in journal.segments(folder)]
        ours = [path for path in segments if stack.enter_context(journal.claimed(path))]
        if not ours:
            return Sealed()
        payload = {"segments": [str(path) for path in ours], "store": str(project.store.files.root)}
        answer = work(project, "custody.app.score:seal", payload, "seal") if apart else _here(payload)
        return _concluded(project, zip(ours, answer["segments"], strict=True))


def _here(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    from custody.app import score

    return score.seal(payload)


def _concluded(project: Project, answers: Iterable[tuple[Path, Mapping[str, Any]]]) -> Sealed:
    batches: list[Batch] = []
    damaged: list[Path] = []
    for path, answer in answers:
        batches += record_batches(project, answer["batches"])
        damaged += [journal.set_aside(path)] if answer["damaged"] else []
        journal.remove(path)
    return Sealed(tuple(batches), tuple(damaged))
