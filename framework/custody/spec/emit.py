"""Writing YAML: a subset that every parser reads alike, in the order given, one line for each small part."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_@./-]*\Z")
_SPACED = re.compile(r"[A-Za-z_][A-Za-z0-9_@./-]*( [A-Za-z0-9_@./-]+)*\Z")
_RESERVED = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"))
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_WIDTH = 110
_NAMES_ARE_OURS = frozenset(("prepare", "train", "gates", "monitors"))


def scalar(value: Any) -> str:
    """Return one value that is no list or mapping; raises ValueError for NaN and infinity."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    text = str(value)
    if _SPACED.match(text) and text.lower() not in _RESERVED:
        return text
    # JSON's escapes are YAML's, but YAML also wants the characters escaped that it takes for line breaks
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to a spec")
    text = repr(value)
    # 1e-07 is a number to YAML 1.2 alone; 1.0e-07 is one to every parser
    return text if "." in text or "e" not in text else text.replace("e", ".0e")


def flow(value: Any) -> str:
    """Return `value` on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def block(value: Mapping[str, Any], *, deep: frozenset[str] = frozenset()) -> str:
    """Return a mapping as lines, each part on one line where it fits; keys in `deep` get a line for each item."""
    return "".join(f"{line}\n" for line in _lines(value, "", deep))


def _lines(value: Mapping[str, Any], margin: str, deep: frozenset[str]) -> Iterator[str]:
    for key, item in value.items():
        name = f"{margin}{scalar(str(key))}:"
        spread = key in deep or len(name) + len(flow(item)) > _WIDTH
        if isinstance(item, Mapping) and item and spread:
            yield name
            # what stands below a column or parameter is the user's: its names mean nothing here
            yield from _lines(item, f"{margin}  ", deep if key in _NAMES_ARE_OURS else frozenset())
        elif isinstance(item, (list, tuple)) and item and spread:
            yield name
            yield from (f"{margin}  - {flow(entry)}" for entry in item)
        else:
            yield f"{name} {flow(item)}"
