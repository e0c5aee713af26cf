"""Attempts: how often a model has failed at exactly what it is asked to do now, and when to stop trying. Pure.

A run keeps the digest of what it was asked and how many attempts at it had failed by then, itself included, so that
the last run alone tells whether to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from custody.core.compiler import how_to_run
from custody.core.difference import step_place
from custody.digest import digest
from custody.domain.graph import STEPS
from custody.domain.plan import Category, Change, Reason
from custody.domain.record import Run, RunStatus
from custody.domain.spec import ModelSpec

_COUNTED = {RunStatus.FAILED, RunStatus.CRASHED}
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
"""What systems say of a disk, in the error of whatever was writing."""
_UNFINISHED = {*_COUNTED, RunStatus.INTERRUPTED}


def asked(model: ModelSpec, inputs: Mapping[str, Mapping[str, Any]], lock: str | None) -> str:
    """Return the digest of all that may make a failed run succeed: inputs, limits of its steps, the lock file."""
    running = {step: how_to_run(model, step) for step in inputs}
    limits = {step: [uses.timeout, uses.memory, uses.retries] for step, uses in running.items()}
    return digest([dict(inputs), limits, lock])


def failed_before(last: Run | None, question: str) -> int:
    """Return how many attempts at what is asked have failed in a row; interrupted ones do not count."""
    if last is None or last.status not in _UNFINISHED or last.asked != question:
        return 0
    return last.attempts


def attempts_after(status: RunStatus, before: int, errors: Iterable[str] = ()) -> int:
    """Return the attempts that have failed once a run has ended like this; `before` is how many had until then.

    `errors` are those of its steps: where the disk had no room, nothing was learnt of the model.
    """
    no_room = any(words in error for error in errors for words in _NO_ROOM)
    return before + (status in _COUNTED and not no_room)


def held(model: ModelSpec, last: Run, question: str) -> Change | None:
    """Return the change that holds a model whose attempts are spent; None where it may be tried again."""
    spent = failed_before(last, question)
    if spent < model.attempts:
        return None
    step, error = (last.failure.step, last.failure.error) if last.failure else ("", str(last.status))
    reason = Reason(
        "attempts.spent",
        step or "run",
        model.attempts,
        spent,
        step_place(model, step),
        f"run {last.id[:8]}: {error}; nothing changed since",
    )
    again = step if step in STEPS else "train"
    remedy = f'try again with: custody apply --replace {model.name}:{again} --reason "…"'
    return Change(model.name, Category.HELD, (reason,), run=last.id, notes=(remedy,), asked=question, failed=spent)
