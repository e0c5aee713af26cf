"""JSON files of the ledger: written for people, read as untrusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON for people: indented, in the given order, ending in a newline, NaN refused."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_object(data: bytes) -> dict[str, Any]:
    """Parse one JSON object. Raises ValueError for anything else, however deep it is nested."""
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")  # noqa: TRY004 - one failure kind
    return value
