"""Merkle trees over rows, as RFC 6962 builds them: one root that stands for all rows, and short proofs for one. Pure.

A leaf is SHA-256 of a zero byte and the row, a node SHA-256 of a one byte and its two children. A tree of n > 1 leaves
is split at the greatest power of two below n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from custody.digest import canonical_json

_LEAF, _NODE = b"\x00", b"\x01"


def canonical_row(row: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of a row: times as ISO 8601 in UTC with six digits of a second, NaN as null.

    Raises ValueError for an infinite number.
    """
    return canonical_json({name: _plain(value) for name, value in row.items()})


def leaf(row: bytes) -> bytes:
    """Return the hash of one row."""
    return sha256(_LEAF + row).digest()


def root(leaves: Sequence[bytes]) -> str:
    """Return the root over the hashes of rows, in their order, in hexadecimal digits."""
    level = list(leaves)
    if not level:
        return sha256(b"").hexdigest()
    while len(level) > 1:
        # pairing from the left and carrying a last one without a partner up is the split at powers of two
        pairs = [_node(*level[place : place + 2]) for place in range(0, len(level) - 1, 2)]
        level = [*pairs, *level[len(pairs) * 2 :]]
    return level[0].hex()


def proof(leaves: Sequence[bytes], index: int) -> tuple[str, ...]:
    """Return the hashes that lead from the leaf at `index` to the root, the nearest first, in hexadecimal digits.

    Raises IndexError where there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} of {len(leaves)}")
    level, path = list(leaves), []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside].hex())
        pairs = [_node(*level[place : place + 2]) for place in range(0, len(level) - 1, 2)]
        level, index = [*pairs, *level[len(pairs) * 2 :]], index // 2
    return tuple(path)


def proves(row: bytes, index: int, size: int, path: Sequence[str], expected: str) -> bool:
    """Whether `path` proves that `row` is the one at `index` of the `size` rows whose root is `expected`."""
    if not 0 <= index < size:
        return False
    found, rest = leaf(row), list(path)
    while size > 1:
        if index ^ 1 < size:
            if not rest:
                return False
            beside = _bytes(rest.pop(0))
            found = _node(beside, found) if index & 1 else _node(found, beside)
        index, size = index // 2, (size + 1) // 2
    return not rest and found.hex() == expected


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN is what differs from itself
        return None
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value
