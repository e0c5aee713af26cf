"""Which estimator `sklearn.<Class>` is, and whether its parameters and its kind fit, without importing scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from custody.domain.problem import Place, Problem
from custody.domain.spec import ModelSpec, Task
from custody.spec.hints import nearest
from custody.spec.parameters import Parameter, parameters
from custody.spec.sources import PACKAGE, find, lineage, public
from custody.spec.words import say

PREFIX = f"{PACKAGE}."
_MIXINS: Mapping[Task, str] = {Task.CLASSIFICATION: "ClassifierMixin", Task.REGRESSION: "RegressorMixin"}
_SUFFIXES: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("Classifier", "SVC", "Regression"),
    Task.REGRESSION: ("Regressor", "SVR", "Ridge"),
}


def locate(name: str) -> str | None:
    """Return where the class is, as `module:Class`; None where scikit-learn has no such public class.

    `sklearn.HistGradientBoostingClassifier` is `sklearn.ensemble:HistGradientBoostingClassifier`.
    """
    cls = name.removeprefix(PREFIX)
    found = find(cls) if name.startswith(PREFIX) else None
    return f"{found[0]}:{cls}" if found else None


@cache
def tasks(name: str) -> frozenset[Task]:
    """Return the tasks that the estimator `sklearn.<Class>` is made for."""
    names = ancestry(name)
    return frozenset(task for task, mixin in _MIXINS.items() if mixin in names)


@cache
def ancestry(name: str) -> frozenset[str]:
    """Return the names of the class `sklearn.<Class>` and of all its bases; none where there is no such class."""
    cls = name.removeprefix(PREFIX)
    found = find(cls)
    classes = tuple(lineage(found[1], cls)) if found else ()
    return frozenset(item.name for item in classes) | {base for item in classes for _, base in item.bases}


@cache
def known(task: Task) -> tuple[str, ...]:
    """Return the names of all estimators for `task`."""
    return tuple(f"{PREFIX}{cls}" for cls in sorted(public()) if task in tasks(f"{PREFIX}{cls}"))


def nearest_estimator(name: str, task: Task) -> str | None:
    """Return the estimator for `task` that `name` was probably meant to be."""
    cls = name.rpartition(".")[2].replace("_", "")
    near = nearest(cls, [item.removeprefix(PREFIX) for item in known(task)])
    return f"{PREFIX}{near}" if near else None


def estimator_problems(model: ModelSpec) -> Iterator[Problem]:
    """Yield what is wrong with `train.uses: sklearn.<Class>` and its parameters."""
    name = model.train.name
    if locate(name) is None:
        yield _unknown(model, name)
        return
    made_for = tasks(name)
    if model.task not in made_for:
        yield _unfit(model, name, made_for)
        return
    yield from parameter_problems(
        name,
        model.train.with_,
        "train.with",
        lambda key: model.documents["pipeline"].places.get(f"train.with.{key}#key"),
        lambda key: model.place("pipeline", f"train.with.{key}"),
        model.place("pipeline", "train.uses"),
    )


def parameter_problems(
    name: str,
    given: Mapping[str, Any],
    dotted: str,
    key_place: Callable[[str], Place | None],
    value_place: Callable[[str], Place],
    place: Place,
) -> Iterator[Problem]:
    """Yield what is wrong with the parameters `given` to `sklearn.<Class>`, which stand at `dotted`."""
    cls = name.removeprefix(PREFIX)
    found = find(cls)
    declared = parameters(found[1], cls) if found else None
    if declared is None:
        return
    for parameter in declared.values():
        if parameter.required and parameter.name not in given:
            message = f"{name} needs the parameter {say(parameter.name)}, which no YAML can hold"
            yield Problem("E208", message, place, help=("use an own function",))
    for key, value in given.items():
        if key not in declared:
            yield _unknown_parameter(name, key, dotted, declared, key_place(key))
        elif not declared[key].accepts(value):
            yield _wrong_parameter(declared[key], value, dotted, value_place(key))


def _unknown(model: ModelSpec, name: str) -> Problem:
    place = model.place("pipeline", "train.uses")
    cls = name.rpartition(".")[2]
    if find(cls):
        advice = f"use {PREFIX}{cls}"
    else:
        near = nearest_estimator(name, model.task)
        advice = f"did you mean {say(near)}?" if near else f"for example: {_example(model.task)}"
    message = f"scikit-learn has no estimator {say(name)}"
    return Problem("E208", message, place, label="not in the installed scikit-learn", help=(advice,))


def _example(task: Task) -> str:
    ending = "Classifier" if task is Task.CLASSIFICATION else "Regressor"
    return f"{PREFIX}HistGradientBoosting{ending}"


def _unfit(model: ModelSpec, name: str, made_for: frozenset[Task]) -> Problem:
    place = model.place("pipeline", "train.uses")
    other = _counterpart(name, model.task)
    if not made_for:
        message = f"{name} neither classifies nor predicts numbers"
        return Problem("E212", message, place, help=(f"use {other or _example(model.task)}",))
    kind = "classification" if Task.CLASSIFICATION in made_for else "regression"
    return Problem(
        "E212",
        f"{name} is made for {kind}, but the task of {model.name} is {model.task}",
        place,
        label=f"made for {kind}",
        help=(f"use {other or _example(model.task)}", f"or say `task: {kind}` in {model.directory}/model.yaml"),
        related=model.place("model", "task"),
    )


def _counterpart(name: str, task: Task) -> str | None:
    wrong = Task.REGRESSION if task is Task.CLASSIFICATION else Task.CLASSIFICATION
    for ending, other in zip(_SUFFIXES[wrong], _SUFFIXES[task], strict=True):
        candidate = name.removesuffix(ending) + other
        if name.endswith(ending) and locate(candidate) and task in tasks(candidate):
            return candidate
    return None


def _unknown_parameter(
    name: str, key: str, dotted: str, declared: Mapping[str, Parameter], place: Place | None
) -> Problem:
    near = nearest(key, declared)
    names = ", ".join(declared)
    return Problem(
        "E101",
        f"unknown key {say(key)} in `{say(dotted, quote=False)}`",
        place,
        label=f"not a parameter of {name}",
        help=(f"did you mean {say(near)}?" if near else f"parameters of {name}: {names}",),
    )


def _wrong_parameter(parameter: Parameter, value: Any, dotted: str, place: Place) -> Problem:
    allowed = parameter.allowed or ()
    options = [option for item in allowed for option in item.options]
    near = nearest(value, options) if isinstance(value, str) else None
    kind = _kind(value)
    return Problem(
        "E106" if any(item.kind == kind for item in allowed) else "E104",
        f"`{say(dotted, quote=False)}.{parameter.name}` is {say(value)}, expected {parameter.expected}",
        place,
        label=f"expected {parameter.expected}",
        help=(f"did you mean {say(near)}?",) if near else (),
    )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number" if isinstance(value, (int, float)) else ""
