"""Finding a run on the ledger by what a person types, with every record about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from custody.core.stages import serving
from custody.domain.ports import Ledger
from custody.domain.record import Entry, Kind, ModelState, Run, State
from custody.errors import LedgerError, UsageError

_IDENTIFIER = re.compile(r"[0-9a-fA-F]{4,64}")
_NAMING = ("Run", "Replaces", "From")
_VERSION = re.compile(r"v[1-9][0-9]*")
_HOLDS_RUN = {Kind.RUN, Kind.VERDICT, Kind.METADATA}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as it was last judged, its `run` record, and all records that name it, oldest first.

    `holder` is the record whose tree holds the run in this form. `version` and `stages` are what it is now, `model`
    what its model is called now.
    """

    run: Run
    entry: Entry
    holder: Entry
    history: tuple[Entry, ...]
    version: str | None
    stages: tuple[str, ...]
    model: str

    @property
    def made(self) -> Run:
        """The run under the name that its model had then: its source commit knows no other."""
        return replace(self.run, model=self.entry.trailer("Model") or self.run.model)


def find_run(ledger: Ledger, target: str) -> Recorded:
    """Return the run that `target` names: MODEL, MODEL@STAGE, MODEL@vN, vN, or the beginning of a run or commit id.

    MODEL means what its stage `production` (else its first stage) points to, else its last run. Raises UsageError
    where there is none, LedgerError where an id is ambiguous.
    """
    state = ledger.state()
    run_id = _by_model(state, target) or _by_version(state, target)
    if run_id is None:
        entry = find_record(ledger, target)
        run_id = entry.trailer("Run") if entry else None
    if run_id is None:
        raise _unknown(state, target)
    return recorded(ledger, state, run_id)


def find_record(ledger: Ledger, target: str) -> Entry | None:
    """Return the record whose id, run id or commit id begins with `target` (four digits at least); None: none."""
    return ledger.find_entry(target.lower()) if _IDENTIFIER.fullmatch(target) else None


def recorded(ledger: Ledger, state: State, run_id: str) -> Recorded:
    """Return the run with this id. Raises LedgerError where its record cannot be read."""
    entry = ledger.find_entry(run_id)
    model = ledger.model_of(entry) if entry else None
    if entry is None or model is None:
        raise LedgerError(f"run {run_id} is named on the ledger and has no record there", help=("git fetch",))
    names = [item for item in ledger.entries(model) if run_id in {item.trailer(key) for key in _NAMING}]
    holders = [item for item in names if item.kind in _HOLDS_RUN and item.trailer("Run") == run_id]
    for holder in (*holders, entry):
        run = ledger.run(holder)
        if run is not None and run.id == run_id:
            now = state.models.get(model) or ModelState(model)
            stages = tuple(name for name, pointer in now.stages.items() if pointer.run == run_id)
            return Recorded(run, entry, holder, tuple(reversed(names)), now.version_of(run_id), stages, model)
    raise LedgerError(f"the record of run {run_id} holds no run", code="E702", help=(f"git show {entry.commit[:12]}",))


def _by_model(state: State, target: str) -> str | None:
    name, _, which = target.partition("@")
    model = named_now(state, name)
    if model is None:
        return None
    if not which:
        pointer = serving(model)
        found = pointer.run if pointer else model.run.id if model.run else None
        if found is None:
            raise UsageError(f"no run of {name} is recorded", code="E603", help=(f"custody log {name}",))
        return found
    if which in model.stages:
        return model.stages[which].run
    if which in model.versions:
        return model.versions[which].run
    known = ", ".join([*model.stages, *model.versions]) or "none"
    message = f"{name} has no stage or version {which!r}; known: {known}"
    raise UsageError(message, code="E603", help=(f"custody log {name}",))


def named_now(state: State, name: str) -> ModelState | None:
    """Return what is recorded of a model, under the name that it has now; None where nothing is."""
    found, seen = state.models.get(name), {name}
    while found and found.renamed and found.renamed not in seen:
        seen.add(found.renamed)
        found = state.models.get(found.renamed)
    return found


def _by_version(state: State, target: str) -> str | None:
    if not _VERSION.fullmatch(target):
        return None
    models = [model for model in state.models.values() if target in model.versions]
    if len(models) > 1:
        options = tuple(f"{model.name}@{target}" for model in models)
        raise UsageError(f"{target} is a version of several models", code="E603", help=options[:5])
    return models[0].versions[target].run if models else None


def _unknown(state: State, target: str) -> UsageError:
    near = get_close_matches(target.partition("@")[0], state.models, 1)
    hint = (f"did you mean {near[0]}?",) if near else ()
    return UsageError(f"nothing is recorded of {target!r}", code="E603", help=(*hint, "custody log"))
