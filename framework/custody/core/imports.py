"""One Python file, read without running it: what it imports, what it means, and what cannot be seen from outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from custody.core.source import meaning, parse, too_large
from custody.digest import sha256

_DYNAMIC = {
    "__import__",
    "import_module",
    "spec_from_file_location",
    "run_path",
    "run_module",
    "SourceFileLoader",
    "load_module",
}
_READERS = {"open", "read_text", "read_bytes"}


@dataclass(frozen=True, slots=True)
class Import:
    """`from ..module import names` (level 2), or `import module` (level 0, no names)."""

    module: str
    level: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """A call that reaches files which no static look can follow; `reads` is the literal path that it opens."""

    message: str
    line: int
    column: int
    width: int
    excerpt: str
    reads: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What one file says: the SHA-256 of its meaning, its imports in order, the names in `__all__`."""

    meaning: str
    imports: tuple[Import, ...] = ()
    exported: tuple[str, ...] = ()
    sights: tuple[Sight, ...] = ()


def scan(source: bytes) -> Scan:
    """Return what `source` says; bytes that are no Python, or too many to be read as such, import nothing."""
    if too_large(source):
        return Scan(sha256(source))
    identity = sha256(meaning(source))
    try:
        nodes = tuple(ast.walk(parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Scan(identity)
    lines = source.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    sights = [sight for node in nodes if isinstance(node, ast.Call) for sight in _sights(node, lines)]
    return Scan(
        identity,
        tuple(dict.fromkeys(item for node in nodes for item in _imports(node))),
        tuple(name for node in nodes for name in _exported(node)),
        tuple(sorted(sights, key=lambda sight: (sight.line, sight.column))),
    )


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield Import(node.module or "", node.level, tuple(alias.name for alias in node.names))


def _exported(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, (ast.List, ast.Tuple)):
        return
    if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
        for item in node.value.elts:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value


def _sights(call: ast.Call, lines: list[str]) -> Iterator[Sight]:
    name = _called(call.func)
    if name in _DYNAMIC:
        yield _sight(f"{name}() imports what cannot be seen without running it", call, lines)
    elif name in _READERS and not _writes(call):
        literal = _path_of(call)
        if literal is not None:
            yield _sight(f'the code reads "{literal}", which is no part of its identity', call, lines, literal)


def _path_of(call: ast.Call) -> str | None:
    """Return the literal path of `open("x")`, `Path("x").open()` and the like."""
    if isinstance(call.func, ast.Name):
        return _literal(call)
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return _literal(inner) if isinstance(inner, ast.Call) and _called(inner.func) == "Path" else None


def _literal(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _writes(call: ast.Call) -> bool:
    candidates = [*call.args[0:2], *(word.value for word in call.keywords if word.arg == "mode")]
    modes = {item.value for item in candidates if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax") for mode in modes)


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _sight(message: str, call: ast.Call, lines: list[str], reads: str | None = None) -> Sight:
    line = lines[call.lineno - 1] if call.lineno <= len(lines) else ""
    column = len(line.encode()[: call.col_offset].decode(errors="replace")) + 1
    width = (call.end_col_offset or 0) - call.col_offset if call.end_lineno == call.lineno else 1
    return Sight(message, call.lineno, column, max(1, width), line, reads)
