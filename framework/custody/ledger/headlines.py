"""Records in short, from the index alone: the last one of each model, and all that moved a stage or a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from custody.domain.record import Headline
from custody.git.objects import parse_time

_COLUMNS = "model, id, record, kind, subject, coalesce(actor, author), at, run, version, stage, before"
_LAST = (
    f"SELECT {_COLUMNS} FROM commits WHERE position IN"  # noqa: S608  (names of columns)
    # a model that is served has some every hour, which change nothing of it
    " (SELECT MAX(position) FROM commits WHERE model IS NOT NULL AND kind != 'predictions' GROUP BY model)"
)
_MOVES = f"SELECT {_COLUMNS} FROM commits WHERE kind IN ('promotion', 'hold', 'retire', 'rename') ORDER BY position"  # noqa: S608
_ENDED = (
    "SELECT model, commits.id, runs.status FROM runs JOIN commits USING (model, position) WHERE position IN"
    " (SELECT MAX(position) FROM runs WHERE model IS NOT NULL GROUP BY model)"
)
Ask = Callable[[str], list[tuple[Any, ...]]]


def last_of_each(ask: Ask) -> dict[str, Headline]:
    """Return the newest record of each model."""
    return {found.model: found for found in map(_headline, ask(_LAST))}


def moves(ask: Ask) -> tuple[Headline, ...]:
    """Return what moved stages or names, in landing order, whether or not it took effect."""
    return tuple(map(_headline, ask(_MOVES)))


def last_ended(ask: Ask) -> dict[str, tuple[str, str]]:
    """Return for each model the commit that recorded or judged a run last, and the status of that run."""
    return {model: (commit, status) for model, commit, status in ask(_ENDED)}


def _headline(row: tuple[Any, ...]) -> Headline:
    model, commit, record, kind, subject, who, at, run, version, stage, before = row
    known = None if version is None else f"v{version}"
    nothing = {"none": None}
    return Headline(
        commit,
        record,
        kind,
        model or "",
        subject,
        who,
        parse_time(at).isoformat(),
        nothing.get(run, run),
        known,
        stage,
        nothing.get(before, before),
    )
