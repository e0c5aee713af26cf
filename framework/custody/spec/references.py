"""Cross references: what a spec file says of another, of a dataset version, or of code. Every check yields problems."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from custody.core.preparation import PIPELINE
from custody.domain.problem import Place, Problem
from custody.domain.spec import LATEST, DatasetSpec, Manifest, ModelSpec, SplitKind, Task, is_timed
from custody.spec.build import TABULAR
from custody.spec.estimators import PREFIX, estimator_problems, nearest_estimator
from custody.spec.functions import Use, builtin_problems, function_problems
from custody.spec.hints import meant
from custody.spec.inputs import input_problems
from custody.spec.metrics import metric_problems
from custody.spec.monitor_references import monitor_problems
from custody.spec.preparation import preparation_problems
from custody.spec.schedules import schedule_problems
from custody.spec.scope import Columns, Scope, connector_problems, warning
from custody.spec.words import listed, say

_SPLIT_KEYS = {SplitKind.ORDERED: "by", SplitKind.STRATIFIED: "stratify", SplitKind.GROUPED: "group"}
_TIME = "a date or time such as 2025-01-01"
_CUTS = {"integer": "a number", "number": "a number", "date": _TIME, "timestamp": _TIME, "instant": _TIME}
_NOT_A_NUMBER = frozenset({"string", "boolean", "date", "timestamp", "instant"})


def model_problems(model: ModelSpec, scope: Scope) -> Iterator[Problem]:
    """Yield what is wrong with the references of one model."""
    dataset = scope.spec.datasets.get(model.dataset.name)
    manifest = scope.spec.resolve(model.dataset)
    if dataset is None:
        yield from _unknown_dataset(model, scope)
    elif manifest is None:
        # a version that is named by its time has no file: a plan looks for its record
        if scope.recorded or not is_timed(model.dataset.version):
            yield _unknown_version(model, dataset)
    else:
        columns = Columns(model, dataset, manifest)
        yield from _data_problems(columns)
        yield from _cut_problems(columns)
        yield from _target_problems(columns)
        yield from _warnings(columns)
    yield from input_problems(model, scope.spec)
    if model.was == model.name:
        place = model.place("model", "was")
        yield Problem("E215", f"{model.name} cannot have been itself", place, help=(f"remove `was: {model.was}`",))
    yield from schedule_problems(model, dataset)
    yield from _gate_problems(model, manifest)
    yield from monitor_problems(model, dataset, scope)
    yield from _code_problems(model, scope)
    if not (model.metrics or model.slices):
        place = Place(f"{model.directory}/gates.yaml", 1, 1)
        yield warning("W203", f"{model.name} has no gates: every run passes", place, "add a limit to gates.yaml")
    if "seed" not in model.documents["pipeline"].value:
        place = model.place("pipeline", "train")
        yield warning("W201", f"{model.name} has no seed: 0 is used", place, f"add `seed: 0` to {place.path}")


def dataset_problems(dataset: DatasetSpec) -> Iterator[Problem]:
    """Yield what is wrong with the references of one dataset; its newest version tells which columns there are."""
    if dataset.source is not None:
        yield from connector_problems(Use("dataset", "source", dataset.source, dataset.document, dataset.directory))
    manifest = dataset.versions.get(dataset.latest or "")
    if manifest is None:
        return
    for key in ("key", "time"):
        column = getattr(dataset, key)
        if column and column not in manifest.columns:
            message = f"{key} {say(column)} is not a column of {dataset.name}@{manifest.version}"
            advice = meant(column, manifest.stored_columns)
            yield Problem("E204", message, dataset.document.place(key), help=advice)
    kind = str(manifest.columns.get(dataset.time or "", {}).get("kind", "")).partition(".")[0]
    if dataset.time and kind in {"string", "boolean"}:
        message = f"time {say(dataset.time)} is of type {kind}: it orders rows, and is no time"
        typed = f"columns: {{{dataset.time}: {{type: date}}}}, and add a version; or name another column"
        yield warning("W209", message, dataset.document.place("time"), typed)
    for column in dataset.columns:
        if column not in manifest.columns:
            place = dataset.document.places.get(f"columns.{column}#key")
            message = f"column {say(column)} is not in {dataset.name}@{manifest.version}: its rules hold for nothing"
            near = meant(column, manifest.stored_columns)[0]
            yield warning("W207", message, place, near)


def _unknown_dataset(model: ModelSpec, scope: Scope) -> Iterator[Problem]:
    name = model.dataset.name
    if name in scope.broken:
        return
    folder = scope.spec.config.datasets
    place = model.place("data", "dataset")
    message = f"there is no dataset {say(name)}"
    add = f"custody data add {name} PATH        after writing {folder}/{name}/dataset.yaml"
    yield Problem("E201", message, place, help=(*meant(name, scope.spec.datasets), add))


def _unknown_version(model: ModelSpec, dataset: DatasetSpec) -> Problem:
    place = model.place("data", "dataset")
    if not dataset.versions:
        message = f"dataset {say(dataset.name)} has no version yet"
        label = ("" if model.dataset.version == LATEST else model.dataset.version).strip()
        add = f"custody data add {dataset.name} {label} {'--from-source' if dataset.source else 'PATH'}"
        return Problem("E203", message, place, help=(" ".join(add.split()),))
    known = listed(sorted(dataset.versions))
    if is_timed(model.dataset.version):
        message = f"dataset {say(dataset.name)} has no version {say(model.dataset.version)} on the ledger"
        near = meant(model.dataset.version, filter(is_timed, dataset.versions))
        return Problem("E203", message, place, help=(*near, f"custody data versions {dataset.name}"))
    return Problem(
        "E203",
        f"dataset {say(dataset.name)} has no version {say(model.dataset.version)}",
        place,
        label=f"known: {known} ({dataset.directory}/versions)",
        help=(
            f"custody data add {dataset.name} {model.dataset.version} PATH",
            f"or use {dataset.name}@{dataset.latest}",
        ),
    )


def _data_problems(columns: Columns) -> Iterator[Problem]:
    model, dataset = columns.model, columns.dataset
    named = [("data", f"features.{index}", column, "feature") for index, column in enumerate(model.features or ())]
    if model.split.column is not None:
        named.append(("data", f"split.{_SPLIT_KEYS[model.split.kind]}", model.split.column, "split column"))
    named += [("gates", f"slices.{gate.column}#key", gate.column, "slice column") for gate in model.slices]
    named.append(("model", "target", model.target, "target"))
    for kind, dotted, column, what in named:
        problem = columns.missing(column, kind, dotted, what)
        if problem:
            yield problem
        elif what == "feature":
            yield from _feature_problems(model, dataset, column, dotted)


def _cut_problems(columns: Columns) -> Iterator[Problem]:
    """Yield what is wrong with the value at which an ordered split is cut, by the kind of its column."""
    split = columns.model.split
    stored = columns.manifest.columns.get(split.column or "")
    if split.start is None or stored is None:
        return
    kind = str(stored.get("kind", "")).partition(".")[0]
    wanted = _CUTS.get(kind, "a text")
    text = isinstance(split.start, str)
    if wanted == "a number" and not text:
        return
    if wanted != "a number" and text and (wanted == "a text" or _is_time(str(split.start))):
        return
    message = f"`split.from` is {say(split.start)}, and {say(split.column)} is of type {kind}: expected {wanted}"
    yield Problem("E106", message, columns.model.place("data", "split.from"), label=f"expected {wanted}")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _feature_problems(model: ModelSpec, dataset: DatasetSpec, column: str, dotted: str) -> Iterator[Problem]:
    declared = dataset.columns.get(column)
    if column not in {model.target, dataset.key} and not (declared and declared.sensitive):
        return
    place = model.place("data", dotted)
    if column == model.target:
        message = f"the target {say(column)} is among the features"
        yield Problem(
            "E215", message, place, help=("remove it from `features`",), related=model.place("model", "target")
        )
    elif declared and declared.sensitive:
        yield Problem(
            "E206",
            f"feature {say(column)} is sensitive: it is kept for slices, out of features",
            place,
            label="sensitive",
            help=(
                f"remove it from `features`; to watch it, add to {model.directory}/gates.yaml: slices: {{{column}: …}}",
            ),
            related=dataset.document.place(f"columns.{column}.sensitive"),
        )
    elif column == dataset.key:
        message = f"feature {say(column)} is the key of {dataset.name}: a model can only learn it by heart"
        yield warning("W206", message, place, "remove it from `features`")


def _target_problems(columns: Columns) -> Iterator[Problem]:
    model = columns.model
    declared = columns.dataset.columns.get(model.target)
    kind = str(columns.manifest.columns.get(model.target, {}).get("kind", "")).partition(".")[0]
    if model.task is Task.REGRESSION and kind in _NOT_A_NUMBER:
        message = f"the target {say(model.target)} is of type {kind}, and the task is regression"
        advice = ("task: classification",)
        yield Problem(
            "E215", message, model.place("model", "target"), help=advice, related=model.place("model", "task")
        )
    if model.positive is None:
        return
    place = model.place("model", "positive")
    if model.task is Task.REGRESSION:
        yield Problem("E215", "`positive` has no meaning for a regression", place, help=("remove it",))
    elif declared and declared.values is not None and model.positive not in declared.values:
        message = f"`positive` is {say(model.positive)}, which is no value of {say(model.target)}"
        yield Problem("E215", message, place, help=(f"values: {listed(declared.values, quote=True)}",))


def _warnings(columns: Columns) -> Iterator[Problem]:
    model, dataset = columns.model, columns.dataset
    if dataset.time and model.split.kind is not SplitKind.ORDERED and dataset.time in columns.manifest.columns:
        found = f"the split of {model.name} is {model.split.kind}"
        message = f"{found}, though {dataset.name} has a time column {say(dataset.time)}"
        because = ("a model that is tested on the past of its training rows looks better than it is",)
        advice = f"split: {{by: {dataset.time}, test: {model.split.test}}}"
        yield warning("W202", message, model.place("data", "split"), advice, because)
    if model.purpose not in dataset.purposes:
        message = f"purpose {say(model.purpose)} is not allowed by dataset {say(dataset.name)}: apply will refuse"
        advice = f"allowed: {listed(dataset.purposes)}"
        yield warning(
            "W204", message, model.place("model", "purpose"), advice, related=dataset.document.place("purposes")
        )


def _gate_problems(model: ModelSpec, manifest: Manifest | None) -> Iterator[Problem]:
    named = [(gate.metric, f"metrics.{gate.metric}#key") for gate in model.metrics]
    named += [(gate.metric, f"slices.{gate.column}.metric") for gate in model.slices]
    yield from metric_problems(model, manifest, "gates", named)


def _code_problems(model: ModelSpec, scope: Scope) -> Iterator[Problem]:
    extensions = scope.spec.config.extensions
    for step, uses in (("prepare", model.prepare), ("train", model.train)):
        use = Use("pipeline", step, uses, model.documents["pipeline"], model.directory, extensions)
        yield from use.file_problems(scope.read)
        if ":" in uses.name:
            yield from function_problems(use, scope.read)
        elif uses.name == PIPELINE and step == "prepare":
            yield from preparation_problems(
                model, scope.spec.datasets.get(model.dataset.name), scope.spec.resolve(model.dataset)
            )
        elif step == "prepare":
            yield from builtin_problems(use, {TABULAR: "tabular"})
        elif uses.name.startswith(PREFIX):
            yield from estimator_problems(model)
        else:
            yield _no_trainer(model)


def _no_trainer(model: ModelSpec) -> Problem:
    name = model.train.name
    near = nearest_estimator(name, model.task)
    advice = (f"did you mean {say(near)}?",) if near else ("sklearn.<Class>, or ./file.py:function",)
    message = f"{say(name)} is neither `sklearn.<Class>` nor a function"
    return Problem("E208", message, model.place("pipeline", "train.uses"), help=advice)
