"""The fold of the ledger: what a record does to the files of the tree. Pure, total and deterministic.

A record that has landed is never refused; it may have no effect. `models/<m>/stages.json` belongs to no record: it is
computed here and holds all that a decision reads. The README of the branch is rendered elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from custody.core.jsonfile import json_bytes, json_object
from custody.core.ownership import MODEL_FILES, NAME, owns, stands
from custody.domain.graph import StepRecord
from custody.domain.record import (
    FORMAT,
    Deployed,
    Hold,
    Kind,
    ModelState,
    Record,
    Run,
    StagePointer,
    Version,
)
from custody.domain.revision import Read
from custody.errors import LedgerError

_POINTER = ("run", "version", "record", "at")
_HOLD = ("stage", "from", "to", "reason", "by", "at")
_DEPLOYED = ("where", "stage", "version", "run", "artifact", "by", "at", "remark")
_NEW = "new"
"""Category of a run whose model was made anew: a run that was at work while its model was retired is none."""
_FOLLOWING = frozenset({Kind.HOLD, Kind.DEPLOYED})


def fold(read: Read, record: Record) -> dict[str, bytes]:
    """Return the files that `record` adds or replaces in the tree that `read` reads.

    1. Files that the record owns: verbatim, as far as they stand against what is there (`core/ownership.py`).
    2. `stages.json` of the record's model: the record counted, and its decision where it takes effect.
    3. A rename that takes effect takes the other files of the model along.

    Raises ValueError where the present `stages.json` cannot be read.
    """
    own = {path: data for path, data in record.files.items() if owns(record, path)}
    files = {path: data for path, data in own.items() if stands(path, read(path), data)}
    if record.model is None:
        return files
    if not NAME.fullmatch(record.model):
        return {}

    def state_of(name: str) -> ModelState:
        return decode_stages(name, read(stages_path(name)))

    after = states_after(state_of, record)
    taken = {path: data for path, source in taken_along(record, after).items() if (data := read(source)) is not None}
    return {**files, **taken, **{stages_path(name): encode_stages(state) for name, state in after.items()}}


def states_after(state_of: Callable[[str], ModelState], record: Record) -> dict[str, ModelState]:
    """Return the models whose state `record` changes, as they are after it; none where it is about no model.

    What is said of a model under its former name, and lands after it was renamed, is said of the model: a hold that was
    made offline must not be lost. Runs stay where they were made.
    """
    name = record.model
    if name is None or not NAME.fullmatch(name):
        return {}
    if record.kind is Kind.RENAME:
        return _rename(name, state_of, record)
    seen = {name}
    while record.kind in _FOLLOWING and (now := state_of(name).renamed) and now not in seen:
        seen.add(now)
        name = now
    return {name: advance(state_of(name), record)}


def taken_along(record: Record, after: Mapping[str, ModelState]) -> dict[str, str]:
    """Return the files that a rename puts under the new name, and those that they are copies of."""
    was = next((name for name, state in after.items() if state.renamed == record.model), None)
    if record.kind is not Kind.RENAME or was is None:
        return {}
    return {f"models/{record.model}/{name}": f"models/{was}/{name}" for name in MODEL_FILES}


def can_take(target: ModelState, source: ModelState) -> bool:
    """Whether a model may get the name of `target`: `source` has records, and the name has no version of its own."""
    return not target.versions and source.records > 0 and source.renamed is None


def _rename(name: str, state_of: Callable[[str], ModelState], record: Record) -> dict[str, ModelState]:
    """Give all that is recorded of a model to its new name; nothing where either name does not allow it."""
    target, was = state_of(name), record.effect.get("was")
    source = state_of(was) if isinstance(was, str) and NAME.fullmatch(was) and was != name else ModelState("")
    count = target.records + source.records + 1
    if not can_take(target, source):
        return {name: replace(target, records=target.records + 1)}
    run = replace(source.run, model=name) if source.run else None
    taken = replace(source, name=name, run=run, records=count, was=(source.name, *source.was))
    return {name: taken, source.name: ModelState(source.name, None, records=source.records, retired=True, renamed=name)}


def advance(state: ModelState, record: Record) -> ModelState:
    """Return the state of a model after `record`: its counter, versions, stages and holds; the run is left alone."""
    counted = replace(state, records=state.records + 1)
    effect = _EFFECTS.get(record.kind)
    return effect(counted, record) if effect else counted


def next_version(state: ModelState) -> str:
    """Return the name that the next registered run gets."""
    return f"v{len(state.versions) + 1}"


def _ran(state: ModelState, record: Record) -> ModelState:
    """Bring a model back that was made anew."""
    return replace(state, retired=False, renamed=None) if ("Category", _NEW) in record.trailers else state


def _retire(state: ModelState, _: Record) -> ModelState:
    return replace(state, stages={}, retired=True)


def _register(state: ModelState, record: Record) -> ModelState:
    """Add a version: the next number only, and one a run."""
    version, run = record.effect.get("version"), record.effect.get("run")
    if version != next_version(state) or not isinstance(run, str) or state.version_of(run):
        return state
    item = Version(version, run, record.effect.get("artifact"), record.id)
    return replace(state, versions={**state.versions, version: item})


def _promote(state: ModelState, record: Record) -> ModelState:
    """Move or clear a stage where it still is what the record replaces and the version is that run's.

    Where the stage is held, only if the record names all its open holds; these are over then.
    """
    effect = record.effect
    stage, run = effect.get("stage"), effect.get("run")
    if not isinstance(stage, str) or state.retired:
        return state
    present = state.stages.get(stage)
    if effect.get("replaces") != (present.run if present else None):
        return state
    holds = state.holds_on(stage)
    if not {hold.record for hold in holds} <= set(_names(effect.get("releases"))):
        return state
    left = tuple(hold for hold in state.holds if hold not in holds)
    others = {name: pointer for name, pointer in state.stages.items() if name != stage}
    if run is None:
        return replace(state, stages=others, holds=left)
    version = state.versions.get(str(effect.get("version")))
    if version is None or version.run != run:
        return state
    pointer = StagePointer(run, version.version, record.id, str(effect.get("at", "")))
    return replace(state, stages={**others, stage: pointer}, holds=left)


def _hold(state: ModelState, record: Record) -> ModelState:
    """Open a hold; move the stage to its version where it still points to the run that the hold was made for."""
    effect = record.effect
    stage, target = effect.get("stage"), effect.get("to")
    if not isinstance(stage, str) or any(hold.record == record.id for hold in state.holds):
        return state
    # a trailer says `none` where there is nothing, and may be a person's word
    reason, by, at = (str(effect.get(name) or "none") for name in ("reason", "by", "at"))
    hold = Hold(record.id, stage, effect.get("from"), target, reason, by, at)
    held = replace(state, holds=(*state.holds, hold))
    pointer = state.stages.get(stage)
    version = state.version_of(target) if isinstance(target, str) else None
    if state.retired or version is None or (pointer.run if pointer else None) != hold.from_:
        return held
    return replace(held, stages={**state.stages, stage: StagePointer(str(target), version, record.id, at)})


def _deploy(state: ModelState, record: Record) -> ModelState:
    """Take what is said of a place for what runs there; without a version nothing does any more."""
    effect = record.effect
    where, stage, version = (effect.get(name) for name in ("where", "stage", "version"))
    if not isinstance(where, str) or not isinstance(stage, str):
        return state
    others = tuple(item for item in state.deployed if (item.where, item.stage) != (where, stage))
    known = state.versions.get(str(version))
    if known is None:
        return replace(state, deployed=others) if version is None else state
    artifact, by, at, remark = (effect.get(name) for name in ("artifact", "by", "at", "remark"))
    item = Deployed(record.id, where, stage, known.version, known.run, artifact, str(by), str(at), remark)
    return replace(state, deployed=(*others, item))


_EFFECTS = {
    Kind.RUN: _ran,
    Kind.REGISTER: _register,
    Kind.PROMOTION: _promote,
    Kind.HOLD: _hold,
    Kind.DEPLOYED: _deploy,
    Kind.RETIRE: _retire,
}


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def stages_path(model: str) -> str:
    """Return where the derived file of `model` lies on the ledger."""
    return f"models/{model}/stages.json"


def encode_stages(state: ModelState) -> bytes:
    """Return the bytes of `stages.json`: the same for the same state."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "records": state.records,
        "retired": state.retired,
        "stages": {name: _pointer_dict(pointer) for name, pointer in sorted(state.stages.items())},
        "versions": {name: _version_dict(item) for name, item in state.versions.items()},
    }
    if state.holds:
        value["holds"] = {hold.record: _hold_dict(hold) for hold in state.holds}
    if state.deployed:
        value["deployed"] = {item.record: {name: getattr(item, name) for name in _DEPLOYED} for item in state.deployed}
    if state.was:
        value["was"] = list(state.was)
    if state.renamed:
        value["renamed"] = state.renamed
    return json_bytes(value)


def decode_stages(model: str, data: bytes | None) -> ModelState:
    """Read `stages.json`; without one the model has no records. Raises ValueError where it is not of this format."""
    if data is None:
        return ModelState(model)
    value = json_object(data)
    if value.get("format") != FORMAT:
        raise ValueError(f"stages.json has format {value.get('format')!r}, this custody reads {FORMAT}")
    try:
        stages = {
            name: StagePointer(*(_text(item, part) for part in _POINTER)) for name, item in value["stages"].items()
        }
        versions = {
            name: Version(name, _text(item, "run"), item["artifact"], _text(item, "record"))
            for name, item in value["versions"].items()
        }
        records, retired = value["records"], value["retired"]
        holds = tuple(_hold_of(record, item) for record, item in value.get("holds", {}).items())
        deployed = tuple(_deployed_of(record, item) for record, item in value.get("deployed", {}).items())
        was, renamed = tuple(value.get("was", ())), _text_or_none(value, "renamed")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"stages.json is not as custody writes it ({type(error).__name__}: {error})") from error
    numbered = list(versions) == [f"v{number}" for number in range(1, len(versions) + 1)]
    artifacts = all(item.artifact is None or isinstance(item.artifact, str) for item in versions.values())
    named = all(isinstance(name, str) and NAME.fullmatch(name) for name in (*was, *([renamed] if renamed else [])))
    if not (numbered and artifacts and named and type(records) is int and type(retired) is bool):
        raise ValueError("stages.json is not as custody writes it")
    return ModelState(model, None, stages, versions, records, retired, holds, deployed, was, renamed)


def decode_model(model: str, stages: bytes | None, run: bytes | None) -> ModelState:
    """Read what the ledger holds of one model. Raises ValueError where a file is not of this format."""
    state = decode_stages(model, stages)
    if run is None or state.renamed:
        return state
    found = decode_run(run)
    return replace(state, run=replace(found, model=model) if found.model in state.was else found)


def decode_run(data: bytes) -> Run:
    """Read `run.json`. Raises ValueError where it is not of this format.

    Steps are decoded when they are asked for: they are most of the file, and most answers need one or none of them.
    """
    value = json_object(data)
    try:
        run = Run.from_dict({**value, "steps": {}})
        return replace(run, steps=_Steps(dict(value["steps"])))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"run.json is not as custody writes it ({type(error).__name__}: {error})") from error


class _Steps(Mapping[str, StepRecord]):
    """The steps of a run by name, decoded one by one. Raises LedgerError for a step that cannot be read."""

    __slots__ = ("_steps",)

    def __init__(self, steps: dict[str, Any]) -> None:
        self._steps = steps

    def __getitem__(self, name: str) -> StepRecord:
        step = self._steps[name]
        if not isinstance(step, StepRecord):
            try:
                step = self._steps[name] = StepRecord.from_dict(name, step)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise LedgerError(f"the step {name} of a recorded run is not as custody writes it: {error}") from error
        return step

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return repr(dict(self))


def _pointer_dict(pointer: StagePointer) -> dict[str, str]:
    return {"run": pointer.run, "version": pointer.version, "record": pointer.record, "at": pointer.at}


def _version_dict(item: Version) -> dict[str, str | None]:
    return {"run": item.run, "artifact": item.artifact, "record": item.record}


def _hold_dict(hold: Hold) -> dict[str, str | None]:
    values = (hold.stage, hold.from_, hold.to, hold.reason, hold.by, hold.at)
    return dict(zip(_HOLD, values, strict=True))


def _hold_of(record: str, item: Mapping[str, Any]) -> Hold:
    came, goes = _text_or_none(item, "from"), _text_or_none(item, "to")
    return Hold(record, _text(item, "stage"), came, goes, *(_text(item, name) for name in ("reason", "by", "at")))


def _deployed_of(record: str, item: Mapping[str, Any]) -> Deployed:
    texts = {name: _text(item, name) for name in ("where", "stage", "version", "run", "by", "at")}
    return Deployed(record, artifact=_text_or_none(item, "artifact"), remark=_text_or_none(item, "remark"), **texts)


def _text_or_none(item: Mapping[str, Any], name: str) -> str | None:
    return None if item.get(name) is None else _text(item, name)


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value
