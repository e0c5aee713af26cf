"""Reading the classes of the installed scikit-learn from its source text, without importing it.

Whole files are never parsed: the few statements that matter (bases, `__init__`, `_parameter_constraints`) are cut out
by their indentation first, which is some fifty times faster.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "sklearn"

_IMPORT = re.compile(r"^from (sklearn[\w.]*) import (?:\(([^)]*)\)|([^\n(]+))", re.MULTILINE)
_CLASS = re.compile(r"^class ([A-Za-z_]\w*)\b", re.MULTILINE)
_NEXT = re.compile(r"^[A-Za-z_@]", re.MULTILINE)
_MEMBER = re.compile(r"^ {4}(?=(?:def __init__\(|_parameter_constraints\b|for \w+ in ))", re.MULTILINE)
_MEMBER_END = re.compile(r"^ {0,4}(?=[^\s)\]}])", re.MULTILINE)
_NOT_PUBLIC = frozenset({"tests", "utils", "externals", "datasets", "experimental", "conftest", "base", "exceptions"})


@dataclass(frozen=True, slots=True)
class ClassSource:
    """What matters of one class: its name, its bases as (module, name), and the statements that tell its parameters."""

    module: str
    name: str
    bases: tuple[tuple[str, str], ...]
    init: ast.FunctionDef | None
    statements: tuple[ast.stmt, ...]


def root() -> Path | None:
    """Return the folder of the installed scikit-learn; None where there is none. Imports nothing of it."""
    found = find_spec(PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    return Path(folders[0]) if folders else None


def find(name: str) -> tuple[str, str] | None:
    """Return the public module of a class and the module that defines it; None where it is not public."""
    # the packages' short __init__ files name nearly all; the long modules are read only for the rest
    return _of_packages().get(name) or _of_modules().get(name)


def public() -> Mapping[str, tuple[str, str]]:
    """Map each public class to its public module and to the module that defines it."""
    return {**_of_modules(), **_of_packages()}


@cache
def _of_packages() -> Mapping[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for entry in _public_entries():
        if not entry.suffix and (entry / "__init__.py").is_file():
            module = f"{PACKAGE}.{entry.name}"
            found |= {cls: (module, origin) for cls, (origin, _) in _imports(module).items() if cls[0].isupper()}
    return found


@cache
def _of_modules() -> Mapping[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for entry in _public_entries():
        if entry.suffix == ".py":
            module = f"{PACKAGE}.{entry.stem}"
            found |= {cls: (module, module) for cls in _CLASS.findall(_text(module)) if cls[0].isupper()}
    return found


def _public_entries() -> list[Path]:
    folder = root()
    entries = sorted(folder.iterdir()) if folder else []
    return [entry for entry in entries if not entry.name.startswith("_") and entry.stem not in _NOT_PUBLIC]


@cache
def class_source(module: str, name: str) -> ClassSource | None:
    """Return what matters of a class of scikit-learn; None where it is not found there or cannot be read."""
    text = _text(module)
    start = next((match.start() for match in _CLASS.finditer(text) if match[1] == name), None)
    if start is None:
        origin = _imports(module).get(name)
        return class_source(*origin) if origin and origin[0] != module else None
    end = _NEXT.search(text, start + 1)
    segment = text[start : end.start() if end else len(text)]
    try:
        bases = _bases(module, segment)
        members = [statement for chunk in _chunks(segment) for statement in ast.parse(chunk).body]
    except SyntaxError:
        return None
    init = next((item for item in members if isinstance(item, ast.FunctionDef)), None)
    return ClassSource(module, name, bases, init, tuple(item for item in members if item is not init))


def lineage(module: str, name: str) -> Iterator[ClassSource]:
    """Yield a class and its ancestors, each after all that override it, as far as they belong to scikit-learn."""
    order: dict[tuple[str, str], ClassSource] = {}
    _visit(module, name, order)
    yield from order.values()


def _visit(module: str, name: str, order: dict[tuple[str, str], ClassSource]) -> None:
    found = class_source(module, name)
    if found is None:
        return
    order.pop((found.module, found.name), None)
    order[found.module, found.name] = found
    for base in found.bases:
        _visit(*base, order)


@cache
def _text(module: str) -> str:
    folder = root()
    if folder is None:
        return ""
    path = folder.parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate.read_text(encoding="utf-8")
    return ""


@cache
def _imports(module: str) -> Mapping[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for origin, many, few in _IMPORT.findall(_text(module)):
        for item in re.sub(r"#.*", "", many or few).split(","):
            words = item.split()
            if words:
                found[words[-1]] = (origin, words[0])
    return found


def _bases(module: str, segment: str) -> tuple[tuple[str, str], ...]:
    header = re.match(r"class \w+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?:", segment)
    if header is None:
        return ()
    statement = ast.parse(f"{header[0]} pass").body[0]
    bases = statement.bases if isinstance(statement, ast.ClassDef) else []
    names = [base.id for base in bases if isinstance(base, ast.Name)]
    imports = _imports(module)
    return tuple(imports.get(name, (module, name)) for name in names)


def _chunks(segment: str) -> Iterator[str]:
    for match in _MEMBER.finditer(segment):
        end = _MEMBER_END.search(segment, match.end())
        chunk = segment[match.end() : end.start() if end else len(segment)]
        if chunk.startswith("def ") or "_parameter_constraints" in chunk:
            yield re.sub(r"^ {4}", "", chunk, flags=re.MULTILINE)
