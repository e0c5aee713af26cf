"""From parsed files that keep their schema to the frozen values of `domain.spec`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custody.core.preparation import PIPELINE, steps_of
from custody.domain.problem import Problem
from custody.domain.spec import (
    MONITORS,
    Column,
    Config,
    DatasetRef,
    DatasetSpec,
    Document,
    Manifest,
    MetricGate,
    ModelRef,
    ModelSpec,
    SliceGate,
    Split,
    SplitKind,
    StoredFile,
    Task,
)
from custody.domain.uses import Uses
from custody.spec.channels import channels
from custody.spec.limits import bounds, reach
from custody.spec.monitors import monitor_contradictions, monitors
from custody.spec.uses import uses_of
from custody.spec.words import say

FORMAT = 1
"""The greatest format of a version's manifest that is read."""
LANGUAGE = 1
"""The version of the spec language."""
RUN = ("timeout", "retries", "memory")
RUN_STEPS = ("fetch", "validate", "split", "evaluate")
TABULAR = "tabular"
ATTEMPTS = 3
LEDGER, TRIALS = "mlops/ledger", "mlops/trials"

_EXCLUSIVE = (
    ("by", "stratify", "choose one of the two"),
    ("by", "group", "choose one of the two"),
    ("group", "stratify", "choose one of the two"),
    ("by", "seed", "a split by order draws nothing at random"),
    ("from", "test", "the value says already which rows are for testing"),
)
"""Keys of `split` that exclude each other; the second one is to be removed."""


def model(name: str, directory: str, documents: Mapping[str, Document]) -> ModelSpec:
    """Build a model from its documents: model, data, pipeline, gates, and monitors where there are any."""
    about, data = documents["model"].value, documents["data"].value
    pipeline, gates = documents["pipeline"].value, documents["gates"].value
    dataset, _, version = data["dataset"].partition("@")
    return ModelSpec(
        name=name,
        directory=directory,
        owner=about["owner"],
        purpose=about["purpose"],
        task=Task(about["task"]),
        target=about["target"],
        dataset=DatasetRef(dataset, version),
        split=_split(data["split"]),
        train=uses_of(pipeline["train"]),
        prepare=_prepare(pipeline.get("prepare", TABULAR)),
        documents=documents,
        tier=about.get("tier"),
        description=about.get("description"),
        positive=about.get("positive"),
        features=tuple(data["features"]) if "features" in data else None,
        seed=int(pipeline.get("seed", 0)),
        stages=dict(about.get("stages", {})),
        was=about.get("was"),
        metrics=tuple(_metric_gate(metric, limits) for metric, limits in gates.get("metrics", {}).items()),
        slices=tuple(_slice_gate(column, limits) for column, limits in gates.get("slices", {}).items()),
        steps={step: uses_of({"uses": step, **pipeline[step]}) for step in RUN_STEPS if step in pipeline},
        profile=about.get("profile"),
        inputs={column: _model_ref(ref) for column, ref in data.get("inputs", {}).items()},
        schedule=pipeline.get("schedule"),
        attempts=int(pipeline.get("attempts", ATTEMPTS)),
        retrains_on_environment=pipeline.get("environment") == "retrain",
        monitors=monitors(documents[MONITORS].value) if MONITORS in documents else None,
    )


def dataset(name: str, directory: str, document: Document, versions: Mapping[str, Manifest]) -> DatasetSpec:
    """Build a dataset from its document and its versions by label."""
    value = document.value
    return DatasetSpec(
        name=name,
        directory=directory,
        owner=value["owner"],
        purposes=tuple(value["purposes"]),
        document=document,
        classification=value.get("classification", "internal"),
        description=value.get("description"),
        key=value.get("key"),
        time=value.get("time"),
        source=uses_of(value["source"]) if "source" in value else None,
        columns={column: _column(column, rules) for column, rules in value.get("columns", {}).items()},
        versions=versions,
    )


def manifest(dataset: str, version: str, document: Document) -> Manifest:
    """Build a dataset version from its document."""
    value = document.value
    return Manifest(
        dataset=dataset,
        version=version,
        format=int(value["format"]),
        rows=int(value["rows"]),
        logical=value["logical"],
        files=tuple(StoredFile(item["path"], int(item["size"]), item["sha256"]) for item in value["files"]),
        columns=value["columns"],
        source=value["source"],
        as_of=value["as_of"],
        by=value["by"],
        parent=value.get("parent"),
        document=document,
    )


def config(document: Document) -> Config:
    """Build the project's configuration from its document."""
    value = {key: item for key, item in document.value.items() if key != "spec"}
    if "extensions" in value:
        value["extensions"] = tuple(root.rstrip("/") for root in value["extensions"])
    for folder in ("models", "datasets"):
        if folder in value:
            value[folder] = value[folder].rstrip("/")
    if "channels" in value:
        value["channels"] = channels(value["channels"])
    return Config(**value, document=document)


def _model_ref(text: str) -> ModelRef:
    name, _, at = text.removeprefix("model:").partition("@")
    return ModelRef(name, at)


def _prepare(value: str | list[Any] | Mapping[str, Any]) -> Uses:
    steps = steps_of(value)
    if steps is None and not isinstance(value, list):
        return uses_of(value)
    settings = {key: item for key, item in value.items() if key in RUN} if isinstance(value, Mapping) else {}
    return uses_of({"uses": PIPELINE, "with": {"steps": steps}, **settings})


def _split(value: Mapping[str, Any]) -> Split:
    seed = int(value.get("seed", 0))
    if "by" in value:
        return Split(SplitKind.ORDERED, value.get("test"), value["by"], start=value.get("from"))
    for key, kind in (("group", SplitKind.GROUPED), ("stratify", SplitKind.STRATIFIED)):
        if key in value:
            return Split(kind, value["test"], value[key], seed)
    return Split(SplitKind.RANDOM, value["test"], None, seed)


def _metric_gate(metric: str, limits: Mapping[str, Any]) -> MetricGate:
    n = limits.get("n")
    return MetricGate(
        metric, limits.get("min"), limits.get("max"), limits.get("max_drop"), int(n) if n is not None else None
    )


def _slice_gate(column: str, limits: Mapping[str, Any]) -> SliceGate:
    n = limits.get("n")
    return SliceGate(
        column,
        limits["metric"],
        limits.get("min"),
        limits.get("max"),
        limits.get("min_ratio"),
        int(n) if n is not None else None,
    )


def _column(name: str, rules: Mapping[str, Any]) -> Column:
    value = dict(rules)
    if "values" in value:
        value["values"] = tuple(value["values"])
    return Column(name, **value)


def contradictions(document: Document) -> Iterator[Problem]:
    """Yield what a schema cannot say: keys that exclude each other, bounds that no value can keep."""
    value = document.value
    match document.kind:
        case "data":
            yield from _split_contradictions(document, value["split"])
        case "gates":
            yield from _gate_contradictions(document)
        case "monitors":
            yield from monitor_contradictions(document)
        case "dataset":
            for name, rules in value.get("columns", {}).items():
                yield from bounds(document, f"columns.{name}", rules)
        case "version" if value["format"] > FORMAT:
            message = f"format {value['format']} of a dataset version, this custody reads {FORMAT}"
            yield Problem("E109", message, document.place("format"), help=("pip install --upgrade git-custody",))
        case "config" if value["spec"] != LANGUAGE:
            message = f"spec language {value['spec']}, this custody reads {LANGUAGE}"
            yield Problem("E109", message, document.place("spec"), help=("pip install --upgrade git-custody",))
        case "config" if value.get("ledger", LEDGER) == value.get("trials", TRIALS):
            message = "`ledger` and `trials` name the same branch: a trial must never count as a record of production"
            yield Problem("E106", message, document.place("trials"), help=("trials: mlops/trials",))


def _split_contradictions(document: Document, split: Mapping[str, Any]) -> Iterator[Problem]:
    for one, other, why in _EXCLUSIVE:
        if one in split and other in split:
            place = document.places.get(f"split.{other}#key")
            message = f"`split` has {say(one)} and {say(other)}: {why}"
            yield Problem("E106", message, place, help=(f"remove `{other}`",))
    if "from" in split and "by" not in split:
        message = '`split` has "from" and no "by", the column that it is a value of'
        yield Problem("E102", message, document.places.get("split.from#key"), help=("add `by: <column>`",))
    elif "from" not in split and "test" not in split:
        help_ = ("add, for example:  test: 0.2", *(("or `from: 2025-01-01`",) if "by" in split else ()))
        place = document.places.get("split#key") or document.place("split")
        yield Problem("E102", '`split` has no "test"', place, help=help_)


def _gate_contradictions(document: Document) -> Iterator[Problem]:
    for part, limits in (("metrics", ("min", "max", "max_drop")), ("slices", ("min", "max", "min_ratio"))):
        for name, rules in document.value.get(part, {}).items():
            dotted = f"{part}.{name}"
            yield from bounds(document, dotted, rules)
            yield from reach(document, dotted, str(rules.get("metric", name)), rules)
            if not any(limit in rules for limit in limits):
                place = document.places.get(f"{dotted}#key")
                message = f"`{say(dotted, quote=False)}` has no limit: nothing would be judged"
                yield Problem("E106", message, place, help=(f"add one of {', '.join(limits)}",))
