"""Making the base that outcomes are judged against, from scores of rows that the model was not fitted on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.core.estimate import calibrate
from custody.core.gates import LOWER_IS_BETTER
from custody.core.measures import Answers, measures
from custody.core.outcomes import SLICES, brief, residuals, too_few
from custody.domain.monitors import Every
from custody.domain.outcome import EVALUATION, OUT_OF_FOLD, OutcomeBase

_ROOM = 4
"""How many times `min_rows` a window of outcomes should hold."""
_HOURS: Mapping[Every, float] = {Every.HOUR: 1, Every.DAY: 24, Every.WEEK: 168, Every.MONTH: 730}


def outcome_base(
    found: Answers,
    blocks: NDArray[Any],
    min_rows: int,
    *,
    evaluated: Mapping[str, Any] | None = None,
    slices: Mapping[str, NDArray[Any]] | None = None,
) -> OutcomeBase:
    """Return the base from out-of-fold answers: `blocks` numbers the stretch of time of each row, as long as a window.

    `evaluated` are the metrics of the run's own evaluation, given where its test rows are later than all that it learnt
    from (or rows have no time); then those are the base. `slices` hold the text of a column in each row. Blocks with
    too few rows are left out.
    """
    pooled = _metrics(found)
    parts = [found.take(blocks == block) for block in np.unique(blocks)]
    judged = [part for part in parts if not too_few(part, min_rows)] if len(parts) > 1 else []
    recorded = {name: float(value) for name, value in (evaluated or {}).items() if isinstance(value, (int, float))}
    biases = [abs(value) for value in map(_bias, judged) if value is not None]
    return OutcomeBase(
        {name: brief(value) for name, value in (recorded or pooled).items()},
        EVALUATION if recorded else OUT_OF_FOLD,
        len(judged),
        _worst(_metrics(part) for part in judged),
        brief(max(biases, default=0.0)),
        brief(float(found.truth.astype(np.float64).std())) if found.regression else 0.0,
        {name: _sliced(found, texts, min_rows) for name, texts in (slices or {}).items()},
        calibrate(found),
    )


def period(every: Every, rows: int, hours: float, min_rows: int) -> Every:
    """Return how long windows of outcomes are where nothing is declared: what holds 4 x `min_rows`, at least `every`.

    `rows` of the reference were made in so many hours.
    """
    longer = [item for item in Every if _HOURS[item] >= _HOURS[every]]
    for item in longer:
        if hours > 0 and rows * _HOURS[item] / hours >= _ROOM * min_rows:
            return item
    return longer[-1]


def _metrics(found: Answers) -> dict[str, float]:
    once = np.ones((1, len(found.truth)))
    with np.errstate(all="ignore"):
        values = {name: float(measure(once)[0]) for name, measure in measures(found).items() if name != "bias"}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _worst(blocks: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for block in blocks:
        for name, value in block.items():
            choose = max if name in LOWER_IS_BETTER else min
            found[name] = brief(choose(value, found.get(name, value)))
    return found


def _bias(found: Answers) -> float | None:
    away = residuals(found)
    return None if away is None else float(away.mean())


def _sliced(found: Answers, texts: NDArray[Any], min_rows: int) -> dict[str, dict[str, float]]:
    values, counts = np.unique(texts, return_counts=True)
    made: dict[str, dict[str, float]] = {}
    for value in values[np.argsort(-counts, kind="stable")[:SLICES]]:
        part = found.take(texts == value)
        if too_few(part, min_rows):
            continue
        bias = _bias(part)
        facts = _metrics(part) | ({} if bias is None else {"bias": bias})
        made[str(value)] = {name: brief(number) for name, number in facts.items()}
    return made
