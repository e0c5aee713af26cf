"""Overriding parameters for one trial: `train.max_depth=6`, checked as if it stood in pipeline.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from custody.domain.problem import Place, Problem, Severity
from custody.domain.revision import Read
from custody.domain.spec import Document, ModelSpec, Spec
from custody.errors import InvalidSpecError, UsageError
from custody.spec import build
from custody.spec.hints import meant
from custody.spec.references import model_problems
from custody.spec.schema import check
from custody.spec.scope import Scope
from custody.spec.yaml12 import Parsed, parse

OPTION = "--set"
_STEPS = ("train", "prepare")
_PARTS = ("steps", "columns")
_SEED = "seed"


@dataclass(frozen=True, slots=True)
class Setting:
    """One override: the dotted path in pipeline.yaml, its value, as it was typed, and where (the n-th option)."""

    path: tuple[str, ...]
    value: Any
    text: str
    place: Place

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    def __str__(self) -> str:
        return self.text


def parse_settings(texts: Sequence[str]) -> tuple[Setting, ...]:
    """Parse `path=value` texts, values as in YAML 1.2. Raises UsageError for what cannot be set."""
    return tuple(_setting(text, number) for number, text in enumerate(texts, 1))


def override(spec: Spec, names: Iterable[str], settings: Sequence[Setting], read: Read) -> Spec:
    """Return `spec` with the settings in the models `names`. Raises InvalidSpecError where a value is not possible."""
    models = dict(spec.models)
    problems: list[Problem] = []
    for name in names:
        models[name], found = _overridden(spec, models[name], settings, read)
        problems += found
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise InvalidSpecError(errors, len(errors))
    return replace(spec, models=models)


def _setting(text: str, number: int) -> Setting:
    dotted, equals, value = text.partition("=")
    parts = tuple(dotted.split("."))
    if not equals or not all(parts) or not text.isprintable():
        raise UsageError(
            f"{OPTION} {text!r} is not PATH=VALUE",
            code="E430",
            help=(f"{OPTION} train.max_depth=6", f"{OPTION} seed=7"),
        )
    step, rest = parts[0], parts[1:]
    if (step == _SEED and not rest) or (step == "prepare" and rest[1:] and (rest[0].isdecimal() or rest[0] in _PARTS)):
        path = parts
    elif step in _STEPS and rest and rest != ("with",):
        path = (step, *(rest if rest[0] == "with" else ("with", *rest)))
    else:
        raise _unknown(dotted, parts)
    parsed = parse(f"value: {value}".encode(), OPTION)
    if parsed.problems or set(parsed.value) != {"value"}:
        because = tuple(problem.message for problem in parsed.problems[:1])
        raise UsageError(
            f"{OPTION} {text}: the value is not YAML",
            code="E430",
            because=because,
            help=(f"{OPTION} {dotted}='\"text\"'",),
        )
    place = Place(OPTION, number, len(dotted) + 2, max(1, len(value)))
    return Setting(path, parsed.value["value"], text, place)


def _unknown(dotted: str, parts: tuple[str, ...]) -> UsageError:
    message = f"{OPTION} cannot change {dotted}: it changes parameters below train and prepare, and the seed"
    near = meant(parts[0], (*_STEPS, _SEED))
    if parts[0] in _STEPS:
        near = (f"{OPTION} {parts[0]}.max_depth=6",)
    elif near[0].startswith("known"):
        near = ("edit the spec and run `custody try`: uncommitted edits count",)
    return UsageError(message, code="E430", help=near)


def _overridden(
    spec: Spec, model: ModelSpec, settings: Sequence[Setting], read: Read
) -> tuple[ModelSpec, Iterator[Problem]]:
    document = model.documents["pipeline"]
    value: dict[str, Any] = dict(document.value)
    places = dict(document.places)
    for setting in settings:
        try:
            value = _put(value, setting.path, setting.value)
        except IndexError:
            raise _unknown(setting.dotted, setting.path) from None
        places[setting.dotted] = setting.place
        places[f"{setting.dotted}#key"] = replace(setting.place, column=1, width=len(setting.text.partition("=")[0]))
    changed = Document(document.kind, document.path, value, places)
    faults = check("pipeline", Parsed(value, places), document.path)
    if faults:
        return model, _shown(faults, settings)
    made = build.model(model.name, model.directory, {**model.documents, "pipeline": changed})
    return made, _shown(model_problems(made, Scope(spec, read)), settings)


def _put(value: Any, path: tuple[str, ...], item: Any) -> Any:
    """Return `value` with `item` at `path`; a `uses` written as a text becomes a mapping, one step a list.

    Raises IndexError where a step is meant that is not there.
    """
    if path and path[0].isdecimal():
        steps = list(value) if isinstance(value, list) else [value]
        place = int(path[0])
        steps[place] = _put({"uses": steps[place]} if isinstance(steps[place], str) else steps[place], path[1:], item)
        return steps
    if not path:
        return item
    name, rest = path[0], path[1:]
    if not rest:
        return {**value, name: item}
    inner = value.get(name, build.TABULAR if name == "prepare" and "with" in rest else {})
    if isinstance(inner, str) and not rest[0].isdecimal():
        inner = {"uses": inner}
    return {**value, name: _put(inner if isinstance(inner, (Mapping, list, str)) else {}, rest, item)}


def _shown(problems: Iterable[Problem], settings: Sequence[Setting]) -> Iterator[Problem]:
    """Yield the problems, with the option as excerpt where it is at fault."""
    for problem in problems:
        place = problem.place
        if place and place.path == OPTION and place.line <= len(settings):
            yield replace(problem, excerpt=settings[place.line - 1].text)
        else:
            yield problem
