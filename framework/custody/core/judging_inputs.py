"""Judging one window of inputs: faults of its data, then drift of features and predictions. Pure.

All follows from counts: the window's own, the reference's, and those of the windows before. A window with too few rows
is judged for drift together with those before it; what cannot be judged is said in a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from custody.core.calibration import DETERMINED_WHY, Rule
from custody.core.drift import CHI2, brief, by_size, distance, stat_of
from custody.core.profiles import add_counts, total_of_texts
from custody.core.quality import quality_signals
from custody.core.seasons import season_of
from custody.core.volume import volume_signals
from custody.core.windows import LENGTH
from custody.domain.monitoring import Counts, Judged, Profile, Signal, Window
from custody.domain.monitors import AUTO, PREVIOUS, SAME_PERIOD, SIZE, TRAINING, Drift, DriftRule, Level, Monitors
from custody.domain.reference import BEFORE, BLOCKS, Known, Reference

INPUTS = "inputs"
NEAR = 0.8
"""A window whose drift is above this part of its limit does not count as clean."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a window: `age` is how old its newest row was, in seconds, when the window could be judged.

    `prediction` are counts of what the model said. `undated` rows had no time that could be read from column `time`.
    """

    window: Window
    profile: Profile
    prediction: Counts | None = None
    age: float | None = None
    undated: int = 0
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a window is judged to be. `near` and `together` are for its record, see `Judged`."""

    signals: tuple[Signal, ...] = ()
    notes: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    together: int = 0

    @property
    def waiting(self) -> bool:
        """Whether drift is not judged before more rows have come."""
        return not self.together


def judge_inputs(monitors: Monitors, reference: Reference, seen: Seen, history: Sequence[Judged]) -> Verdict:
    """Judge a window of inputs; `history` are windows of the model that were judged before it, in order."""
    faults = tuple(_faults(monitors, reference, seen, history))
    own, *earlier = _stretches(seen, _before(history, reference.digest))
    if not seen.profile.rows:
        return Verdict(faults, ("there are no rows",))
    notes = list(_notes(monitors, reference))
    if own.rows < monitors.min_rows:
        return Verdict(faults, (*notes, f"drift waits for rows: {own.rows:,} of {monitors.min_rows:,}"))
    together = len(own.recorded) + 1
    if together > 1:
        notes.append(f"drift is judged of {together} windows together, {own.rows:,} rows")
    found = tuple(_drifts(monitors, reference, seen, (own, *earlier)))
    signals = tuple(one.signal for one in found if one.value > one.limit)
    near = tuple(one.signal.key for one in found if one.value <= one.limit)
    return Verdict((*faults, *signals), tuple(notes), near, together)


def _before(history: Sequence[Judged], reference: str | None = None) -> Iterator[Judged]:
    """Yield the earlier windows of inputs, the last first; only those that were judged by `reference`, if given."""
    return (one for one in reversed(history) if one.what == INPUTS and reference in {None, one.reference})


def _faults(monitors: Monitors, reference: Reference, seen: Seen, history: Sequence[Judged]) -> Iterator[Signal]:
    rules, rows = monitors.quality, seen.profile.rows
    allowed = 2 * LENGTH[seen.window.every] if rules.freshness is None else rules.freshness
    age = _age(seen, history)
    if allowed and age is not None and age > allowed:
        text = f"the newest row is {_span(age)} old{'' if rows else ' or more'}, {_span(allowed)} are allowed"
        yield Signal("freshness", Level.ALERT, text, None, "age", brief(age), allowed, at_once=True)
    if seen.undated and rules.schema is not Level.OFF:
        text = f"{seen.time or 'the time'} cannot be read in {seen.undated:,} rows, its format may have changed"
        yield Signal("schema", rules.schema, text, seen.time, "undated", float(seen.undated), n=rows, at_once=True)
    if rules.volume:
        earlier = ((one.window, one.rows) for one in _before(history))
        yield from volume_signals(reference.volume, seen.window, rows, earlier)
    if rows:
        yield from quality_signals(rules, reference, seen.profile)


def _age(seen: Seen, history: Sequence[Judged]) -> float | None:
    """Return how old the newest row is, of a window without rows at least: since the last one that had some ended."""
    last = (
        None if seen.profile.rows or seen.age is not None else next((one for one in _before(history) if one.rows), None)
    )
    if last is None:
        return seen.age
    return (datetime.fromisoformat(seen.window.end) - datetime.fromisoformat(last.window.end)).total_seconds()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Windows that are judged as one: `own` the counts of the one at hand, `recorded` those that are on the ledger."""

    rows: int
    recorded: Sequence[Judged]
    own: Mapping[str, Counts]
    prediction: Counts | None = None

    def texts(self, name: str) -> list[str]:
        """Return the recorded counts of one column, of the predictions by the name ''."""
        found = (one.profile.get(name) if name else one.prediction for one in self.recorded)
        return [text for text in found if text is not None]

    def column(self, name: str) -> Counts | None:
        """Return all counts of one column, of the predictions by the name ''; None where there are none."""
        own = self.own.get(name) if name else self.prediction
        earlier = self.texts(name)
        if own is None:
            return total_of_texts(earlier) if earlier else None
        return add_counts(own, total_of_texts(earlier)) if earlier else own


def _stretches(seen: Seen, before: Iterator[Judged]) -> list[_Stretch]:
    """Return the window with those before it that waited for rows, then up to four earlier stretches, as judged."""
    waited: list[Judged] = []
    last = next(before, None)
    while last is not None and not last.together:
        waited.append(last)
        last = next(before, None)
    rows = seen.profile.rows + sum(one.rows for one in waited)
    found = [_Stretch(rows, waited, seen.profile.columns, seen.prediction)]
    while last is not None and len(found) <= BEFORE:
        parts = [last, *islice(before, max(last.together, 1) - 1)]
        found.append(_Stretch(sum(one.rows for one in parts), parts, {}))
        last = next(before, None)
    return found


def _notes(monitors: Monitors, reference: Reference) -> Iterator[str]:
    """Yield what is not judged of any window, and why."""
    rules = [rule for rule in (monitors.drift.features, monitors.drift.prediction) if rule]
    determined = [name for name, known in reference.columns.items() if known.why == DETERMINED_WHY]
    if determined and monitors.drift.features:
        yield f"drift of {', '.join(determined)} is not judged: {DETERMINED_WHY}"
    for name in monitors.drift.reference:
        if name == SAME_PERIOD and not any(other.startswith(name) for other in reference.others):
            yield f"drift against {name} is not judged: the training data does not reach over two years"
        elif "@" in name and name not in reference.others:
            yield f"drift against {name} is not judged: the reference has no counts of it"
    if reference.every is None or not any(rule.limit == AUTO for rule in rules):
        return
    yield from _other_stats(monitors.drift, reference)
    for name in monitors.drift.reference:
        needed = BLOCKS + (BEFORE if name == PREVIOUS else 0)
        if name != SAME_PERIOD and reference.blocks < needed:
            yield (
                f"drift against {name} is not judged: the reference has {reference.blocks} blocks of "
                f"{monitors.min_rows:,} rows or more, {needed} are needed to know how much it varies by itself"
            )


def _other_stats(drift: Drift, reference: Reference) -> Iterator[str]:
    """Yield what was measured by another statistic than is asked for now."""
    columns, said = drift.features, drift.prediction
    if columns and columns.limit == AUTO and columns.stat != reference.stat:
        yield f"drift by {columns.stat} is not judged: the reference has limits for {reference.stat}"
    known = reference.prediction
    stats = {limit.stat for limit in known.limits.values()} if known else set()
    if said and known and said.limit == AUTO and stats and stat_of(known.edges, said.stat) not in stats:
        yield f"drift of predictions by {said.stat} is not judged: the reference has limits for {', '.join(stats)}"


@dataclass(frozen=True, slots=True)
class _Found:
    """What a column is farthest beyond, or nearest to: `signal` is what it would be told as."""

    value: float
    limit: float
    signal: Signal


def _drifts(monitors: Monitors, reference: Reference, seen: Seen, stretches: Sequence[_Stretch]) -> Iterator[_Found]:
    drift, against, season = monitors.drift, monitors.drift.reference, season_of(seen.window)
    if drift.features is not None and drift.features.severity is not Level.OFF:
        judged = [name for name, known in reference.columns.items() if known.why is None]
        rule = Rule.of(drift.features, len(judged), len(against))
        for name in judged:
            if name not in drift.features.ignore and name not in seen.profile.missing:
                case = _Case(name, reference.columns[name], rule, drift.features, reference, season)
                yield from case.judge(against, stretches)
    rules, known = drift.prediction, reference.prediction
    if rules is not None and rules.severity is not Level.OFF and known is not None and seen.prediction is not None:
        case = _Case("", known, Rule.of(rules, 1, len(against)), rules, reference, season)
        yield from case.judge(against, stretches)


@dataclass(frozen=True, slots=True)
class _Case:
    """One column to be judged for drift, or the predictions where `name` is empty."""

    name: str
    known: Known
    rule: Rule
    declared: DriftRule
    reference: Reference
    season: str

    def judge(self, against: Sequence[str], stretches: Sequence[_Stretch]) -> Iterator[_Found]:
        """Yield how the window stands to what it is farthest from, as measured by the limits, if it is near one."""
        window = stretches[0].column(self.name)
        if window is None or not window.known:
            return
        stat = stat_of(self.known.edges, self.rule.stat)
        found = []
        for other in against:
            base = self._base(other, stretches)
            limit = None if base is None or not base.known else self._limit(stat, other, window.known, base.known)
            if base is not None and limit is not None:
                value = distance(stat, window, base, self.known.edges)
                found.append((value / limit if limit else math.inf, other, brief(value), brief(limit), base.known))
        if found and max(found)[0] > NEAR:
            _, other, value, limit, m = max(found)
            signal = self._signal(stat, other, value, limit, window.known)
            pages = self._paging(stat, window.known, m)
            yield _Found(value, limit, replace(signal, level=Level.ALERT) if value > pages else signal)

    def _base(self, against: str, stretches: Sequence[_Stretch]) -> Counts | None:
        """Return the counts that the window is compared with; None where there are none."""
        if against == TRAINING:
            return self.known.counts
        if against != PREVIOUS:
            other = self.season if against == SAME_PERIOD else against
            return self.reference.others.get(other, {}).get(self.name)
        if len(stretches) <= BEFORE:
            return None
        texts = [text for stretch in stretches[1:] for text in stretch.texts(self.name)]
        return total_of_texts(texts) if texts else None

    def _limit(self, stat: str, against: str, n: int, m: int) -> float | None:
        """Return what the distance may be; None where that is not known.

        1. A declared number stands; of chi2 it is a probability.
        2. By size: what independent rows reach, and the floor on top.
        3. `auto`: what the reference's blocks reach, and more for a window with fewer rows than those had. Where rows
           have no time, what independent rows reach.
        """
        declared, cells = self.declared.limit, self.known.edges.cells
        if not isinstance(declared, str):
            return self._fixed(stat, declared, n, m)
        if declared == SIZE:
            return self.rule.floor + by_size(stat, self.rule.tail, cells, n, m)
        if self.reference.every is None:
            return max(self.rule.floor, by_size(stat, self.rule.tail, cells, n, m))
        limit = self.known.limits.get(against if against in {PREVIOUS, SAME_PERIOD} else TRAINING)
        if limit is None or limit.stat != stat:
            return None
        if n >= limit.rows:
            return max(self.rule.floor, limit.value)
        here, usual = (by_size(stat, self.rule.tail, cells, rows, m) for rows in (n, limit.rows))
        return max(self.rule.floor, limit.value + here - usual)

    def _fixed(self, stat: str, declared: float, n: int, m: int) -> float:
        return by_size(stat, declared, self.known.edges.cells, n, m) if stat == CHI2 else declared

    def _paging(self, stat: str, n: int, m: int) -> float:
        """Return the second limit, from which on it is an alert whatever the severity is."""
        paging = self.declared.paging
        return math.inf if paging is None else self._fixed(stat, paging, n, m)

    def _signal(self, stat: str, against: str, value: float, limit: float, n: int) -> Signal:
        what = self.name or "predictions"
        text = f"{what}: {stat} {value:g} > {limit:g} against {_AGAINST.get(against, against)}"
        monitor = "drift" if self.name else "prediction"
        return Signal(
            monitor, self.declared.severity, text, self.name or None, stat, value, limit, None, n, against=against
        )


_AGAINST = {TRAINING: "the training data", PREVIOUS: "the windows before", SAME_PERIOD: "the same month of other years"}


def _span(seconds: float) -> str:
    """Return a length of time for people: `26 h`, `3.5 d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
