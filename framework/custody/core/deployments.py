"""What really runs where: the fact that says so, and how it stands to what the stage points to. Pure."""

from __future__ import annotations

from enum import StrEnum

from custody.core.recording import SUBJECT, Source, line_of
from custody.core.stages import version_number
from custody.domain.record import Deployed, Kind, ModelState, Record


class Standing(StrEnum):
    """How a place stands to the stage that it serves."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    EMPTY = "the stage is empty"


def standing(state: ModelState, item: Deployed) -> Standing:
    """Return how what runs at a place stands to what its stage points to."""
    pointer = state.stages.get(item.stage)
    if pointer is None:
        return Standing.EMPTY
    if pointer.run == item.run:
        return Standing.CURRENT
    return Standing.BEHIND if version_number(item.version) < version_number(pointer.version) else Standing.AHEAD


def deployed_at(state: ModelState, where: str, stage: str) -> Deployed | None:
    """Return what was said last of a place."""
    return next((item for item in state.deployed if (item.where, item.stage) == (where, stage)), None)


def deployed_record(
    state: ModelState, item: Deployed, source: Source, run_commit: str | None, *, gone: bool = False
) -> Record:
    """Return the fact that `item` runs at its place or, where it is `gone`, that nothing does any more.

    `run_commit` is the commit that recorded its run, for the note.
    """
    by, remark = line_of(item.by), line_of(item.remark or "") or None
    what = f"nothing, {item.version} was" if gone else item.version
    subject = f"deployed {state.name}: {item.stage} at {item.where} is {what}{f': {remark}' if remark else ''}"
    effect = {
        "where": item.where,
        "stage": item.stage,
        "version": None if gone else item.version,
        "run": None if gone else item.run,
        "artifact": item.artifact,
        "by": by,
        "at": item.at,
        # a trailer says `none` where there is nothing
        "remark": None if remark == "none" else remark,
    }
    line = f"{item.stage} at {item.where}: {'removed' if gone else 'deployed'}{f', {remark}' if remark else ''}"
    notes = ((run_commit, line),) if run_commit else ()
    trailers = (("Model", state.name), *source.trailers)
    return Record(item.record, Kind.DEPLOYED, subject[:SUBJECT], trailers, state.name, effect=effect, notes=notes)
