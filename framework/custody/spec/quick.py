"""A fast yes or no for the part of JSON Schema that our own schemas use.

Spec files are nearly always right, and importing jsonschema costs more than checking fifty models; so it is asked only
for the words, where this says no. A test holds the two to the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


_TYPES: Mapping[str, Check] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": _integer,
}
_number = _TYPES["number"]


def compiled(schema: Mapping[str, Any]) -> Check:
    """Return a function that says whether a value keeps `schema`; raises KeyError for a keyword it does not know."""
    checks = [_KEYWORDS[word](rule, schema) for word, rule in schema.items() if word not in _WORDS]
    if not checks:
        return lambda _: True
    if len(checks) == 1:
        return checks[0]
    return lambda value: _all(checks, value)


def _all(checks: list[Check], value: Any) -> bool:
    # a plain loop: a generator in all() costs as much again as the checks themselves
    for check in checks:  # noqa: SIM110
        if not check(value):
            return False
    return True


def _type(rule: Any, _: Mapping[str, Any]) -> Check:
    if isinstance(rule, str):
        return _TYPES[rule]
    kinds = [_TYPES[name] for name in rule]
    return lambda value: any(kind(value) for kind in kinds)


def _properties(rule: Any, schema: Mapping[str, Any]) -> Check:
    known = {name: compiled(part) for name, part in rule.items()}
    rest = _rest(schema.get("additionalProperties", True))

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, item in value.items():  # noqa: SIM110  # as in _all
            if not known.get(name, rest)(item):
                return False
        return True

    return check


def _additional(rule: Any, schema: Mapping[str, Any]) -> Check:
    return (lambda _: True) if "properties" in schema else _properties({}, {"additionalProperties": rule})


def _rest(rule: Any) -> Check:
    return (lambda _: rule) if isinstance(rule, bool) else compiled(rule)


def _required(rule: Any, _: Mapping[str, Any]) -> Check:
    names = frozenset(rule)
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _names(rule: Any, _: Mapping[str, Any]) -> Check:
    check = compiled(rule)
    return lambda value: not isinstance(value, dict) or all(check(name) for name in value)


def _items(rule: Any, _: Mapping[str, Any]) -> Check:
    check = compiled(rule)
    return lambda value: not isinstance(value, list) or all(check(item) for item in value)


def _unique(_: Any, __: Mapping[str, Any]) -> Check:
    def check(value: Any) -> bool:
        return not isinstance(value, list) or len({_kind(item) for item in value}) == len(value)

    return check


def _kind(value: Any) -> tuple[str, str]:
    """Tell true from 1, but not 1 from 1.0, as JSON Schema does."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return type(value).__name__, repr(value)


def _enum(rule: Any, _: Mapping[str, Any]) -> Check:
    kinds = {_kind(item) for item in rule}
    return lambda value: _kind(value) in kinds


def _pattern(rule: Any, _: Mapping[str, Any]) -> Check:
    search = re.compile(rule).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _compare(kind: Check, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Mapping[str, Any]], Check]:
    return lambda rule, _: lambda value: not kind(value) or holds(value, rule)


_KEYWORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], Check]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "propertyNames": _names,
    "items": _items,
    "uniqueItems": _unique,
    "pattern": _pattern,
    "enum": _enum,
    "minimum": _compare(_number, lambda value, rule: value >= rule),
    "maximum": _compare(_number, lambda value, rule: value <= rule),
    "exclusiveMinimum": _compare(_number, lambda value, rule: value > rule),
    "exclusiveMaximum": _compare(_number, lambda value, rule: value < rule),
    "minLength": _compare(_TYPES["string"], lambda value, rule: len(value) >= rule),
    "maxLength": _compare(_TYPES["string"], lambda value, rule: len(value) <= rule),
    "minItems": _compare(_TYPES["array"], lambda value, rule: len(value) >= rule),
}
_WORDS = frozenset({"$schema", "title", "description", "examples", "default", "patternErrorMessage"})
"""Keywords that say nothing about validity."""
