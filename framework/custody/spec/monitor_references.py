"""What monitors.yaml says of other files: columns, metrics, dataset versions, the stage, channels and the runbook."""

from __future__ import annotations

from collections.abc import Iterator

from custody.core.cron import parse_cron
from custody.core.guards import in_order_of_time
from custody.domain.monitors import SAME_PERIOD, Live, Monitors, Outcomes
from custody.domain.problem import Problem
from custody.domain.spec import LATEST, MONITORS, DatasetRef, DatasetSpec, Manifest, ModelSpec, is_timed
from custody.domain.uses import Uses
from custody.spec.functions import Use
from custody.spec.hints import meant
from custody.spec.metrics import metric_problems
from custody.spec.monitors import LIVE_COLUMNS, OUTCOME_COLUMNS
from custody.spec.scope import Columns, Scope, connector_problems, warning
from custody.spec.words import listed, say

_CRON = 'schedule: "0 6 * * *"   minute hour day month weekday: each day at 6:00'


def monitor_problems(model: ModelSpec, dataset: DatasetSpec | None, scope: Scope) -> Iterator[Problem]:
    """Yield what is wrong with the references of a model's monitors."""
    monitors = model.monitors
    if monitors is None:
        return
    yield from _stage_problems(model, monitors)
    yield from _schedule_problems(model, monitors)
    yield from _source_problems(model, monitors)
    yield from _alert_problems(model, monitors, scope)
    yield from _reference_problems(model, scope)
    manifest = scope.spec.resolve(model.dataset)
    if monitors.outcomes:
        named = [(limit.metric, f"outcomes.{limit.metric}#key") for limit in monitors.outcomes.metrics]
        yield from metric_problems(model, manifest, MONITORS, named)
    if dataset is not None:
        yield from _joined_problems(model, monitors, dataset)
        if manifest is not None:
            yield from _column_problems(model, monitors, Columns(model, dataset, manifest))
    yield from _deed_problems(model, monitors, dataset)


def compared_with(model: ModelSpec) -> Iterator[tuple[str, DatasetRef]]:
    """Yield the dataset versions that windows are compared with, and where monitors.yaml names each."""
    for index, name in enumerate(model.monitors.drift.reference if model.monitors else ()):
        dataset, at, version = name.partition("@")
        if at:
            yield f"drift.reference.{index}", DatasetRef(dataset, version)


def _stage_problems(model: ModelSpec, monitors: Monitors) -> Iterator[Problem]:
    if monitors.stage in model.stages:
        return
    known = listed(model.stages) or "none"
    place, related = model.place(MONITORS, "stage"), model.place("model", "stages")
    message = f"{model.name} has no stage {say(monitors.stage)}: there is nothing to watch"
    advice = (*meant(monitors.stage, model.stages), f"add to model.yaml: stages: {{{monitors.stage}: auto}}")
    yield Problem("E222", message, place, label=f"its stages: {known}", help=advice, related=related)


def _schedule_problems(model: ModelSpec, monitors: Monitors) -> Iterator[Problem]:
    if monitors.schedule is None:
        return
    try:
        parse_cron(monitors.schedule)
    except ValueError as error:
        message = f"`schedule` is {say(monitors.schedule)}: {error}"
        yield Problem("E220", message, model.place(MONITORS, "schedule"), help=(_CRON,))


def _source_problems(model: ModelSpec, monitors: Monitors) -> Iterator[Problem]:
    read = {"live": monitors.live.uses, "outcomes": monitors.outcomes.uses if monitors.outcomes else None}
    for key, uses in read.items():
        if uses is None:
            continue
        yield from connector_problems(Use(MONITORS, key, uses, model.documents[MONITORS], model.directory))
        if uses.name == "file" and _escapes(uses):
            message = f"`{key}` reads {say(uses.with_['path'])}, which leads out of the project"
            place = model.place(MONITORS, f"{key}.with.path")
            yield Problem("E223", message, place, help=("give a path below the project, such as live/*.parquet",))


def _escapes(uses: Uses) -> bool:
    path = uses.with_.get("path")
    if not isinstance(path, str):
        return False
    drive = path[1:2] == ":"
    return path.startswith(("/", "\\", "~")) or drive or "\0" in path or ".." in path.replace("\\", "/").split("/")


def _alert_problems(model: ModelSpec, monitors: Monitors, scope: Scope) -> Iterator[Problem]:
    known = scope.spec.config.channels
    single = isinstance(model.documents[MONITORS].value.get("alert", {}).get("channels"), str)
    for index, channel in enumerate(monitors.alert.channels):
        if channel not in known:
            place = model.place(MONITORS, "alert.channels" if single else f"alert.channels.{index}")
            advice = f"channels: {{{channel}: {{uses: webhook, with: {{url: env:PAGER_URL}}}}}} in .mlops/config.yaml"
            yield Problem("E225", f"there is no channel {say(channel)}", place, help=(*meant(channel, known), advice))
    runbook = monitors.alert.runbook
    if runbook is not None and scope.read(path := f"{model.directory}/{runbook}") is None:
        place = model.place(MONITORS, "alert.runbook")
        yield Problem("E213", f"there is no file {path}", place, help=(f"git add {path}", "or remove the line"))


def _reference_problems(model: ModelSpec, scope: Scope) -> Iterator[Problem]:
    for dotted, ref in compared_with(model):
        place, dataset = model.place(MONITORS, dotted), scope.spec.datasets.get(ref.name)
        if dataset is None:
            if ref.name not in scope.broken:
                message = f"there is no dataset {say(ref.name)}"
                yield Problem("E201", message, place, help=meant(ref.name, scope.spec.datasets))
        elif ref.version == LATEST:
            message = f"{say(str(ref))} floats: a reference that moves hides what drifts"
            yield Problem("E203", message, place, help=(f"use {ref.name}@{dataset.latest or 'v1'}", "or `previous`"))
        elif (manifest := scope.spec.resolve(ref)) is None:
            if scope.recorded or not is_timed(ref.version):
                message = f"dataset {say(ref.name)} has no version {say(ref.version)}"
                label = f"known: {listed(sorted(dataset.versions))}"
                yield Problem("E203", message, place, label=label, help=meant(ref.version, dataset.versions))
        else:
            yield from _absent(model, ref, manifest, dotted)


def _absent(model: ModelSpec, ref: DatasetRef, manifest: Manifest, dotted: str) -> Iterator[Problem]:
    absent = [name for name in model.features or () if name not in manifest.stored_columns]
    if absent:
        message = f"{ref} has no {listed(absent[:3], quote=True)}, which {model.name} learns from"
        related = model.place("data", "features")
        yield Problem("E204", message, model.place(MONITORS, dotted), help=("name another version",), related=related)


def _joined_problems(model: ModelSpec, monitors: Monitors, dataset: DatasetSpec) -> Iterator[Problem]:
    """Rows need a time to fall into a window, and an id that outcomes are joined by."""
    live, outcomes = monitors.live, monitors.outcomes
    place = model.place(MONITORS, "live")
    if live.uses and live.time is None and dataset.time is None:
        message = f"`live` has no {say('time')}, and {dataset.name} names none: rows belong to no window"
        yield Problem("E102", message, place, help=("add, for example:  time: at",))
    if live.uses and outcomes and live.id is None and dataset.key is None:
        message = f"`live` has no {say('id')}, and {dataset.name} has no key: outcomes cannot be joined"
        yield Problem("E102", message, place, help=(f"add, for example:  id: {outcomes.join}",))
    if SAME_PERIOD in monitors.drift.reference and dataset.time is None:
        message = f"`{SAME_PERIOD}` needs to know when a row was true, and {dataset.name} has no `time`"
        yield Problem("E102", message, model.place(MONITORS, "drift.reference"), help=(f"time: … in {dataset.name}",))


def _column_problems(model: ModelSpec, monitors: Monitors, columns: Columns) -> Iterator[Problem]:
    features = monitors.drift.features
    named = [
        (f"drift.features.ignore.{index}", column, "column to ignore")
        for index, column in enumerate(features.ignore if features else ())
        if column not in model.inputs
    ]
    if monitors.outcomes:
        slices = enumerate(monitors.outcomes.slices)
        named += [(f"outcomes.slices.{index}", column, "slice column") for index, column in slices]
    for dotted, column, what in named:
        if problem := columns.missing(column, MONITORS, dotted, what):
            yield problem
    parts: tuple[tuple[str, Live | Outcomes | None, tuple[str, ...]], ...] = (
        ("live", monitors.live, LIVE_COLUMNS),
        ("outcomes", monitors.outcomes, OUTCOME_COLUMNS),
    )
    for part, value, names in parts:
        for name in names if value else ():
            yield from _personal(columns, f"{part}.{name}", getattr(value, name))
    yield from _target_problems(model, monitors)


def _personal(columns: Columns, dotted: str, column: str | None) -> Iterator[Problem]:
    declared = columns.dataset.columns.get(column or "")
    stored = columns.manifest.columns.get(column or "", {})
    if (declared and declared.personal) or stored.get("personal"):
        related = columns.dataset.document.place(f"columns.{column}")
        message = f"`{dotted}` is {say(column)}, which is personal: it is never kept, and cannot be joined by"
        place = columns.model.place(MONITORS, dotted)
        yield Problem("E205", message, place, label="personal", help=("use another column",), related=related)


def _target_problems(model: ModelSpec, monitors: Monitors) -> Iterator[Problem]:
    """What is observed is no time, no id, and not what the model said."""
    live, outcomes = monitors.live, monitors.outcomes
    found = [(f"live.{name}", getattr(live, name)) for name in LIVE_COLUMNS]
    if outcomes:
        found += [("outcomes.join", outcomes.join), ("outcomes.observed", outcomes.observed)]
    for dotted, column in found:
        observed = outcomes.value if outcomes and dotted.startswith("outcomes") and outcomes.value else model.target
        if column == observed:
            message = f"`{dotted}` is {say(column)}, which is what is observed"
            related = model.place("model", "target")
            place = model.place(MONITORS, dotted)
            yield Problem("E215", message, place, help=("name another column",), related=related)


def _deed_problems(model: ModelSpec, monitors: Monitors, dataset: DatasetSpec | None) -> Iterator[Problem]:
    """What `on_alert` asks for and its guards would always withhold."""
    short = isinstance(model.documents[MONITORS].value.get("on_alert"), list)
    for index, deed in enumerate(monitors.on_alert.do):
        place = model.place(MONITORS, f"on_alert.{index}" if short else f"on_alert.do.{index}")
        if deed == "notify":
            continue
        if monitors.outcomes is None:
            message = f"`{deed}` is always withheld: without `outcomes` nothing tells which model is better"
            yield warning("W209", message, place, "add `outcomes:` to monitors.yaml")
        elif deed == "retrain" and model.dataset.version != LATEST:
            message = f"`retrain` brings nothing: {model.name} learns from {model.dataset}, which stays"
            yield warning("W209", message, place, f"{model.dataset.name}@{LATEST} in data.yaml")
        elif deed == "retrain" and dataset and not in_order_of_time(model, dataset):
            message = (
                "`retrain` is always withheld: no outcome is surely later than what a model would have learnt from"
            )
            advice = (
                f"split: {{by: {dataset.time or 'a time'}, test: 0.2}} in data.yaml, in order of the dataset's time"
            )
            yield warning("W209", message, place, advice)
