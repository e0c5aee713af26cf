"""Making a model's reference: how much each column varies by itself, from the reference's own blocks of time. Pure.

Limits are prediction limits. Cube roots of psi and its like are about normal (Wilson and Hilferty), so the next window
lies below mean + t x sd x sqrt(1 + 1/blocks) of the blocks' cube roots with the chance that t is taken for. Blocks are
whole stretches of time, so that what follows from one row to the next is in them; with few of them t grows. Rows that
have no time are taken as independent: their limits follow from the number of rows and are made when a window is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from custody.core.drift import FLOOR, PSI, brief, distance, stat_of
from custody.core.profiles import subtract_counts, total, total_counts
from custody.core.quantiles import student
from custody.core.seasons import season_distances, seasons, two_years
from custody.core.sensitivity import sees
from custody.core.usual import usual_of
from custody.core.volume import volume_of
from custody.domain.monitoring import Counts, Edges, Profile, Window
from custody.domain.monitors import PREVIOUS, SAME_PERIOD, TRAINING, DriftRule, Monitors
from custody.domain.reference import BEFORE, BLOCKS, Known, Limit, Reference
from custody.domain.spec import Column

CHANCE = 0.0025
"""How often a window may show any drift where there is none, over all columns and all that they are compared with."""
LUCK = 0.0025
"""How often a window may show a fault of any column by luck alone."""
DETERMINED = 0.15
"""A column varies within a window less than by this part of what it does in all: the window determines it."""
DETERMINED_WHY = "it follows from the window"
_SPREAD = 20


@dataclass(frozen=True, slots=True)
class Material:
    """What a reference is made from. `blocks` are in order of time, and `windows` are theirs.

    Without `windows` the rows have no time; then blocks are stretches of them in stored order. `predicted` are what the
    model said of each block, by clones that were not fitted on it, over the cells `prediction`. `contract` is what the
    dataset declares of its columns; `others` are profiles of further versions to compare with, by name.
    """

    model: str
    run: str
    data: str
    edges: Mapping[str, Edges]
    blocks: Sequence[Profile]
    windows: Sequence[Window] = ()
    prediction: Edges | None = None
    predicted: Sequence[Counts] = ()
    contract: Mapping[str, Column] = field(default_factory=dict)
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Profile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """By what columns are judged: the statistic, the least limit, and the chance of each to exceed it by luck."""

    stat: str
    floor: float
    tail: float

    @classmethod
    def of(cls, declared: DriftRule | None, columns: int, references: int) -> Rule:
        """Share the chance among columns and what they are compared with."""
        declared = declared or DriftRule()
        return cls(declared.stat, floor_of(declared), CHANCE / max(1, columns) / max(1, references))


@dataclass(frozen=True, slots=True)
class Cut:
    """How a reference is cut: the windows of its blocks, and from which to before which they are taken together.

    `seasonal`: they are compared with the same month of other years too.
    """

    windows: Sequence[Window]
    spans: Sequence[tuple[int, int]]
    seasonal: bool


def floor_of(rule: DriftRule) -> float:
    """Return the least limit: what is declared, for statistics other than psi their own unless it was."""
    return rule.floor if rule.stat == PSI or rule.floor != FLOOR[PSI] else FLOOR[rule.stat]


def reference_of(material: Material, monitors: Monitors) -> Reference:
    """Return the reference of a model; raises ValueError where there is no block or one has other edges."""
    if not material.blocks:
        raise ValueError("a reference needs a block of rows")
    whole, spans = total(material.blocks), groups([block.rows for block in material.blocks], monitors.min_rows)
    timed = bool(material.windows)
    rule = monitors.drift.features or DriftRule()
    left_out = {name: _left_out(name, material, whole.columns[name], rule) for name in material.edges}
    judged = [name for name, why in left_out.items() if why is None]
    shared = Rule.of(rule, len(judged), len(monitors.drift.reference))
    seasonal = SAME_PERIOD in monitors.drift.reference and two_years(material.windows)
    cut = Cut(material.windows, spans, seasonal)
    columns = {}
    for name, edges in material.edges.items():
        own = [block.columns[name] for block in material.blocks] if timed else [whole.columns[name]]
        known = usual_of(edges, own, material.contract.get(name), LUCK / len(material.edges))
        limits = _limits(shared, edges, own, cut) if name in judged else {}
        columns[name] = replace(known, limits=limits, why=left_out[name])
    return Reference(
        material.model,
        material.run,
        material.data,
        whole.edges,
        whole.rows,
        monitors.every if timed else None,
        len(spans) if timed else 0,
        rule.stat,
        columns,
        _prediction(material, monitors, cut),
        volume_of(material.windows, [block.rows for block in material.blocks]) if timed else None,
        material.outcomes,
        _others(material, judged, cut),
    )


def groups(rows: Sequence[int], least: int) -> tuple[tuple[int, int], ...]:
    """Return from which block to before which: stretches of `least` rows or more, as windows are judged together."""
    found, start, held = [], 0, 0
    for place, count in enumerate(rows):
        held += count
        if held >= least:
            found.append((start, place + 1))
            start, held = place + 1, 0
    return tuple(found) or ((0, len(rows)),)


def prediction_limit(values: Sequence[float], tail: float) -> float:
    """Return what the next value exceeds with the chance `tail`, of two values or more, none below 0."""
    roots = [math.cbrt(value) for value in values]
    mean = math.fsum(roots) / len(roots)
    sd = math.sqrt(math.fsum((root - mean) ** 2 for root in roots) / (len(roots) - 1))
    return float((mean + student(tail, len(roots) - 1) * sd * math.sqrt(1 + 1 / len(roots))) ** 3)


def would_fire(limit: Limit, declared: float) -> tuple[int, int]:
    """Return in how many of how many blocks of the reference a declared limit fires; exact up to 20 blocks."""
    if not limit.spread:
        return 0, 0
    above = sum(value > declared for value in limit.spread)
    return round(above / len(limit.spread) * limit.of), limit.of


def _left_out(name: str, material: Material, whole: Counts, rule: DriftRule) -> str | None:
    """Return why drift of a column is not judged; None where it is."""
    edges = material.edges[name]
    if name in rule.ignore:
        return "ignored, as monitors.yaml says"
    if edges.hidden:
        return "its values are not shown"
    if edges.cells < 2 or max(whole.cells) == whole.known:  # noqa: PLR2004 - one cell holds all
        return "it has one value, or none that repeats"
    if material.windows and _determined([block.columns[name].cells for block in material.blocks]):
        return DETERMINED_WHY
    return None


def _determined(blocks: Sequence[Sequence[int]]) -> bool:
    """Whether two rows of one window nearly always share a cell, where two rows of all do not."""
    pairs = alike = 0
    for cells in blocks:
        n = sum(cells)
        pairs += n * (n - 1)
        alike += sum(count * (count - 1) for count in cells)
    whole = [sum(cell) for cell in zip(*blocks, strict=True)]
    n = sum(whole)
    if not pairs or n < 2:  # noqa: PLR2004 - a pair
        return False
    overall = 1 - sum(count * (count - 1) for count in whole) / (n * (n - 1))
    return bool(1 - alike / pairs < DETERMINED * overall)


def _limits(rule: Rule, edges: Edges, blocks: Sequence[Counts], cut: Cut) -> dict[str, Limit]:
    """Return the limits by what windows are compared with, as far as there are blocks enough; none without a time."""
    if not cut.windows:
        return {}
    stat, whole = stat_of(edges, rule.stat), total_counts(blocks)
    parts = [part for start, end in cut.spans if (part := total_counts(blocks[start:end])).known]
    if not parts:
        return {}
    rows = int(median(part.known for part in parts))
    made = {}
    for name, values in (_distances(stat, edges, parts, whole) | _seasonal(stat, edges, blocks, cut)).items():
        if len(values) < BLOCKS:
            continue
        value = brief(prediction_limit(values, rule.tail))
        found = sees(stat, edges, whole, max(value, rule.floor), rows)
        made[name] = Limit(value, rows, len(values), tuple(_thinned(values)), found, stat)
    return made


def _distances(stat: str, edges: Edges, parts: Sequence[Counts], whole: Counts) -> dict[str, list[float]]:
    """Return how far each stretch of blocks is from all others, and from the four before it."""
    rest = (subtract_counts(whole, part) for part in parts)
    before = [total_counts(parts[place - BEFORE : place]) for place in range(BEFORE, len(parts))]
    return {
        TRAINING: [distance(stat, part, others, edges) for part, others in zip(parts, rest, strict=True)],
        PREVIOUS: [distance(stat, part, four, edges) for part, four in zip(parts[BEFORE:], before, strict=True)],
    }


def _seasonal(stat: str, edges: Edges, blocks: Sequence[Counts], cut: Cut) -> dict[str, list[float]]:
    if not cut.seasonal:
        return {}
    return {SAME_PERIOD: list(season_distances(stat, edges, blocks, cut.windows, cut.spans))}


def _thinned(values: Sequence[float]) -> Iterator[float]:
    ordered = sorted(values)
    count = min(len(ordered), _SPREAD)
    for place in range(count):
        yield brief(ordered[round(place * (len(ordered) - 1) / max(1, count - 1))])


def _prediction(material: Material, monitors: Monitors, cut: Cut) -> Known | None:
    if material.prediction is None or not material.predicted:
        return None
    edges, by_block = material.prediction, len(material.predicted) == len(material.blocks)
    rule = Rule.of(monitors.drift.prediction, 1, len(monitors.drift.reference))
    known = usual_of(edges, material.predicted if cut.windows else [total_counts(material.predicted)], None, LUCK)
    return replace(known, limits=_limits(rule, edges, material.predicted, cut) if by_block else {})


def _others(material: Material, judged: Sequence[str], cut: Cut) -> dict[str, dict[str, Counts]]:
    """Return further versions and seasons to compare windows with; the predictions are under an empty name."""
    found = {name: dict(profile.columns) for name, profile in material.others.items()}
    if not cut.seasonal:
        return found
    blocks = [{name: block.columns[name] for name in judged} for block in material.blocks]
    if len(material.predicted) == len(blocks):
        blocks = [block | {"": said} for block, said in zip(blocks, material.predicted, strict=True)]
    return found | seasons(blocks, material.windows)
