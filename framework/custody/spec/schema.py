"""The JSON Schemas of the spec files, and what they have against a value, in our own words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from custody.domain.problem import Place, Problem
from custody.domain.spec import MODEL_KINDS
from custody.errors import UsageError
from custody.spec.hints import FILES, meant, nearest, unknown_key
from custody.spec.quick import Check, compiled
from custody.spec.words import listed, say
from custody.spec.yaml12 import Parsed

KINDS = ("model", "data", "pipeline", "gates", "monitors", "dataset", "version", "config")
_NOUNS = {
    "string": "a text",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@cache
def schema(kind: str) -> Mapping[str, Any]:
    """Return the schema (draft-07) of a kind of file; raises UsageError where there is no such kind.

    What several keys have in common stands once in the file, as a definition; it is whole here at each of them.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no schema {say(kind)}", code="E101", help=meant(kind, KINDS))
    text = (Path(__file__).parent / "schemas" / f"{kind}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    definitions = loaded.pop("definitions", None)
    whole: Mapping[str, Any] = _whole(loaded, definitions) if definitions else loaded
    return whole


def _whole(rules: Any, definitions: Mapping[str, Any]) -> Any:
    """Put the definition that a `$ref` names in its place, with what stands beside the `$ref` laid over it."""
    if isinstance(rules, list):
        return [_whole(item, definitions) for item in rules]
    if not isinstance(rules, dict):
        return rules
    own = {key: _whole(item, definitions) for key, item in rules.items() if key != "$ref"}
    named = rules["$ref"].rpartition("/")[2] if isinstance(rules.get("$ref"), str) else None
    return _laid_over(_whole(definitions[named], definitions), own) if named else own


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = (key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict))
    return {**below, **above, **{key: _laid_over(below[key], above[key]) for key in both}}


def for_editor(kind: str) -> Mapping[str, Any]:
    """Return the schema for an editor: a profile may give the required keys of a model's file, so none is missed."""
    return _rules(kind, partial=kind in MODEL_KINDS)


def check(kind: str, parsed: Parsed, path: str, *, partial: bool = False) -> tuple[Problem, ...]:
    """Return what the schema of `kind` has against the parsed file, in the order of the file.

    `partial`: required keys may be missing, as in the file of a profile.
    """
    if _quick(kind, partial)(parsed.value):
        return ()
    found = faults(_rules(kind, partial), parsed.value)
    problems = [problem for fault in found for problem in _problems(kind, fault, parsed, path)]
    return tuple(
        sorted(problems, key=lambda problem: (problem.place.line, problem.place.column) if problem.place else (0, 0))
    )


@cache
def _quick(kind: str, partial: bool) -> Check:  # noqa: FBT001
    return compiled(_rules(kind, partial))


def _rules(kind: str, partial: bool) -> Mapping[str, Any]:  # noqa: FBT001
    rules = schema(kind)
    return _without_required(rules) if partial else rules


def _without_required(rules: Any) -> Any:
    if isinstance(rules, list):
        return [_without_required(item) for item in rules]
    if not isinstance(rules, Mapping):
        return rules
    return {
        key: _without_required(item) for key, item in rules.items() if key != "required" or isinstance(item, Mapping)
    }


def keeps(rules: Mapping[str, Any], value: Any) -> bool:
    """Whether `value` surely keeps `rules`, without jsonschema; False where it does not or that takes jsonschema."""
    try:
        return compiled(rules)(value)
    except (KeyError, TypeError, ValueError, AttributeError, re.error):
        return False


def faults(rules: Mapping[str, Any], value: Any) -> list[Any]:
    """Return jsonschema's errors; references to other documents are not followed.

    Raises ValueError where `rules` is itself no schema.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft7Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft7Validator.check_schema(rules)
        return list(Draft7Validator(rules, registry=Registry()).iter_errors(value))
    except SchemaError as error:
        raise ValueError(error.message) from error
    except Unresolvable as error:
        raise ValueError(f"a $ref that leads nowhere: {error}") from error


def _problems(kind: str, fault: Any, parsed: Parsed, path: str) -> Iterator[Problem]:
    dotted = ".".join(str(part) for part in fault.absolute_path)
    if fault.validator == "additionalProperties":
        yield from _unknown(kind, fault, dotted, parsed, path)
    elif fault.validator == "required":
        yield from _missing(kind, fault, dotted, parsed, path)
    elif "propertyNames" in fault.absolute_schema_path:
        inner = f"{dotted}.{fault.instance}" if dotted else str(fault.instance)
        yield _wrong_name(fault, parsed.places.get(f"{inner}#key"))
    else:
        yield wrong_value(fault, dotted, place_of(parsed.places, dotted, path), source=parsed.text)


def place_of(places: Mapping[str, Place], dotted: str, path: str) -> Place:
    """Return the place of `dotted`, or of its nearest ancestor that is written in the file."""
    while dotted:
        if dotted in places:
            return places[dotted]
        dotted = dotted.rpartition(".")[0]
    return Place(path, 1, 1)


def _unknown(kind: str, fault: Any, dotted: str, parsed: Parsed, path: str) -> Iterator[Problem]:
    known = tuple(fault.schema.get("properties", {}))
    for key in fault.instance:
        if key not in known:
            hint = unknown_key(kind, dotted, key, known, _top_level(), path.rpartition("/")[0])
            place = parsed.places.get(f"{dotted}.{key}#key" if dotted else f"{key}#key")
            yield Problem(hint.code, hint.message, place, label=hint.label, help=hint.help)


@cache
def _top_level() -> Mapping[str, tuple[str, ...]]:
    return {kind: tuple(schema(kind)["properties"]) for kind in FILES}


def _missing(kind: str, fault: Any, dotted: str, parsed: Parsed, path: str) -> Iterator[Problem]:
    from custody.spec.emit import flow

    # jsonschema reports each missing key in a fault of its own, with the key only in its message
    for key in fault.validator_value:
        if key in fault.instance or f"'{key}'" not in fault.message:
            continue
        where = f"`{say(dotted, quote=False)}`" if dotted else FILES.get(kind, path.rpartition("/")[2])
        example = (fault.schema["properties"][key].get("examples") or ["…"])[0]
        place = parsed.places.get(f"{dotted}#key") or place_of(parsed.places, dotted, path)
        yield Problem("E102", f"{where} has no {say(key)}", place, help=(f"add, for example:  {key}: {flow(example)}",))


def _wrong_name(fault: Any, place: Place | None) -> Problem:
    wanted = fault.schema.get("patternErrorMessage", "a name")
    return Problem("E106", f"{say(fault.instance)} cannot be a name here, expected {wanted}", place)


def wrong_value(fault: Any, dotted: str, place: Place, *, source: str = "") -> Problem:
    """Return the problem for a value that is not what the schema wants; `source` is the text of its file."""
    name = f"`{say(dotted, quote=False)}`" if dotted else "the file"
    if fault.validator == "type":
        return _wrong_type(fault, name, place, source)
    value, rules = fault.instance, fault.schema
    match fault.validator:
        case "uniqueItems":
            twice = next(item for index, item in enumerate(value) if item in value[:index])
            return Problem("E106", f"{name} lists {say(twice)} twice", place, help=("remove one",))
        case "minItems":
            return Problem("E106", f"{name} is empty, expected at least {rules['minItems']}", place)
        case "maxLength":
            return Problem("E106", f"{name} is longer than {rules['maxLength']} characters", place)
    wanted = expected(rules)
    near = nearest(str(value), [str(item) for item in rules["enum"]]) if "enum" in rules else None
    advice = (f"did you mean {say(near)}?",) if near else ()
    return Problem("E106", f"{name} is {say(value)}, expected {wanted}", place, label=f"expected {wanted}", help=advice)


def _wrong_type(fault: Any, name: str, place: Place, source: str) -> Problem:
    value, rules = fault.instance, fault.schema
    wanted = expected(rules)
    if value is None:
        return Problem("E104", f"{name} has no value, expected {wanted}", place, label=f"expected {wanted}")
    written = _written(source, place)
    fits = re.search(rules.get("pattern", ""), written) is not None
    if written and fits and "string" in _types(rules) and not isinstance(value, (str, dict, list)):
        message = f"{name} is the {_kind(value)} {say(value)}, expected a text"
        return Problem("E107", message, place, label="a text is wanted", help=(f'quote it: "{written}"',))
    return Problem("E104", f"{name} is {say(value)}, expected {wanted}", place, label=f"expected {wanted}")


def expected(rules: Mapping[str, Any]) -> str:
    """Return what a schema wants in words, such as `an integer ≥ 1`."""
    if "enum" in rules:
        return f"one of {listed(rules['enum'])}"
    if "patternErrorMessage" in rules:
        return str(rules["patternErrorMessage"])
    words = " or ".join(_NOUNS.get(kind, kind) for kind in _types(rules)) or "something else"
    bounds = " and ".join(f"{sign} {rules[bound]:g}" for bound, sign in _BOUNDS.items() if bound in rules)
    return f"{words} {bounds}".strip()


def _types(rules: Mapping[str, Any]) -> Sequence[str]:
    kinds = rules.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def _kind(value: Any) -> str:
    return "truth value" if isinstance(value, bool) else "number"


def _written(source: str, place: Place) -> str:
    """Return a scalar as it stands in the file: `3.10` is no longer known once it is a number."""
    lines = source.split("\n")
    if place.line > len(lines):
        return ""
    return lines[place.line - 1][place.column - 1 : place.column - 1 + place.width]
