"""The parameters of a scikit-learn class, and what their values may be, from `_parameter_constraints` in its source.

A constraint that cannot be read allows every value: a parameter is refused only where scikit-learn would refuse it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from custody.spec.sources import ClassSource, class_source, lineage
from custody.spec.words import listed

_GREATEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Allowed:
    """One kind of value: `words` say what it is, `kind` its type, `options` the texts it may be."""

    words: str
    accepts: Callable[[Any], bool]
    kind: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `allowed` is None where any value may be given."""

    name: str
    required: bool
    allowed: tuple[Allowed, ...] | None = None

    def accepts(self, value: Any) -> bool:
        """Whether scikit-learn would take `value`, as far as its source tells."""
        return self.allowed is None or any(item.accepts(value) for item in self.allowed)

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        return " or ".join(dict.fromkeys(item.words for item in self.allowed or () if item.words)) or "another value"


@cache
def parameters(module: str, name: str) -> Mapping[str, Parameter] | None:
    """Return the parameters of a class by name, in order; None where they cannot be told from its source."""
    classes = tuple(lineage(module, name))
    init = next((item.init for item in classes if item.init is not None), None)
    if init is None or init.args.kwarg or init.args.vararg:
        return None
    constraints = _constraints(classes)
    return {
        name: Parameter(name, required, _allowed(constraints.get(name))) for name, required in _arguments(init.args)
    }


def _arguments(arguments: ast.arguments) -> Iterator[tuple[str, bool]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    for index, item in enumerate(positional):
        if item.arg != "self":
            yield item.arg, index < required
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield item.arg, default is None


def _constraints(classes: tuple[ClassSource, ...]) -> dict[str, ast.expr]:
    """Return the constraints of the first class that has its own, as in Python's attribute lookup."""
    for item in classes:
        if item.statements:
            found: dict[str, ast.expr] = {}
            for statement in item.statements:
                _apply(statement, found, item.module)
            return found
    return {}


def _apply(statement: ast.stmt, found: dict[str, ast.expr], module: str) -> None:
    match statement:
        case (
            ast.AnnAssign(target=ast.Name(), value=ast.Dict() as value)
            | ast.Assign(targets=[ast.Name()], value=ast.Dict() as value)
        ):
            found.clear()
            found |= _entries(value, module)
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str() as name))], value=value):
            found[name] = value
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="pop"), args=[ast.Constant(value=str() as name), *_])):
            found.pop(name, None)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="update"), args=[ast.Dict() as value])):
            found |= _entries(value, module)
        case ast.For(iter=ast.Tuple() | ast.List() as names):
            for item in names.elts:
                if isinstance(item, ast.Constant):
                    found.pop(str(item.value), None)
        case _:
            found.clear()


def _entries(value: ast.Dict, module: str) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for key, item in zip(value.keys, value.values, strict=True):
        match key, item:
            case ast.Constant(value=str() as name), _:
                found[name] = item
            case None, ast.Attribute(value=ast.Name(id=other), attr="_parameter_constraints"):
                parent = class_source(module, other)
                if parent is not None:
                    found |= _constraints(tuple(lineage(parent.module, parent.name)))
    return found


def _allowed(node: ast.expr | None) -> tuple[Allowed, ...] | None:
    if not isinstance(node, ast.List):
        return None
    read = [_read(item) for item in node.elts]
    known = tuple(item for item in read if item is not None)
    return known if len(known) == len(read) else None


def _read(node: ast.expr) -> Allowed | None:
    """Return what one constraint allows; None where it cannot be told."""
    match node:
        case ast.Constant(value=None):
            return Allowed("null", lambda value: value is None, "null")
        case ast.Constant(value=str() as word):
            return _NAMED.get(word)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES.get(name) or (_IMPOSSIBLE if name[:1].isupper() else None)
        case ast.Call(func=ast.Name(id=name)):
            return _call(name, node)
    return None


def _call(name: str, call: ast.Call) -> Allowed | None:
    match name, call.args:
        case "Hidden", [inner]:
            return _read(inner)
        case "StrOptions", [ast.Set(elts=items), *_]:
            return _options(items)
        case "Options", [_, ast.Set(elts=items), *_]:
            return _options(items)
        case "HasMethods", _:
            return _IMPOSSIBLE
        case "Interval", _:
            return _interval(call)
    return None


def _options(items: list[ast.expr]) -> Allowed | None:
    if not all(isinstance(item, ast.Constant) for item in items):
        return None
    values = [item.value for item in items if isinstance(item, ast.Constant)]
    texts = tuple(sorted(value for value in values if isinstance(value, str)))
    return Allowed(listed(sorted(values, key=str), quote=True), lambda value: value in values, "text", texts)


def _interval(call: ast.Call) -> Allowed | None:
    kind = call.args[0].attr if isinstance(call.args[0], ast.Attribute) else getattr(call.args[0], "id", "")
    base = _TYPES.get(kind)
    closed = next((word.value for word in call.keywords if word.arg == "closed"), None)
    if base is None or len(call.args) != 3 or not isinstance(closed, ast.Constant):  # noqa: PLR2004
        return None
    low, high = _number(call.args[1]), _number(call.args[2])
    with_low, with_high = closed.value in {"left", "both"}, closed.value in {"right", "both"}

    def accepts(value: Any) -> bool:
        if not base.accepts(value):
            return False
        above = low is None or value > low or (with_low and value == low)
        return above and (high is None or value < high or (with_high and value == high))

    bounds = [f"{'≥' if with_low else '>'} {low:g}"] if low is not None else []
    bounds += [f"{'≤' if with_high else '<'} {high:g}"] if high is not None else []
    return Allowed(f"{base.words} {' and '.join(bounds)}".strip(), accepts, base.kind)


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, (int, float)) else None


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IMPOSSIBLE = Allowed("", lambda _: False)
"""An object that no YAML can hold."""
_BOOLEAN = Allowed("true or false", lambda value: isinstance(value, bool), "boolean")
_LIST = Allowed("a list", lambda value: isinstance(value, list), "list")
_TEXT = Allowed("a text", lambda value: isinstance(value, str), "text")
_TYPES: Mapping[str, Allowed] = {
    "str": _TEXT,
    "dict": Allowed("a mapping", lambda value: isinstance(value, dict), "mapping"),
    "list": _LIST,
    "tuple": _LIST,
    "bool": _BOOLEAN,
    "int": Allowed("an integer", _integer, "number"),
    "Integral": Allowed("an integer", _integer, "number"),
    "float": Allowed("a number with a point", lambda value: isinstance(value, float), "number"),
    "RealNotInt": Allowed("a number with a point", lambda value: isinstance(value, float), "number"),
    "Real": Allowed("a number", _real, "number"),
    "callable": _IMPOSSIBLE,
}
_NAMED: Mapping[str, Allowed] = {
    "boolean": _BOOLEAN,
    "array-like": _LIST,
    "sparse matrix": _IMPOSSIBLE,
    "nan": _IMPOSSIBLE,
    "random_state": Allowed(
        "an integer ≥ 0 or null",
        lambda value: value is None or (_integer(value) and 0 <= value <= _GREATEST_SEED),
        "number",
    ),
    "verbose": Allowed(
        "true, false or an integer ≥ 0", lambda value: isinstance(value, bool) or (_integer(value) and value >= 0)
    ),
    "cv_object": Allowed(
        "an integer ≥ 2 or null",
        lambda value: value is None or isinstance(value, list) or (_integer(value) and value > 1),
        "number",
    ),
}
