"""Where two trees differ, from their raw bytes: of thousands of entries few do, and none of the others is parsed."""

from __future__ import annotations

import re

_ENTRY = re.compile(rb"[0-7]+ ([^\0]+)\0[\s\S]{20}")
_ENTRIES = re.compile(rb"(?:[0-7]+ [^\0]+\0[\s\S]{20})*")
_FEW = 8
"""Entries up to which two trees are looked at one by one."""


def differing(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """Return two trees without entries that both begin with and both end with: of thousands few differ.

    What is left is whole entries, so that none of the others is parsed.
    """
    shared = _ENTRIES.match(before, 0, _common(before, after))
    start = here = there = shared.end() if shared else 0
    for _ in range(_FEW):
        if before[here:] == after[there:]:
            return before[start:here], after[start:there]
        one, other = _ENTRY.match(before, here), _ENTRY.match(after, there)
        if one and (other is None or one[1] <= other[1]):
            here = one.end()
        if other and (one is None or other[1] <= one[1]):
            there = other.end()
    return before[start:], after[start:]


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes two byte strings have in common at their start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
