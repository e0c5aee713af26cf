"""Canonical JSON and SHA-256: the one way in which custody turns values into digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return the canonical bytes of `value`: sorted keys, no white space, UTF-8, shortest floats, NaN refused.

    Mappings and tuples of any type become objects and arrays. `1.0` and `1` stay apart, as they do for estimators
    (`max_features: 1.0` is all features, `1` is one).
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical_json(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    return value
