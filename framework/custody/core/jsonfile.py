"""JSON files of the ledger: written for people, read as untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, TypeVar

T = TypeVar("T")

_WORDS = {None: "null", True: "true", False: "false"}


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON for people: indented, in the given order, ending in a newline, NaN refused."""
    return (json_text(value) + "\n").encode()


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return what `json.dumps` does with an indent of 2, non-ASCII as it is, NaN refused; in half of its time.

    That one has no C code for what is indented. `default` turns what is no JSON into what is. Raises as it does.
    """
    return _indented(value, "\n", default)


def _indented(value: Any, line: str, default: Callable[[Any], Any] | None) -> str:
    inner = line + "  "
    if isinstance(value, dict):
        items = [
            f"{encode_basestring(key if type(key) is str else _key(key))}: "
            f"{encode_basestring(item) if type(item) is str else _indented(item, inner, default)}"
            for key, item in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}" if items else "{}"
    if isinstance(value, (list, tuple)):
        items = [_indented(item, inner, default) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{line}]" if items else "[]"
    if value is None or isinstance(value, (str, int, float)) or default is None:
        return _scalar(value)
    return _indented(default(value), line, default)


def _scalar(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if value is None or kind is bool:
        return _WORDS[value]
    if kind is int or (kind is float and isfinite(value)):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _key(key: Any) -> str:
    """Return the text of a key that is none itself, such as 1 or null."""
    return str(next(iter(json.loads(json.dumps({key: 0})))))


def json_object(data: bytes) -> dict[str, Any]:
    """Parse one JSON object. Raises ValueError for anything else, however deep it is nested."""
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")  # noqa: TRY004 - one failure kind
    return value


def value_of(decode: Callable[[dict[str, Any]], T], data: bytes) -> T:
    """Return what `decode` makes of a JSON object. Raises ValueError where it is not as custody writes it."""
    try:
        return decode(json_object(data))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"it is not as custody writes it ({type(error).__name__}: {error})") from error
