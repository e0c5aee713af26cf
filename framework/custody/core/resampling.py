"""Weightings of a bootstrap: how often each of `places` was drawn, the same for every version of numpy.

The raw output of PCG64 is taken, whose stream numpy promises never to change.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from custody.core.measures import Floats

AT_ONCE = 4_000_000
"""Entries of the weightings that are made at a time."""


def weightings(places: int, count: int, seed: int) -> Iterator[Floats]:
    """Yield `count` weightings of `places`, a row each, in blocks of rows."""
    raw, left = np.random.PCG64(seed), count
    while left:
        some = min(left, max(1, AT_ONCE // places))
        high = raw.random_raw(some * places) >> np.uint64(32)
        drawn = ((high * np.uint64(places)) >> np.uint64(32)).astype(np.int64).reshape(some, places)
        drawn += np.arange(some)[:, None] * places
        yield np.bincount(drawn.ravel(), minlength=some * places).reshape(some, places).astype(np.float64)
        left -= some
