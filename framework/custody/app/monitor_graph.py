"""The graph of a sweep of monitors: a `reference` and an `observe` step for each model, and what each is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.watched import Watched
from custody.core.due import OUTCOMES, Asked, Due, judged_at
from custody.core.predictions import ID, KEY, PREDICTION, PROBABILITY, TIME, feature_column
from custody.domain.batch import Batch
from custody.domain.graph import Node, Ref
from custody.domain.monitors import Live
from custody.errors import UsageError

OTHER = "other:"
"""What the roles of further versions begin with."""
REFERENCE, OBSERVE = "reference", "observe"
VERSION = 1
"""Greater where the meaning of a reference changed: all are made anew."""
FOLDS, _PATIENCE = 12, 1800.0
"""The most clones that are fitted, and the seconds that they may take together as far as is known."""
_UNHEARD = frozenset({"alert", "on_alert", "schedule", "stage"})
"""What of monitors.yaml says nothing of how windows are judged."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked at: the `root` of the project, the time `zone`, what was `asked`, and `now`, ISO 8601."""

    root: Path
    zone: str
    asked: Asked
    now: str


def judged_by(item: Watched) -> dict[str, Any]:
    """Return what of the monitors windows are judged by, as it was written."""
    return {name: value for name, value in item.monitors.declared.items() if name not in _UNHEARD}


def reference_node(item: Watched, sight: Sight) -> Node:
    """Return the step that makes the reference; its inputs are what it is known by."""
    fetched = item.run.steps["fetch"].output
    table, others = fetched.ref if fetched else Ref("table", "", ""), dict(_others(item))
    return Node(
        id=f"{item.name}/{REFERENCE}",
        model=item.name,
        step=REFERENCE,
        inputs={
            "version": VERSION,
            "artifact": item.run.artifact,
            "data": table.digest,
            "time": item.dataset.time,
            "zone": sight.zone,
            "declared": {name: rules for name, rules in item.rules.items() if name in item.learnt["features"]},
            "monitors": judged_by(item),
            **({"others": {name: ref.digest for name, ref in others.items()}} if others else {}),
        },
        upstream={},
        settings={
            "stored": {
                "table": table.to_dict(),
                "model": _model(item),
                **{f"{OTHER}{name}": ref.to_dict() for name, ref in others.items()},
            },
            "watched": item.name,
            "run": item.run.id,
            "data": f"{item.run.data.get('dataset')}@{item.run.data.get('version')}",
            "metrics": {name: value for name, value in item.run.metrics.items() if value is not None},
            "ordered": _ordered(item),
            "folds": _folds(item),
        },
    )


def observe_node(item: Watched, due: Due, reference: Mapping[str, Any], batches: Sequence[Batch], sight: Sight) -> Node:
    """Return the step that reads the windows that are due and counts their rows over the cells of the reference."""
    return Node(
        id=f"{item.name}/{OBSERVE}",
        model=item.name,
        step=OBSERVE,
        inputs={"windows": [window.name for window in (*due.inputs, *due.outcomes)], "at": sight.now},
        upstream={},
        settings={
            "stored": {} if _says(item) else {"model": _model(item)},
            "reference": dict(reference),
            "promoted": item.source.promoted.to_dict(),
            "root": str(sight.root),
            "zone": sight.zone,
            "rules": {name: dict(rules) for name, rules in item.rules.items()},
            "known": sorted({*item.dataset.columns, *_own_columns(item)}),
            "inputs": [window.to_dict() for window in due.inputs],
            "outcomes": [window.to_dict() for window in due.outcomes],
            "slices": list(item.monitors.outcomes.slices) if item.monitors.outcomes else [],
            **_source(item, batches),
            **_outcomes(item, due, sight),
        },
    )


def _says(item: Watched) -> bool:
    """Whether live rows say what the model said, so that it need not be loaded."""
    return item.monitors.live.uses is None or item.monitors.live.prediction is not None


def _model(item: Watched) -> dict[str, str]:
    artifact = str(item.run.artifact)
    return Ref("model", artifact, artifact).to_dict()


def _ordered(item: Watched) -> bool:
    """Whether the run's test rows are later than all that it learnt from."""
    return item.run.steps["split"].inputs.get("kind") == "ordered"


def _others(item: Watched) -> Iterator[tuple[str, Ref]]:
    """Yield the further versions of the dataset that windows are compared with, `customers@v2`."""
    for name in item.monitors.drift.reference:
        dataset, _, version = name.partition("@")
        manifest = item.dataset.versions.get(version) if dataset == item.dataset.name else None
        if manifest is not None:
            yield name, Ref("table", manifest.logical, manifest.files[0].sha256)


def _folds(item: Watched) -> int:
    """Return how many clones are fitted: fewer where fitting takes long."""
    seconds = item.run.steps["train"].seconds or 1.0
    return max(2, min(FOLDS, int(_PATIENCE / max(seconds, 0.001))))


def _own_columns(item: Watched) -> Iterator[str]:
    """Yield what live rows may hold beside the declared columns of the dataset."""
    manifest = item.dataset.versions.get(str(item.run.data.get("version")))
    yield from manifest.columns if manifest else ()
    live, outcomes = item.monitors.live, item.monitors.outcomes
    if live.uses is None:
        yield from (ID, TIME, KEY, PREDICTION)
    named = [live.time, live.id, live.prediction, item.dataset.time, item.dataset.key]
    named += [outcomes.join, outcomes.value, outcomes.observed] if outcomes else []
    yield from (name for name in named if name)
    yield from item.learnt["features"]
    yield str(item.learnt["target"])


def _source(item: Watched, batches: Sequence[Batch]) -> dict[str, Any]:
    """Return where live rows are: in the files of a source, or in sealed batches, and what their columns are called."""
    live = item.monitors.live
    joined_by = item.monitors.outcomes.join if item.monitors.outcomes else None
    if live.uses is None:
        names = {"time": TIME, "id": KEY if joined_by == item.source.promoted.key else ID, "prediction": PREDICTION}
        columns = {name: feature_column(name) for name in item.learnt["features"]}
        kept = {**names, "chances": PROBABILITY, "columns": columns, "with": {"format": "parquet"}}
        return {"live": kept, "batches": [batch.content for batch in batches]}
    time = _time(live, item)
    told = {"time": time, "id": live.id or joined_by, "prediction": live.prediction}
    return {
        "live": {**told, "chances": None, "columns": {}, "uses": live.uses.name, "with": dict(live.uses.with_)},
        "batches": None,
    }


def _time(live: Live, item: Watched) -> str:
    time = live.time or item.dataset.time
    if time is None:
        message = f"nothing says when a live row of {item.name} is from"
        raise UsageError(message, code="E671", help=(f"add live.time: to {item.model.directory}/monitors.yaml",))
    return time


def _outcomes(item: Watched, due: Due, sight: Sight) -> dict[str, Any]:
    outcomes = item.monitors.outcomes
    if outcomes is None or not due.outcomes:
        return {"as_of": {}}
    value = outcomes.value or str(item.learnt["target"])
    told: dict[str, Any] = {"join": outcomes.join, "value": value, "observed": outcomes.observed}
    told |= {"uses": outcomes.uses.name, "with": dict(outcomes.uses.with_)}
    mature = {window.name: judged_at(window, OUTCOMES, item.monitors).isoformat() for window in due.outcomes}
    as_of: Mapping[str, str] = mature if sight.asked.replay else dict.fromkeys(mature, sight.now)
    return {"outcomes_from": told, "as_of": dict(as_of)}
