"""In which order the signals of an incident are shown: the suspect first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from custody.domain.monitoring import Signal
from custody.domain.monitors import Level

INPUTS, OUTCOMES, RUN = "inputs", "outcomes", "run"
"""What a window is judged by; `run` stands for the training runs of a model."""
ESTIMATE = "estimate"
_QUALITY = ("run", "schema", "constant", "text_number", "nulls", "freshness", "volume", "range", "categories", "mode")
_OUTCOMES = ("bias", "outcome", "outcomes_missing")
_ORDER = {name: number for number, name in enumerate((*_QUALITY, *_OUTCOMES, "prediction", "drift", ESTIMATE))}
_CLASSES = (frozenset(_QUALITY), frozenset(_OUTCOMES), frozenset({"prediction"}), frozenset({"drift"}))
_RANK = {Level.OFF: 0, Level.WARN: 1, Level.ALERT: 2}
_LOWER_IS_WORSE = frozenset({*_OUTCOMES[1:], ESTIMATE, "volume"})
"""Monitors whose value may lie below its limit when they fire: a ratio of the two says nothing."""


def worst(levels: Iterable[Level]) -> Level:
    """Return the highest of some levels; OFF where there is none."""
    return max(levels, key=_RANK.__getitem__, default=Level.OFF)


def stream_of(signal: Signal) -> str:
    """Return what kind of window a signal comes from."""
    if signal.monitor == RUN:
        return RUN
    return OUTCOMES if signal.monitor in _OUTCOMES else INPUTS


def excess(signal: Signal) -> float:
    """Return how many times its limit the value of a signal is; 0 where that means nothing."""
    if signal.monitor in _LOWER_IS_WORSE or signal.value is None or not signal.limit:
        return 0.0
    return abs(signal.value / signal.limit)


def ordered(signals: Iterable[Signal], starts: Mapping[str, str]) -> tuple[Signal, ...]:
    """Return the signals, the suspect first. `starts` tells when each key fired first, comparable as text.

    1. Faults of the data: those that began first, then the worse level, then the kind, in the order of `_QUALITY`.
    2. Outcomes, bias first. 3. Predictions. 4. Drift, the farthest beyond its limit first. 5. Estimates.
    """

    def place(signal: Signal) -> tuple[int, str, int, int, float, str]:
        number = next((i for i, names in enumerate(_CLASSES) if signal.monitor in names), len(_CLASSES))
        start = starts.get(signal.key, "") if number == 0 else ""
        kind = _ORDER.get(signal.monitor, len(_ORDER))
        return number, start, -_RANK[signal.level], kind, -excess(signal), signal.key

    return tuple(sorted(signals, key=place))
