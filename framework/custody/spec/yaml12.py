"""Strict YAML: the values of YAML 1.2's core schema, a place for every key and value, problems instead of exceptions.

Works on libyaml's events, so that aliases are seen before they expand and depth is bounded before anything recurses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from custody.domain.problem import Place, Problem
from custody.spec.words import say

LIMIT = 1 << 20
"""The greatest size of a spec file, in bytes."""
DEPTH = 24
"""How deep mappings and lists may nest."""

_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_LONGEST_INTEGER = 40
_NUMERIC = frozenset("0123456789+-.")

_SYNTAX = (
    ("cannot start any token", "this character cannot begin a value", "put the text in quotes"),
    ("mapping values are not allowed", "a second `key:` where a value is expected", "put a text with `: ` in quotes"),
    ("',' or '}'", "a comma is missing, or `{` is not closed", "close it with `}`"),
    ("',' or ']'", "a comma is missing, or `[` is not closed", "close it with `]`"),
    ("could not find expected ':'", "a line without `key: value`", "write `key: value`, or put the text in quotes"),
    ("unexpected end of stream", "a quote is not closed", "close the quote"),
    ("document indicator", "a quote is not closed", "close the quote"),
    ("unknown escape", "an unknown escape in double quotes", "use single quotes"),
    ("did not find expected", "the indentation differs from the lines above", "indent it as its neighbours are"),
    ("block sequence entries", "a list item where none can be", "put the list on lines of its own"),
    ("control characters", "a control character", "remove it"),
)

_UNCLOSED = ("',' or", "unexpected end of stream", "document indicator")
"""Faults that are shown where the bracket or quote was opened."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One file: its value (empty where it could not be read), where each part stands, and what is wrong with it."""

    value: Mapping[str, Any]
    places: Mapping[str, Place]
    problems: tuple[Problem, ...] = ()
    text: str = ""


class Places(Mapping[str, Place]):
    """Places by dotted path. They are found when first asked for: of most files nobody ever asks."""

    __slots__ = ("_found", "_path", "_text")

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._found: dict[str, tuple[int, int, int]] | None = None

    @property
    def _spans(self) -> dict[str, tuple[int, int, int]]:
        if self._found is None:
            walk = _Walk(self._text, self._path)
            walk.document()
            self._found = walk.spans
        return self._found

    def __getitem__(self, dotted: str) -> Place:
        return Place(self._path, *self._spans[dotted])

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def __contains__(self, dotted: object) -> bool:
        return dotted in self._spans


def parse(data: bytes, path: str) -> Parsed:
    """Parse one spec file. Never raises for what the bytes hold; an empty file is an empty mapping."""
    if len(data) > LIMIT:
        message = f"{path} has {len(data):,} bytes; a spec file may have {LIMIT:,}"
        return _refused(Problem("E111", message, Place(path, 1, 1), help=("move data out of the specs",)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(_not_utf8(data, error, path))
    try:
        return Parsed(values(text), Places(path, text), (), text)
    except UnusualError:
        walk = _Walk(text, path)
        value = walk.document()
        return Parsed(value, Places(path, text), tuple(walk.problems), text)


def _refused(problem: Problem) -> Parsed:
    return Parsed({}, {}, (problem,))


def _not_utf8(data: bytes, error: UnicodeDecodeError, path: str) -> Problem:
    before = data[: error.start].decode("utf-8", "replace")
    place = Place(path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    message = f"{path} is not UTF-8: byte 0x{data[error.start]:02x} in line {place.line}"
    return Problem("E110", message, place, help=(f"iconv -f latin1 -t utf-8 {path} > new && mv new {path}",))


class UnusualError(Exception):
    """The text holds something that is not simply a mapping of plain and quoted values."""


def values(text: str) -> dict[str, Any]:
    """Return the value of a sound document without noting any place; raises UnusualError for everything else."""
    loader = yaml.CSafeLoader(text)
    try:
        following: Callable[[], Any] = loader.get_event
        following()
        start = following()
        if type(start) is StreamEndEvent:
            return {}
        event = following()
        if type(event) is not MappingStartEvent or start.version or start.tags:
            raise UnusualError
        value: dict[str, Any] = _values(event, following, 0)
        following()
        if type(following()) is not StreamEndEvent:
            raise UnusualError
    except yaml.YAMLError as error:
        raise UnusualError from error
    finally:
        loader.dispose()
    return value


def _values(start: Any, following: Callable[[], Any], depth: int) -> Any:
    if depth >= DEPTH or start.anchor or start.tag:
        raise UnusualError
    if type(start) is not MappingStartEvent:
        items = []
        while type(event := following()) is not SequenceEndEvent:
            items.append(_scalar(event) if type(event) is ScalarEvent else _nested(event, following, depth))
        return items
    found: dict[str, Any] = {}
    while type(event := following()) is not MappingEndEvent:
        if type(event) is not ScalarEvent or event.anchor or event.tag:
            raise UnusualError
        key = event.value
        if not key or key in found or (key == "<<" and not event.style):
            raise UnusualError
        event = following()
        found[key] = _scalar(event) if type(event) is ScalarEvent else _nested(event, following, depth)
    return found


def _nested(event: Any, following: Callable[[], Any], depth: int) -> Any:
    if type(event) is AliasEvent:
        raise UnusualError
    return _values(event, following, depth + 1)


def _scalar(event: Any) -> Any:
    if event.anchor or event.tag:
        raise UnusualError
    return event.value if event.style else resolve(event.value)


def resolve(text: str) -> Any:
    """Return the value of a plain scalar by YAML 1.2's core schema; raises UnusualError for a number that is none."""
    if text[:1] in _NUMERIC:
        if _INTEGER.match(text):
            if len(text) > _LONGEST_INTEGER:
                raise UnusualError
            return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
        if _FLOAT.match(text):
            number = float(text)
            if math.isfinite(number):
                return number
            raise UnusualError
        if _NOT_FINITE.match(text):
            raise UnusualError
    return _WORDS.get(text, text)


class _StopError(Exception):
    """Nothing more can be read from this file."""


class _Walk:
    """Reads the events of one document into values, noting places and problems."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self.spans: dict[str, tuple[int, int, int]] = {}
        self.problems: list[Problem] = []

    def document(self) -> dict[str, Any]:
        """Return the value of the one document; {} where it is none or not a mapping."""
        try:
            loader = yaml.CSafeLoader(self._text)
            try:
                return self._document(loader)
            finally:
                loader.dispose()
        except yaml.YAMLError as error:
            self.problems.append(self._syntax(error))
        except _StopError:
            pass
        return {}

    def _document(self, loader: yaml.CSafeLoader) -> dict[str, Any]:
        self._next: Callable[[], Any] = loader.get_event
        self._next()
        start: Any = self._next()
        if type(start) is StreamEndEvent:
            return {}
        if start.version or start.tags:
            self._report("E116", "a `%` directive is not allowed in a spec", start)
        event = self._next()
        value = self._value(event, "", 0)
        self._next()
        after = self._next()
        if type(after) is DocumentStartEvent:
            self._report("E117", "a second YAML document in one file", after, help=("remove the line `---`",))
        if value is None and type(event) is ScalarEvent:
            return {}
        if isinstance(value, dict):
            return value
        self._report("E104", f"{self._path} holds {_noun(value)}, expected `key: value` lines", event)
        return {}

    def _value(self, event: Any, dotted: str, depth: int) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            self._note(dotted, event, event.end_mark)
            if event.anchor or event.tag:
                self._decorated(event)
            return event.value if event.style else self._plain(event)
        if kind is AliasEvent:
            self._report(
                "E114",
                f"alias `*{say(event.anchor, quote=False)}`: aliases and anchors are not allowed",
                event,
                help=("write the value out",),
            )
            return None
        if event.anchor or event.tag:
            self._decorated(event)
        if depth >= DEPTH:
            self._report("E119", f"nested deeper than {DEPTH} levels", event)
            raise _StopError
        if kind is MappingStartEvent:
            return self._mapping(event, dotted, depth)
        return self._sequence(event, dotted, depth)

    def _mapping(self, start: Any, dotted: str, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        prefix = f"{dotted}." if dotted else ""
        while type(event := self._next()) is not MappingEndEvent:
            key = self._key(event, depth)
            known = key is not None and key not in value
            if key is not None and not known:
                self._duplicate(key, prefix, event)
            path = f"{prefix}{key}" if known else f"{prefix}{len(self.spans)}#unread"
            if known:
                self._note(f"{path}#key", event, event.end_mark)
            item = self._value(self._next(), path, depth + 1)
            if known and key is not None:
                value[key] = item
        self._note(dotted, start, event.end_mark)
        return value

    def _key(self, event: Any, depth: int) -> str | None:
        if type(event) is not ScalarEvent:
            self._value(event, f"{len(self.spans)}#unread", depth + 1)
            if type(event) is not AliasEvent:
                self._report("E119", "a key must be a text, not a list or mapping", event)
            return None
        if event.anchor or event.tag:
            self._decorated(event)
        if event.value == "<<" and not event.style:
            self._report("E115", "merge key `<<`: nothing is merged inside a spec", event, help=("write the keys out",))
            return None
        if event.value == "":
            self._report("E119", "an empty key", event, help=("write `key: value`",))
            return None
        return str(event.value)

    def _sequence(self, start: Any, dotted: str, depth: int) -> list[Any]:
        value: list[Any] = []
        prefix = f"{dotted}." if dotted else ""
        while type(event := self._next()) is not SequenceEndEvent:
            value.append(self._value(event, f"{prefix}{len(value)}", depth + 1))
        self._note(dotted, start, event.end_mark)
        return value

    def _plain(self, event: Any) -> Any:
        try:
            return resolve(event.value)
        except UnusualError:
            return self._not_finite(event)

    def _not_finite(self, event: Any) -> None:
        self._report(
            "E118",
            f"{say(event.value, quote=False)} is not a finite number of this size",
            event,
            help=("leave the key out for no limit, or put a text in quotes",),
        )

    def _decorated(self, event: Any) -> None:
        if event.anchor:
            name = say(event.anchor, quote=False)
            self._report("E114", f"anchor `&{name}`: aliases and anchors are not allowed", event, help=("remove it",))
        if event.tag:
            tag = say(event.tag.replace("tag:yaml.org,2002:", "!!"), quote=False)
            self._report("E116", f"tag `{tag}`: tags are not allowed", event, help=("remove the tag",))

    def _duplicate(self, key: str, prefix: str, event: Any) -> None:
        first = Place(self._path, *self.spans[f"{prefix}{key}#key"])
        where = f" in `{say(prefix[:-1], quote=False)}`" if prefix else ""
        place = self._place(event)
        self.problems.append(
            Problem(
                "E103",
                f"key {say(key)} is written twice{where}",
                place,
                label=f"first in line {first.line}",
                help=(f"remove line {first.line} or line {place.line}",),
                related=first,
            )
        )

    def _note(self, dotted: str, event: Any, end: Any) -> None:
        start = event.start_mark
        width = end.column - start.column if end.line == start.line else 1
        self.spans[dotted] = (start.line + 1, start.column + 1, max(1, width))

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return Place(self._path, start.line + 1, start.column + 1, max(width, 1))

    def _report(self, code: str, message: str, event: Any, help: tuple[str, ...] = ()) -> None:
        self.problems.append(Problem(code, message, self._place(event), help=help))

    def _syntax(self, error: yaml.YAMLError) -> Problem:
        said = f"{getattr(error, 'problem', '') or getattr(error, 'reason', '') or error}"
        mark = getattr(error, "problem_mark", None)
        if any(part in said for part in _UNCLOSED):
            mark = getattr(error, "context_mark", None) or mark
        line, column = (mark.line, mark.column) if mark else self._refused_character()
        source = (re.split(r"\r\n|\n|\r", self._text)[line : line + 1] or [""])[0]
        place = Place(self._path, line + 1, column + 1)
        if "\t" in source[: column + 1] and not source[:column].strip():
            return Problem("E113", "a tab in the indentation", place, help=("indent with spaces",))
        for part, message, advice in _SYNTAX:
            if part in said:
                return Problem("E112", f"not valid YAML: {message}", place, help=(advice,))
        return Problem("E112", f"not valid YAML: {say(said, quote=False)}", place)

    def _refused_character(self) -> tuple[int, int]:
        """Find the character that libyaml's reader refused: it gives no mark."""
        match = re.search(r"[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", self._text)
        before = self._text[: match.start()] if match else ""
        return before.count("\n"), len(before) - (before.rfind("\n") + 1)


def _noun(value: object) -> str:
    return "a list" if isinstance(value, list) else say(value)
