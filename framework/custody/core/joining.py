"""Which outcome belongs to which prediction: the last that is known of it, and what had no partner. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """Places in the predictions and, beside them, in the outcomes, in order of the ids.

    `superseded` outcomes were corrected by a later one of the same id, `repeated` predictions have an id that an
    earlier one has, `orphans` are outcomes whose id was never predicted, `early` ones were not yet known.
    """

    predictions: Places
    outcomes: Places
    superseded: int = 0
    repeated: int = 0
    orphans: int = 0
    early: int = 0


def match(
    predicted: NDArray[Any], observed: NDArray[Any], known: NDArray[Any] | None = None, until: float | None = None
) -> Match:
    """Join predictions to outcomes by their ids, two arrays of texts.

    `known` is when each outcome was observed, in the unit of `until`, after which it is left out. Of several outcomes
    of one id the last observed counts, of equal times the last in order; of several predictions the first.
    """
    times = np.zeros(len(observed)) if known is None else np.asarray(known, dtype=np.float64)
    kept = np.ones(len(observed), dtype=bool) if until is None else ~(times > until)
    places = np.flatnonzero(kept)
    order = places[np.lexsort((places, times[places], observed[places]))]
    names = observed[order]
    last = np.ones(len(names), dtype=bool)
    last[:-1] = names[1:] != names[:-1]
    ids, newest = names[last], order[last]
    own, first = np.unique(predicted, return_index=True)
    found = np.isin(own, ids, assume_unique=True)
    at = np.searchsorted(ids, own[found])
    return Match(
        first[found].astype(np.int64),
        newest[at].astype(np.int64) if len(at) else np.zeros(0, dtype=np.int64),
        superseded=int((~last).sum()),
        repeated=len(predicted) - len(own),
        orphans=len(ids) - int(found.sum()),
        early=int((~kept).sum()),
    )
