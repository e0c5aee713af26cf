"""Hindsight: how often limits that are declared would have fired on the reference's own blocks. Pure.

What fires on the data that a model was trained on says nothing when it fires later. What cannot be told is left out:
other statistics or windows than the reference was made for, and limits that are calibrated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from custody.core.calibration import would_fire
from custody.core.drift import CHI2
from custody.core.gates import LOWER_IS_BETTER
from custody.domain.monitors import PREVIOUS, TRAINING, DriftRule, Every, Level, Monitors
from custody.domain.outcome import OutcomeBase
from custody.domain.reference import Known, Reference

_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What is to be said of one declared limit: `dotted` is where monitors.yaml has it.

    In `fired` of `of` blocks it fires, on its worst column; None where only the worst block is known.
    """

    dotted: str
    text: str
    fired: int | None = None
    of: int | None = None


def hindsight(monitors: Monitors, reference: Reference) -> tuple[Hindsight, ...]:
    """Return what is to be said of the declared limits of a model, in the order of its file."""
    return (*_drift(monitors, reference), *_outcomes(monitors, reference))


def _drift(monitors: Monitors, reference: Reference) -> Iterator[Hindsight]:
    if reference.every is not monitors.every:
        return
    drift, predicted = monitors.drift, reference.prediction
    if reference.stat == CHI2:
        return  # its limits are probabilities
    if drift.features and drift.features.stat == reference.stat:
        judged = {name: known for name, known in reference.columns.items() if name not in drift.features.ignore}
        yield from _rule(drift.features, "drift.features", judged, monitors.every)
    if drift.prediction and predicted and drift.prediction.stat == reference.stat:
        yield from _rule(drift.prediction, "drift.prediction", {"the predictions": predicted}, monitors.every)


def _rule(rule: DriftRule, dotted: str, columns: dict[str, Known], every: Every) -> Iterator[Hindsight]:
    """Yield what is to be said of one or two fixed limits."""
    for level, value in ((rule.severity, rule.limit), (Level.ALERT, rule.paging)):
        if not isinstance(value, (int, float)):
            continue
        counts = {name: found for name, known in columns.items() if (found := _fired(known, float(value)))}
        if not counts:
            continue
        worst = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
        fired, of = worst[0][1]
        yield Hindsight(dotted, f"{rule.stat} {value:g}: {_told(worst, of, every, level)}", fired, of)


def _fired(known: Known, value: float) -> tuple[int, int] | None:
    """Return in how many of how many blocks of a column the limit fires; None where that is not known."""
    limit = known.limits.get(TRAINING) or known.limits.get(PREVIOUS)
    return would_fire(limit, value) if limit and limit.spread else None


def _told(worst: list[tuple[str, tuple[int, int]]], of: int, every: Every, level: Level) -> str:
    """Return `52 of 52 reference weeks would alarm on temp, 3 on hum`."""
    verb = "alarm" if level is Level.ALERT else "warn"
    firing = [(name, count) for name, (count, _) in worst if count]
    if not firing:
        return f"none of {of} reference {every}s would {verb}"
    rest = len(firing) - _COLUMNS
    others = "".join(f", {count} on {name}" for name, count in firing[1:_COLUMNS])
    more = f", fewer on {rest} more" if rest > 0 else ""
    name, count = firing[0]
    return f"{count} of {of} reference {every}s would {verb} on {name}{others}{more}"


def _outcomes(monitors: Monitors, reference: Reference) -> Iterator[Hindsight]:
    """Yield what is to be said of limits on outcomes: the reference keeps its worst block alone."""
    outcomes = monitors.outcomes
    if outcomes is None or not reference.outcomes:
        return
    base = OutcomeBase.from_dict(reference.outcomes)
    for item in outcomes.metrics if base.blocks else ():
        worst = base.worst.get(item.metric)
        limit = item.max if item.metric in LOWER_IS_BETTER else item.min
        if worst is None or limit is None:
            continue
        fires = worst > limit if item.metric in LOWER_IS_BETTER else worst < limit
        name = "max" if item.metric in LOWER_IS_BETTER else "min"
        yield _worst(
            f"outcomes.{item.metric}.{name}", f"{item.metric} {name} {limit:g}", worst, base.blocks, fires=fires
        )
    if isinstance(outcomes.bias, (int, float)) and base.blocks:
        told = f"bias {outcomes.bias:g}"
        yield _worst("outcomes.bias", told, base.bias, base.blocks, fires=base.bias > outcomes.bias)


def _worst(dotted: str, limit: str, worst: float, blocks: int, *, fires: bool) -> Hindsight:
    would = "would alarm" if fires else "would not"
    return Hindsight(dotted, f"{limit}: the worst of {blocks} reference windows has {worst:.3g} and {would}")
