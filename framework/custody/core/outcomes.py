"""Judging what came of a window's predictions: metrics and bias with their intervals, once enough of it is known. Pure.

A metric pages where its whole interval is beyond the limit, and is a ticket where the value alone is. Bias is observed
less predicted: the one that names a level shift, which no input shows. Limits: `core/outcome_limits.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.core.intervals import Estimate, interval, mean
from custody.core.measures import Answers, Floats
from custody.core.outcome_limits import Limit, bias_limit, is_auto, limits, rules, slice_bias_limit, slice_limits
from custody.digest import digest, sha256
from custody.domain.monitoring import Health, Signal, Window
from custody.domain.monitors import AUTO, Level, Monitors, OutcomeLimit, Outcomes
from custody.domain.outcome import OutcomeBase
from custody.domain.reference import BLOCKS

RARER = 20
"""Rows of the rarer of two classes below which a metric is not judged."""
MISSING = 0.5
"""The share of predictions with an outcome below which, after the delay, outcomes are said to be missing."""
SLICES = 20
"""Values of a slice column that are judged, those with the most rows."""
_BINARY = 2

Measures = Mapping[str, tuple[float, float, float, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A window's predictions with what came of them, see `core/joining.py`.

    `answers` are the rows that have an outcome (`truth`), in order of their ids, `days` numbers the day of each in the
    configured time zone, and `slices` hold the text of a column in each. `predictions` counts all of the window, `last`
    is when the last was made. `superseded`, `repeated` and `orphans` are as in `Match`.
    """

    window: Window
    target: str
    answers: Answers
    days: NDArray[Any]
    predictions: int
    last: datetime | None
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    superseded: int = 0
    repeated: int = 0
    orphans: int = 0

    @property
    def share(self) -> float | None:
        """The part of the predictions that has an outcome; None without predictions."""
        return len(self.answers.truth) / self.predictions if self.predictions else None

    @property
    def seed(self) -> int:
        """What is drawn by: the window alone, so that it is judged alike each time."""
        return int(digest(self.window.to_dict())[:16], 16)

    @property
    def identity(self) -> str:
        """The digest of all of it: judged again from the same, it is the same."""
        found = self.answers
        arrays = (found.ids, found.truth, found.predicted, found.probabilities, self.days)
        return digest(
            {
                "window": self.window.to_dict(),
                "target": [self.target, *found.classes, found.positive],
                "rows": [None if array is None else _array_digest(array) for array in arrays],
                "slices": {column: _array_digest(texts) for column, texts in self.slices.items()},
                "counts": [self.predictions, self.superseded, self.repeated, self.orphans],
            }
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a window: the parts of its record that are judged. `joined` is the share with an outcome."""

    health: Health
    joined: float | None
    signals: tuple[Signal, ...] = ()
    measures: Measures = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def judge_outcomes(
    monitors: Monitors, base: OutcomeBase | None, joined: Joined, now: datetime, *, in_band: bool | None = None
) -> Findings:
    """Judge a window by what `monitors.outcomes` declares and what the reference reached.

    `in_band`: whether the inputs of the same time are within theirs; None where that was not judged. Raises ValueError
    where the model has no outcomes declared.
    """
    outcomes = monitors.outcomes
    if outcomes is None:
        raise ValueError("no outcomes are declared")
    share = joined.share
    if share is None or joined.last is None:
        return Findings(Health.NO_DATA, None, notes=("no predictions",))
    notes = tuple(_counted(joined))
    due = joined.last + timedelta(seconds=outcomes.delay)
    if share < outcomes.min_joined and now < due:
        return Findings(Health.WAITING, share, notes=(*_waiting(outcomes, joined, share, due), *notes))
    if share < MISSING:
        return Findings(Health.WARN, share, (_missing(joined, share),), {}, (*_provisional(outcomes, joined), *notes))
    few = too_few(joined.answers, monitors.min_rows)
    if few:
        return Findings(Health.WAITING, share, notes=(few, *notes))
    sweep = _Sweep(outcomes, base, joined, in_band)
    sweep.judge(monitors.min_rows)
    return Findings(Health.of(sweep.signals), share, tuple(sweep.signals), sweep.measures, (*sweep.notes, *notes))


def too_few(found: Answers, min_rows: int) -> str:
    """Return why so few rows are not judged, else nothing. A regression needs half of `min_rows`."""
    rows, least = len(found.truth), max(min_rows // 2 if found.regression else min_rows, 2)
    if rows < least:
        return f"waiting for rows: {rows:,} of {least:,}"
    if len(found.classes) == _BINARY:
        rarer = int(np.bincount(found.truth.astype(np.int64), minlength=_BINARY).min())
        if rarer < min(RARER, least):
            return f"waiting for rows of the rarer class: {rarer:,} of {RARER}"
    return ""


def residuals(found: Answers) -> Floats | None:
    """Return observed less predicted, a row each: of two classes 1 or 0 less the chance; of more None."""
    if found.regression:
        return np.asarray(found.truth, dtype=np.float64) - np.asarray(found.predicted, dtype=np.float64)
    if found.positive is None:
        return None
    observed = (found.truth == found.positive).astype(np.float64)
    return np.asarray(observed - expected(found))


def expected(found: Answers) -> Floats:
    """Return what was predicted as a number: of two classes how likely the positive one is."""
    if found.regression:
        return np.asarray(found.predicted, dtype=np.float64)
    if found.probabilities is not None:
        return np.asarray(found.probabilities[:, found.positive or 0], dtype=np.float64)
    return np.asarray(found.predicted == found.positive, dtype=np.float64)


class _Sweep:
    """One window while it is judged: gathers signals, measures and notes."""

    def __init__(self, outcomes: Outcomes, base: OutcomeBase | None, joined: Joined, in_band: bool | None) -> None:  # noqa: FBT001
        self.outcomes, self.base, self.joined, self.in_band = outcomes, base, joined, in_band
        self.signals: list[Signal] = []
        self.measures: dict[str, tuple[float, float, float, int]] = {}
        self.notes: list[str] = []

    def judge(self, min_rows: int) -> None:
        asked = rules(self.outcomes, self.joined.answers)
        for rule in asked:
            self._metric(rule)
        self._bias()
        self._slices(asked[0], min_rows)
        self._short(asked)

    def _metric(self, rule: OutcomeLimit) -> None:
        found = interval(rule.metric, self.joined.answers, self.joined.days, self.joined.seed)
        if found is None:
            self.notes.append(f"{rule.metric} cannot be computed of these rows")
            return
        self._measured(rule.metric, found)
        set_ = limits(rule, self.base)
        if not set_:
            self.notes.append(f"{rule.metric} is not judged: the reference has no value of it, declare min or max")
        for limit in set_:
            signal = _judged("outcome", rule.metric, found, limit)
            self.signals += [signal] if signal else []

    def _bias(self) -> None:
        if self.outcomes.bias is None:
            return
        away = residuals(self.joined.answers)
        if away is None:
            self.notes.append("bias is not judged of more than two classes")
            return
        found = mean(away, self.joined.days)
        self._measured("bias", found)
        limit = bias_limit(self.outcomes.bias, self.joined.answers, self.base)
        if limit is None:
            self.notes.append("bias is not judged: the reference has no spread of it, declare a number")
            return
        level = _bias_level(found, limit)
        if level:
            self.signals.append(_bias_signal(level, found, limit, self._bias_text(found), None))

    def _bias_text(self, found: Estimate) -> str:
        text = _shifted(self.joined, self.joined.answers, found.value)
        if self.in_band is None:
            return text
        return f"{text}; inputs are in band: level shift" if self.in_band else f"{text}; inputs have moved too"

    def _slices(self, rule: OutcomeLimit, min_rows: int) -> None:
        """Judge each slice by itself, with intervals that hold for all of them together."""
        parts = list(self._parts(min_rows))
        whole = {signal.monitor for signal in self.signals}
        for column, value, part, days in parts:
            known = (self.base.slices if self.base else {}).get(column, {}).get(value, {})
            self._slice_metric(rule, (f"{column}={value}", part, days), known, len(parts), fires="outcome" in whole)
            self._slice_bias((f"{column}={value}", part, days), known, len(parts), fires="bias" in whole)

    def _parts(self, min_rows: int) -> Iterator[tuple[str, str, Answers, NDArray[Any]]]:
        for column in self.outcomes.slices:
            texts = self.joined.slices.get(column)
            if texts is None:
                self.notes.append(f"slices of {column} are not judged: the predictions have no such column")
                continue
            values, counts = np.unique(texts, return_counts=True)
            order = np.argsort(-counts, kind="stable")[:SLICES]
            small = 0
            for value in values[order]:
                rows = texts == value
                part = self.joined.answers.take(rows)
                if too_few(part, min_rows):
                    small += 1
                else:
                    yield column, str(value), part, self.joined.days[rows]
            small += max(len(values) - SLICES, 0)
            if small:
                self.notes.append(f"{small} of {len(values)} slices of {column} have too few rows to be judged")

    def _slice_metric(
        self,
        rule: OutcomeLimit,
        cut: tuple[str, Answers, NDArray[Any]],
        known: Mapping[str, float],
        together: int,
        *,
        fires: bool,
    ) -> None:
        name, part, days = cut
        found = interval(rule.metric, part, days, self.joined.seed)
        if found is None:
            return
        self._measured(f"{rule.metric}|{name}", found)
        wide = found.widened(together)
        for limit in slice_limits(rule, known):
            signal = _judged("outcome", rule.metric, wide, limit, name)
            worse = limit.beyond(wide, self.measures[rule.metric][0]) if rule.metric in self.measures else False
            if signal and signal.level == Level.ALERT and (worse or not fires):
                self.signals.append(signal)

    def _slice_bias(
        self, cut: tuple[str, Answers, NDArray[Any]], known: Mapping[str, float], together: int, *, fires: bool
    ) -> None:
        name, part, days = cut
        away = residuals(part)
        if self.outcomes.bias is None or away is None:
            return
        wide = mean(away, days).widened(together)
        limit = bias_limit(self.outcomes.bias, self.joined.answers, self.base)
        if limit is None:
            return
        limit = slice_bias_limit(self.outcomes.bias, limit, known)
        whole = self.measures["bias"][0]
        further = wide.low > max(whole, 0) or wide.high < min(whole, 0)
        if _bias_level(wide, limit) == Level.ALERT and (further or not fires):
            self.signals.append(
                _bias_signal(Level.ALERT, wide, limit, _shifted(self.joined, part, wide.value, name), name)
            )

    def _short(self, asked: Sequence[OutcomeLimit]) -> None:
        """Say where automatic limits rest on too few blocks to know how the reference varies by itself."""
        automatic = any(is_auto(rule) for rule in asked) or self.outcomes.bias == AUTO
        if automatic and self.base and self.base.blocks < BLOCKS:
            self.notes.append(f"limits rest on {self.base.blocks} blocks of the reference, {BLOCKS} say how it varies")

    def _measured(self, name: str, found: Estimate) -> None:
        self.measures[name] = (brief(found.value), brief(found.low), brief(found.high), found.n)


def brief(value: float) -> float:
    """Return a number as it is recorded: six digits, so that the last bits of a sum make no other record."""
    return float(f"{value:.6g}")


def _judged(monitor: str, metric: str, found: Estimate, limit: Limit, column: str | None = None) -> Signal | None:
    if limit.beyond(found, limit.value):
        level = Level.ALERT
    elif limit.past(found.value):
        level = Level.WARN
    else:
        return None
    side = "below" if limit.floor else "above"
    where = f" in {column}" if column else ""
    bounds = f"{found.value:.3g}{where} ({found.low:.3g} to {found.high:.3g})"
    text = f"{metric} {bounds} is {side} {limit.value:.3g}, {limit.why}"
    text += "" if level == Level.ALERT else "; its interval is not"
    return Signal(
        monitor,
        level,
        text,
        column,
        metric,
        brief(found.value),
        brief(limit.value),
        (brief(found.low), brief(found.high)),
        found.n,
    )


def _bias_level(found: Estimate, limit: float) -> Level | None:
    if found.low > limit or found.high < -limit:
        return Level.ALERT
    return Level.WARN if abs(found.value) > limit else None


def _bias_signal(level: Level, found: Estimate, limit: float, text: str, column: str | None) -> Signal:
    bounds = (brief(found.low), brief(found.high))
    return Signal("bias", level, text, column, "bias", brief(found.value), brief(limit), bounds, found.n)


def _shifted(joined: Joined, part: Answers, bias: float, name: str | None = None) -> str:
    level = float(expected(part).mean())
    share = f" ({abs(bias / level):.0%})".replace("%", " %") if level else ""
    side = "above" if bias > 0 else "below"
    what = joined.target if part.regression else f"the share of {joined.target}={part.classes[part.positive or 0]}"
    where = f" in {name}" if name else ""
    return f"{what}{where} is {abs(bias):.3g}{share} {side} the level the model learnt"


def _waiting(outcomes: Outcomes, joined: Joined, share: float, due: datetime) -> Iterator[str]:
    yield f"waiting: {share:.0%} of outcomes, due {due.date().isoformat()}".replace("%", " %")
    yield from _provisional(outcomes, joined)


def _provisional(outcomes: Outcomes, joined: Joined) -> Iterator[str]:
    """What early outcomes say, in words alone: those that come first are not like the others."""
    metric = rules(outcomes, joined.answers)[0].metric
    found = interval(metric, joined.answers, joined.days, joined.seed)
    if found:
        yield f"provisional, not judged: {metric} {found.value:.3g} of {found.n:,} outcomes"


def _missing(joined: Joined, share: float) -> Signal:
    rows = len(joined.answers.truth)
    text = f"outcomes are missing: {rows:,} of {joined.predictions:,} predictions have one after the delay"
    return Signal("outcomes_missing", Level.WARN, text, None, "joined", brief(share), MISSING, None, joined.predictions)


def _array_digest(array: NDArray[Any]) -> str:
    if array.dtype.kind in "fiub":
        return sha256(np.ascontiguousarray(array).tobytes())
    return digest([str(value) for value in array.tolist()])


def _counted(joined: Joined) -> Iterator[str]:
    for count, words in (
        (joined.superseded, "outcomes were corrected by later ones"),
        (joined.repeated, "predictions have the id of an earlier one and are left out"),
        (joined.orphans, "outcomes belong to no prediction of this window"),
    ):
        if count:
            yield f"{count:,} {words}"
