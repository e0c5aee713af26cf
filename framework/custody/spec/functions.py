"""Own functions named in `uses`: where their file is, whether it defines them, and the `PARAMS` it declares.

Everything is read from source text; no code of the user is imported or run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from custody.core.source import SOURCE_LIMIT, too_large
from custody.domain.problem import Place, Problem
from custody.domain.revision import Read
from custody.domain.spec import Document
from custody.domain.uses import Uses
from custody.spec.hints import meant, unknown_key
from custody.spec.schema import faults, keeps, wrong_value
from custody.spec.words import say

PARAMS = "PARAMS"


@dataclass(frozen=True, slots=True)
class Use:
    """One `uses` of a spec file: the key it stands at, its folder, and the roots whose code it may name."""

    kind: str
    key: str
    uses: Uses
    document: Document
    directory: str
    extensions: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where the name is written; it may stand directly at the key."""
        return self.document.place(f"{self.key}.uses")

    def file_problems(self, read: Read) -> Iterator[Problem]:
        """Yield the declared files that are not there."""
        if not self.uses.files:
            return
        from custody.core.closure import declared_path

        for index, file in enumerate(self.uses.files):
            path = declared_path(file, self.directory)
            if read(path) is None:
                place = self.document.place(f"{self.key}.files.{index}")
                yield Problem("E213", f"there is no file {path}", place, help=(f"git add {path}", "or remove the line"))


@dataclass(frozen=True, slots=True)
class _Module:
    """What a source file defines at its top: functions, other names, and `PARAMS` with its line."""

    functions: tuple[str, ...]
    names: frozenset[str]
    params: ast.expr | None


def function_problems(use: Use, read: Read) -> Iterator[Problem]:
    """Yield what is wrong with a `uses` that names a file or a module."""
    name, _, function = use.uses.name.rpartition(":")
    if name.startswith("./"):
        yield from _file_problems(use, name, function, read)
    elif name:
        yield from _module_problems(use, name, function, read)
    else:
        message = f"{say(use.uses.name)} names a module but no function"
        advice = (f"write {use.uses.name}:<function>",)
        yield Problem("E210", message, use.place, help=advice)


def builtin_problems(use: Use, known: Mapping[str, str], *, own: bool = True) -> Iterator[Problem]:
    """Yield what is wrong with a built-in; `known` maps its names to their modules in `custody/kit`.

    `own` tells whether a function of one's own could stand there instead.
    Their `PARAMS` are read as those of own functions are: the modules themselves belong to the steps' processes.
    """
    if use.uses.name not in known:
        message = f"there is no built-in {say(use.uses.name)} for `{use.key}`"
        advice = (*meant(use.uses.name, known), *(("or an own function: ./file.py:function",) if own else ()))
        yield Problem("E208", message, use.place, help=advice)
        return
    path = Path(__file__).parents[1] / "kit" / f"{known[use.uses.name]}.py"
    params = _module(path.read_bytes()).params if path.is_file() else None
    if params is not None:
        yield from _params_problems(use, f"custody/kit/{path.name}", params)


def _file_problems(use: Use, name: str, function: str, read: Read) -> Iterator[Problem]:
    if "/../" in f"/{name}":
        message = f"{say(name)} leads out of the model's folder"
        yield Problem("E210", message, use.place, help=("use code of a package below `extensions`",))
        return
    path = f"{use.directory}/{name[2:]}"
    source = read(path)
    if source is None:
        message = f"there is no file {path}"
        yield Problem("E210", message, use.place, help=(f"git add {path}", "or correct the name"))
        return
    yield from _defined(use, path, source, function)


def _module_problems(use: Use, name: str, function: str, read: Read) -> Iterator[Problem]:
    inside = name.replace(".", "/")
    for root in use.extensions:
        for path in (f"{root}/{inside}.py", f"{root}/{inside}/__init__.py"):
            source = read(path)
            if source is not None:
                yield from _defined(use, path, source, function)
                return
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        message = f"{say(use.uses.name)} is part of Python itself, not a step"
        yield Problem("E211", message, use.place, help=("use ./file.py:function beside the spec",))
        return
    installed = _installed(name)
    if installed is None:
        roots = ", ".join(use.extensions) or "none are declared"
        message = f"module {say(name)} is neither below `extensions` ({roots}) nor installed"
        advice = ("add its root to `extensions` in .mlops/config.yaml", "or use ./file.py:function beside the spec")
        yield Problem("E211", message, use.place, help=advice)
    elif installed.suffix == ".py":
        yield from _defined(use, f"{name} (installed)", installed.read_bytes(), function)


@cache
def _installed(name: str) -> Path | None:
    """Return the file of an installed module; only its top package is looked up, so nothing is imported."""
    top, *rest = name.split(".")
    try:
        found = find_spec(top)
    except (ImportError, ValueError):
        return None
    if found is None:
        return None
    if not rest:
        return Path(found.origin) if found.origin else None
    for folder in found.submodule_search_locations or ():
        path = Path(folder).joinpath(*rest)
        for candidate in (path.with_suffix(".py"), path / "__init__.py", *path.parent.glob(f"{path.name}.*.so")):
            if candidate.is_file():
                return candidate
    return None


def _defined(use: Use, path: str, source: bytes, function: str) -> Iterator[Problem]:
    if too_large(source):
        message = f"{path} has {len(source):,} bytes; a source file may have {SOURCE_LIMIT:,}"
        yield Problem("E217", message, use.place, help=("move data out of the code", f"git rm --cached {path}"))
        return
    try:
        module = _module(source)
    except (RecursionError, MemoryError):
        message = f"{path} is nested too deep to be read"
        yield Problem("E210", message, use.place, help=(f"python -m py_compile {path}",))
        return
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        message = f"{path}:{line} is not valid Python: {say(getattr(error, 'msg', None) or str(error), quote=False)}"
        yield Problem("E210", message, use.place, related=Place(path, line, 1), help=(f"python -m py_compile {path}",))
        return
    if function in module.functions:
        if module.params is not None:
            yield from _params_problems(use, path, module.params)
    elif function not in module.names:
        message = f"{path} defines no function {say(function)}"
        yield Problem("E210", message, use.place, help=meant(function, module.functions) or (f"def {function}(…)",))


@cache
def _module(source: bytes) -> _Module:
    functions: list[str] = []
    names: set[str] = set()
    params = None
    for statement in ast.parse(source).body:
        match statement:
            case ast.FunctionDef(name=name):
                functions.append(name)
            case ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                names.add(name)
                params = value if name == PARAMS else params
            case _:
                pass
    return _Module(tuple(functions), frozenset(names), params)


def _params_problems(use: Use, path: str, node: ast.expr) -> Iterator[Problem]:
    related = Place(path, node.lineno, node.col_offset + 1)
    try:
        rules = ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        message = f"{PARAMS} of {path} is not a literal: it is read without running the file"
        yield Problem("E216", message, use.place, related=related, help=("write the schema out",))
        return
    if not isinstance(rules, dict):
        yield Problem("E216", f"{PARAMS} of {path} is {say(rules)}, expected a JSON Schema", use.place, related=related)
        return
    if keeps(rules, use.uses.with_):
        return
    try:
        found = faults(rules, dict(use.uses.with_))
    except (ValueError, TypeError, AttributeError) as error:
        message = f"{PARAMS} of {path} is not a JSON Schema: {say(str(error), quote=False)}"
        yield Problem("E216", message, use.place, related=related)
        return
    for fault in found:
        yield from _params_fault(use, fault, related)


def _params_fault(use: Use, fault: Any, related: Place) -> Iterator[Problem]:
    dotted = ".".join((f"{use.key}.with", *(str(part) for part in fault.absolute_path)))
    place = use.document.place(dotted)
    places: Mapping[str, Place] = use.document.places
    if fault.validator == "additionalProperties" and isinstance(fault.validator_value, bool):
        known = tuple(fault.schema.get("properties", {}))
        for key in fault.instance:
            if key not in known:
                hint = unknown_key("params", dotted, key, known, {}, "")
                label = f"not a parameter of {use.uses.name}"
                at = places.get(f"{dotted}.{key}#key")
                yield Problem(hint.code, hint.message, at, label=label, help=hint.help, related=related)
    elif fault.validator == "required":
        missing = [key for key in fault.validator_value if key not in fault.instance and f"'{key}'" in fault.message]
        for key in missing:
            message = f"`{dotted}` has no {say(key)}, which {use.uses.name} needs"
            yield Problem("E102", message, place, help=(f"add `{key}: …`",), related=related)
    else:
        yield wrong_value(fault, dotted, place)
