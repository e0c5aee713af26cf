"""Holds in a plan: a stage that is held does not move; the plan says so, why, by whom, and what ends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from custody.core.stages import wanted
from custody.domain.plan import Category, Change, Reason
from custody.domain.record import Hold, ModelState
from custody.domain.spec import ModelSpec


def with_holds(model: ModelSpec, state: ModelState, change: Change) -> Change:
    """Return `change` with what is said of each hold that it does not end; one without other work is held by them."""
    ended = {record for move in change.moves for record in move.releases}
    holds = [hold for stage in wanted(model, state) for hold in state.holds_on(stage) if hold.record not in ended]
    if not holds:
        return change
    if change.category not in {Category.NOOP, Category.HELD}:
        notes = (f"{hold_words(hold, state)}: no move" for hold in holds)
        return replace(change, notes=(*change.notes, *notes))
    reasons = (_reason(model, state, hold) for hold in holds)
    remedies = tuple(dict.fromkeys(line for hold in holds for line in _remedies(hold, state)))
    return replace(
        change, category=Category.HELD, reasons=(*change.reasons, *reasons), notes=(*change.notes, *remedies)
    )


def hold_words(hold: Hold, state: ModelState) -> str:
    """Return a hold in words, on one line: `production is held by 1a2b3c4d: wrong labels, by Ann <…>`."""
    words = f"{hold.stage} is held by {hold.record[:8]}: {hold.reason}, by {hold.by}"
    pointer = state.stages.get(hold.stage)
    present = pointer.run if pointer else None
    if present in {hold.from_, hold.to} or pointer is None:
        return words
    made_for = (state.version_of(hold.from_) if hold.from_ else None) or "nothing"
    return f"{words}; {hold.stage} is {pointer.version}, not the {made_for} that this hold was made for"


def _reason(model: ModelSpec, state: ModelState, hold: Hold) -> Reason:
    place = model.place("model", f"stages.{hold.stage}")
    return Reason("stage.held", hold_words(hold, state), place=place)


def _remedies(hold: Hold, state: ModelState) -> Iterator[str]:
    version = state.version_of(hold.to) if hold.to else None
    if version:
        yield f"make it last: custody rollback {state.name} --to {version}{_option(hold.stage)}"
    yield f"release with: custody rollback {state.name} --release {hold.record[:8]}{_option(hold.stage)}"


def _option(stage: str) -> str:
    return "" if stage == "production" else f" --stage {stage}"
