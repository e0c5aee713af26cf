"""How values are named in messages: quoted, cut, and without characters that could fool a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_LONGEST = 60


def say(value: Any, *, quote: bool = True) -> str:
    """Return `value` as a message shows it: texts in double quotes unless told otherwise, at most 60 characters."""
    if isinstance(value, str):
        text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in value)
        text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        return f'"{text}"' if quote else text
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return json.dumps(value)


def listed(words: Iterable[Any], *, quote: bool = False, most: int = 12) -> str:
    """Return `words` with commas, cut after `most` with a count of the rest."""
    every = [say(word, quote=quote) for word in words]
    rest = len(every) - most
    return ", ".join(every) if rest <= 0 else f"{', '.join(every[:most])} and {rest} more"
