"""What a Python source file means: its text without what cannot change what it does.

Comments, docstrings, blank lines and trailing blanks are cut out of the text by position. Nothing is printed anew
(`ast.dump`, `ast.unparse`): that differs between versions of Python, and an upgrade would retrain every model.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_BOM = "\ufeff"
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+")
SOURCE_LIMIT = 1 << 20
"""Bytes of the largest source file that is read as Python."""
_LOOKS_AT_ITSELF = (b"__doc__", b"getsource", b"getdoc", b"getcomments")
_OPENS = {"FSTRING_START", "TSTRING_START"}
_CLOSES = {"FSTRING_END", "TSTRING_END"}
_FAULTS = (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError)
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.ENCODING}
_Body = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def meaning(source: bytes) -> bytes:
    """Return the bytes that stand for what `source` does.

    1. A file that looks at its own text (`__doc__`, `getsource`) or has a coding cookie is kept as it is.
    2. Bytes that are no Python are kept as they are.
    3. Of all others comments, docstrings, blank lines, trailing blanks and the kind of line ends are cut.
    """
    if _keeps_all(source):
        return source
    try:
        text = source.decode().removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")
        return _cut(text).encode()
    except _FAULTS:
        return source


def too_large(source: bytes) -> bool:
    """Whether a source is not read as Python: a syntax tree takes hundreds of times its bytes."""
    return len(source) > SOURCE_LIMIT


def same_tree(a: bytes, b: bytes) -> bool:
    """Whether two sources mean the same to this interpreter though their text differs, as after a reformatting."""
    if a == b:
        return True
    if too_large(a) or too_large(b) or _keeps_all(a) or _keeps_all(b):
        return False
    try:
        return ast.dump(parse(meaning(a))) == ast.dump(parse(meaning(b)))
    except _FAULTS:
        return False


def first_difference(before: bytes, now: bytes) -> tuple[int, int]:
    """Return line and column, from 1, where `now` first says something else than `before`: comments do not count."""
    try:
        old, new = list(_words(before)), list(_words(now))
    except _FAULTS:
        old, new = list(_lines(before)), list(_lines(now))
    pairs = zip(old, new, strict=False)
    at = next((place for place, (one, two) in enumerate(pairs) if one[:2] != two[:2]), len(old))
    place = new[min(at, len(new) - 1)] if new else (0, "", 1, 1)
    return place[2], place[3]


def parse(source: bytes | str) -> ast.Module:
    """Return the syntax tree; raises SyntaxError, ValueError, RecursionError or MemoryError. Never warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _words(source: bytes) -> Iterator[tuple[int, str, int, int]]:
    """Yield (type, text, line, column) of each token that counts."""
    text = source.decode().removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")
    starts = _line_starts(text)
    docstrings = [] if _keeps_all(source) else [(cut.start, cut.end) for cut in _docstrings(text, starts)]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        if token.type not in _SILENT and not any(low <= start < high for low, high in docstrings):
            said = "" if token.type == tokenize.INDENT else token.string
            yield token.type, said, token.start[0], token.start[1] + 1


def _lines(source: bytes) -> Iterator[tuple[int, str, int, int]]:
    for number, line in enumerate(source.decode(errors="replace").splitlines(), 1):
        yield 0, line, number, 1


def _keeps_all(source: bytes) -> bool:
    return any(word in source for word in _LOOKS_AT_ITSELF) or any(
        _COOKIE.match(line) for line in source.splitlines()[:2]
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """A span of the text, by offset, and what stands in its place."""

    start: int
    end: int
    instead: str = ""


def _cut(text: str) -> str:
    starts = _line_starts(text)
    docstrings = list(_docstrings(text, starts))
    strings: list[str] = []
    cuts = [*docstrings]
    covered = [(cut.start, cut.end) for cut in docstrings]
    for start, end, is_comment in _spans(text, starts):
        if any(low <= start and end <= high for low, high in covered):
            continue
        if is_comment:
            cuts.append(_Cut(start, end))
        else:
            # a string's own lines are no lines of code: it is put aside (no source holds a NUL) while lines are cut
            cuts.append(_Cut(start, end, f"\0{len(strings)}\0"))
            strings.append(text[start:end])
    lines = _without_blanks(_replaced(text, cuts))
    return re.sub("\0([0-9]+)\0", lambda match: strings[int(match[1])], lines)


def _replaced(text: str, cuts: list[_Cut]) -> str:
    parts, at = [], 0
    for cut in sorted(cuts, key=lambda cut: cut.start):
        parts += [text[at : cut.start], cut.instead]
        at = cut.end
    return "".join([*parts, text[at:]])


def _without_blanks(text: str) -> str:
    """Drop blank lines and trailing blanks; a blank line after a backslash ends a statement and stays."""
    kept: list[str] = []
    for raw in text.split("\n"):
        line = raw.rstrip(" \t\f")
        if line or (kept and kept[-1].endswith("\\")):
            kept.append(line)
    return "\n".join(kept) + "\n" if kept else ""


def _spans(text: str, starts: list[int]) -> Iterator[tuple[int, int, bool]]:
    """Yield the span of each comment (True) and of each whole string literal (False)."""
    depth, opened = 0, 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        name = tokenize.tok_name[token.type]
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if name in _OPENS:
            opened = opened if depth else start
            depth += 1
        elif name in _CLOSES:
            depth -= 1
            if not depth:
                yield opened, end, False
        elif not depth and token.type in {tokenize.COMMENT, tokenize.STRING}:
            yield start, end, token.type == tokenize.COMMENT


def _docstrings(text: str, starts: list[int]) -> Iterator[_Cut]:
    lines = text.split("\n")
    for node in ast.walk(parse(text)):
        if not isinstance(node, _Body) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield _docstring(first, lines, starts, alone=len(node.body) == 1 and not isinstance(node, ast.Module))


def _docstring(statement: ast.Expr, lines: list[str], starts: list[int], *, alone: bool) -> _Cut:
    """Cut a docstring; where a body or a line would break without it, an empty one takes its place."""
    last = statement.end_lineno or statement.lineno
    before = _prefix(lines[statement.lineno - 1], statement.col_offset)
    upto = _prefix(lines[last - 1], statement.end_col_offset or 0)
    shares_a_line = bool(before.strip()) or lines[last - 1][len(upto) :].lstrip().startswith(";")
    start = starts[statement.lineno - 1] + len(before)
    end = starts[last - 1] + len(upto)
    return _Cut(start, end, '""' if alone or shares_a_line else "")


def _prefix(line: str, column: int) -> str:
    """Return the text before a column that `ast` counts in bytes."""
    return line.encode()[:column].decode()


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts
