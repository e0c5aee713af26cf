"""Predict: score a file with a promoted artifact, keep what was predicted, and only then hand it out."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.promoted import find_promoted
from custody.app.sealing import record_batches
from custody.app.work import work
from custody.core.predictions import micros_of
from custody.domain.batch import Batch
from custody.domain.ports import Shared
from custody.domain.serving import Promoted
from custody.errors import CustodyError, UsageError


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted: so many rows, recorded as `batches`, told in the file `out`."""

    promoted: Promoted
    rows: int
    batches: tuple[Batch, ...]
    out: Path
    shared: Shared


def predict(project: Project, target: str, data: Path, out: Path, time: str | None = None) -> Predicted:
    """Score the rows of `data` with what `target` (MODEL, MODEL@STAGE, MODEL@vN) stands for, and write `out`.

    The rows are of now, or of the times in the column `time`. `out` appears when its predictions are stored and
    recorded, and not at all where anything fails. Raises UsageError where there is no such version or `out` is there
    already, ContractError where the rows don't fit, CustodyError for what else goes wrong.
    """
    from custody.kit.writing import format_of

    format_of(out)
    if out.exists():
        raise UsageError(f"{out} is there already", code="E640", help=(f"rm {out}   or name another file",))
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", code="E640", help=(f"mkdir -p {out.parent}",))
    require_ledger(project)
    project.ledger.fetch()
    source = find_promoted(project, target)
    project.store.ready()
    aside = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{out.suffix}")
    payload = {
        "source": source.to_payload(),
        "data": str(data.resolve()),
        "shown": data.name,
        "root": str(project.root),
        "out": str(aside.resolve()),
        "store": str(project.store.files.root),
        "time": time,
        "now": micros_of(project.clock()),
        "timezone": project.config.timezone,
    }
    try:
        answer = work(project, "custody.app.score:predict", payload, f"predict-{source.promoted.model}")
        batches = record_batches(project, answer["batches"])
        _put(aside, out)
    finally:
        aside.unlink(missing_ok=True)
    return Predicted(source.promoted, answer["rows"], batches, out, project.ledger.share())


def _put(aside: Path, out: Path) -> None:
    """Give the file its name, unless somebody else has taken that meanwhile."""
    try:
        try:
            os.link(aside, out)
        except PermissionError:  # a file system without links
            aside.replace(out)
    except FileExistsError:
        raise UsageError(f"{out} is there already", code="E640", help=(f"rm {out}",)) from None
    except OSError as error:
        raise CustodyError(f"{out} cannot be written: {error.strerror}", help=(f"ls -ld {out.parent}",)) from error
