"""Reasons: what differs between the inputs of a recorded run and those of the spec, with the place of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.core.codechange import CodeChange
from custody.core.locked import Lock, environment_reason
from custody.core.preparation import changes, place_of
from custody.digest import canonical_json
from custody.domain.plan import Reason
from custody.domain.problem import Place
from custody.domain.record import Run, RunStatus
from custody.domain.spec import MONITORS, DatasetSpec, Manifest, ModelSpec

_UNFINISHED = {
    RunStatus.FAILED: "run.failed",
    RunStatus.CRASHED: "run.crashed",
    RunStatus.INTERRUPTED: "run.interrupted",
    RunStatus.BLOCKED: "run.blocked",
}
_PLACES = {"dataset": ("data", "dataset"), "schedule": ("pipeline", "schedule")}
"""Where metadata stands that is not in model.yaml."""
_IN_MODEL = {"target", "task", "positive"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A declared model beside the run that it is compared with; `code` tells what changed in the code of a step."""

    model: ModelSpec
    dataset: DatasetSpec
    manifest: Manifest
    run: Run
    code: Callable[[str], CodeChange | None] = lambda _: None
    lock: Lock | None = None


def input_reasons(pair: Comparison, inputs: Mapping[str, Mapping[str, Any]]) -> list[Reason]:
    """Return why the steps' inputs differ from those that the run recorded; each difference once, earliest first."""
    reasons: dict[tuple[str, str], Reason] = {}
    for step, now in inputs.items():
        before = pair.run.steps.get(step)
        if before is None:
            continue
        for name, old, new in _changed(before.inputs, now):
            for reason in _reasons(pair, step, name, (old, new)):
                reasons.setdefault((reason.code, reason.subject), reason)
    return list(reasons.values())


def limit_reasons(model: ModelSpec, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Reason]:
    """Return one reason for each limit that was added, removed, raised or lowered."""
    reasons = []
    for path, old, new in _changed(_flat(before), _flat(now)):
        reasons.append(Reason("limit.changed", path, old, new, model.place("gates", path), _direction(old, new)))
    return reasons


def metadata_of(model: ModelSpec, manifest: Manifest) -> dict[str, Any]:
    """Return what is recorded of a model beside its results: nothing here is an input of a step."""
    return {
        "owner": model.owner,
        "purpose": model.purpose,
        "tier": model.tier,
        "description": model.description,
        "schedule": model.schedule,
        "dataset": f"{manifest.dataset}@{manifest.version}",
    }


def metadata_reasons(model: ModelSpec, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Reason]:
    """Return one reason for each field of `metadata_of` that changed."""
    reasons = []
    for name, old, new in _changed(before, now):
        place = model.place(*_PLACES.get(name, ("model", name)))
        note = "same contents" if name == "dataset" else ""
        reasons.append(Reason("metadata.changed", name, old, new, place, note))
    return reasons


def monitors_of(model: ModelSpec) -> dict[str, Any]:
    """Return what is recorded of a model's monitors: the file as it was written, nothing where there is none."""
    return dict(model.monitors.declared) if model.monitors else {}


def monitor_reasons(model: ModelSpec, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Reason]:
    """Return one reason for each value of monitors.yaml that changed, or one for the whole file."""
    if bool(before) != bool(now):
        code, place = "monitors.added" if now else "monitors.removed", model.place(MONITORS)
        return [Reason(code, "monitors", _watched(before), _watched(now), place)]
    return [
        Reason("monitor.changed", path, old, new, model.place(MONITORS, path))
        for path, old, new in _changed(dict(_leaves(before)), dict(_leaves(now)))
    ]


def _watched(declared: Mapping[str, Any]) -> str | None:
    parts = [name for name in ("live", "quality", "drift", "outcomes", "on_alert") if name in declared]
    return ", ".join((f"every {declared.get('every')}", *parts)) if declared else None


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def unfinished_reason(model: ModelSpec, run: Run) -> Reason | None:
    """Return the reason to go on after a run that did not reach its gates; None where it did."""
    code = _UNFINISHED.get(run.status)
    if code is None:
        return None
    failure = run.failure
    note = f"{failure.step}: {failure.error}" if failure else ""
    return Reason(code, f"run {run.id[:8]}", place=step_place(model, failure.step if failure else ""), note=note)


def step_place(model: ModelSpec, step: str) -> Place:
    """Return where the spec says what a step is to do; the model's own file for what is no step."""
    match step:
        case "prepare" | "train" | "evaluate":
            return model.place("pipeline", step)
        case "fetch" | "validate":
            return model.place("data", "dataset")
        case "split":
            return model.place("data", "split")
        case _:
            return model.place("model")


def _reasons(pair: Comparison, step: str, name: str, values: tuple[Any, Any]) -> Iterator[Reason]:
    model, (old, new) = pair.model, values
    match name:
        case "logical":
            yield _data_reason(pair)
        case "contract":
            yield Reason("contract.changed", pair.dataset.name, place=pair.dataset.document.place("columns"))
        case "with":
            yield from _param_reasons(model, step, old, new)
        case "code":
            yield _code_reason(pair, step, _short(old), _short(new))
        case "environment":
            plain = Reason("environment.changed", "environment", place=model.place("pipeline", "environment"))
            known = environment_reason(pair.run, pair.lock) or plain
            yield replace(known, before=_short(old), after=_short(new))
        case "inputs":
            for column, before, after in _changed(old or {}, new or {}):
                place = model.place("data", f"inputs.{column}")
                note = str(model.inputs.get(column, ""))
                yield Reason("upstream.changed", f"input {column}", _short(before), _short(after), place, note)
        case "features":
            yield Reason("features.changed", "features", place=model.place("data", "features"), note=_sets(old, new))
        case "slices":
            yield Reason("slice.changed", "slices", place=model.place("gates", "slices"), note=_sets(old, new))
        case _:
            yield _plain_reason(pair, step, name, values)


def _plain_reason(pair: Comparison, step: str, name: str, values: tuple[Any, Any]) -> Reason:
    model, (old, new) = pair.model, values
    if step == "split":
        return Reason("split.changed", f"split.{name}", old, new, model.place("data", f"split.{name}"))
    if name in _IN_MODEL:
        return Reason(f"{name}.changed", name, old, new, model.place("model", name))
    if name == "seed":
        return Reason("seed.changed", "seed", old, new, model.place("pipeline", "seed"))
    return Reason("param.changed", f"{step}.{name}", old, new, model.place("pipeline", f"{step}.{name}"))


def _data_reason(pair: Comparison) -> Reason:
    model, manifest, run = pair.model, pair.manifest, pair.run
    before = f"{run.data.get('dataset')}@{run.data.get('version')}"
    after = f"{manifest.dataset}@{manifest.version}"
    rows = run.data.get("rows")
    change = f", {manifest.rows - rows:+,} rows" if isinstance(rows, int) else ""
    note = f"sha256:{str(run.data.get('logical'))[:8]} → {manifest.logical[:8]}{change}"
    return Reason("data.changed", "data", before, after, model.place("data", "dataset"), note)


def _param_reasons(model: ModelSpec, step: str, old: Any, new: Any) -> Iterator[Reason]:
    if "steps" in (new or {}) and step == "prepare":
        document = model.documents["pipeline"]
        for path, before, after in changes((old or {}).get("steps"), new["steps"]):
            subject = f"prepare.{path.removeprefix('steps.')}"
            yield Reason("param.changed", subject, before, after, place_of(document, path))
        return
    for name, before, after in _changed(old or {}, new or {}):
        dotted = f"{step}.with.{name}"
        yield Reason("param.changed", f"{step}.{name}", before, after, model.place("pipeline", dotted))


def _code_reason(pair: Comparison, step: str, before: str | None, after: str | None) -> Reason:
    """Name the first changed file and the imports that lead to it; the entry where that cannot be told."""
    found = pair.code(step) if before and after else None
    if found is None:
        return Reason("code.changed", f"{step} code", before, after, _code_place(pair.model, step))
    others = f"{found.others} more file{'s' * (found.others != 1)} changed" if found.others else ""
    note = "; ".join(filter(None, (found.what, others)))
    return Reason("code.changed", f"{step} code", before, after, found.place, note, found.chain)


def _code_place(model: ModelSpec, step: str) -> Place:
    name = (model.prepare if step == "prepare" else model.train).name
    if name.startswith("./"):
        return Place(f"{model.directory}/{name[2:].partition(':')[0]}", 1, 1)
    return model.place("pipeline", f"{step}.uses")


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*now, *before)):
        old, new = before.get(name), now.get(name)
        if canonical_json(old) != canonical_json(new):  # not `!=`: 1 and 1.0 are equal and mean different things
            yield name, old, new


def _flat(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{group}.{name}.{field}": value
        for group, gates in limits.items()
        for name, gate in gates.items()
        for field, value in gate.items()
    }


def _direction(old: Any, new: Any) -> str:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return "raised" if new > old else "lowered"
    return ""


def _sets(old: Iterable[str] | None, new: Iterable[str] | None) -> str:
    before, after = list(old or ()), list(new or ())
    changes = [f"+{name}" for name in after if name not in before] + [
        f"-{name}" for name in before if name not in after
    ]
    return " ".join(changes[:8]) + (f" … {len(changes) - 8} more" if len(changes) > 8 else "") or "another order"  # noqa: PLR2004


def _short(digest: Any) -> str | None:
    return str(digest)[:8] if digest else None
