"""Episodes: the stretches in which one model alarms, as a fold over its judged windows. Pure.

A signal is pending until it is confirmed, fires from then on, and is over after enough clean windows of its own kind:
windows of inputs, of outcomes, and runs are counted apart. Windows that wait for rows or have none neither confirm nor
clear. What follows here depends on the set of windows alone, never on the order in which they were judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from custody.core.instants import utc
from custody.core.suspects import ESTIMATE, RUN, excess, ordered, stream_of, worst
from custody.domain.monitoring import Health, Judged, Signal, Window
from custody.domain.monitors import Every, Level, Monitors

AT_ONCE = 2.0
"""How many times its limit a value must be to need no confirmation."""
_SILENT = frozenset({Health.WAITING, Health.NO_DATA})
_CONFIRM = (2, 3)
_MERGED = frozenset({"drift", "prediction"})
"""Monitors that wait for `min_rows`, see `Judged.together`."""


@dataclass(frozen=True, slots=True)
class ModelWindows:
    """One model with what is declared of it, and its windows in any order; `dataset` is the one that it reads."""

    model: str
    dataset: str
    monitors: Monitors
    windows: Sequence[Judged] = ()


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch in which a model alarms.

    `opened` is the first bad window, `last` the newest, `confirmed` the end of the one that confirmed it, `resolved`
    the end of the one with which it was over (None: it is not). Times are UTC and compare as text. `cause` is what it
    was opened by: inputs, outcomes or a run.
    """

    model: str
    opened: Window
    last: Window
    level: Level
    signals: tuple[Signal, ...]
    confirmed: str
    cause: str
    starts: Mapping[str, str] = field(default_factory=dict)
    resolved: str | None = None

    @property
    def since(self) -> str:
        """The start of its first bad window, in UTC."""
        return utc(self.opened.start)


def episodes(watched: ModelWindows) -> tuple[Episode, ...]:
    """Return the episodes of a model in order; only the last can be without end.

    Raises ValueError where a window's times cannot be read.
    """
    done: list[Episode] = []
    current: Episode | None = None
    streams: dict[str, list[Judged]] = {}
    for judged in in_order(watched.windows):
        streams.setdefault(judged.what, []).append(judged)
        current = _after(current, judged, streams, watched)
        if current and current.resolved:
            done.append(current)
            # what fires again has to be confirmed again
            current, streams = None, {}
    return (*done, *([current] if current else ()))


def in_order(windows: Iterable[Judged]) -> list[Judged]:
    """Return the newest revision of each window, in order of their ends."""
    newest: dict[tuple[str, str], Judged] = {}
    for judged in windows:
        name = judged.what, judged.window.name
        if name not in newest or newest[name].revision < judged.revision:
            newest[name] = judged
    return sorted(newest.values(), key=lambda item: (utc(item.window.end), item.what, item.window.name))


def confirmation(monitors: Monitors, every: Every) -> tuple[int, int]:
    """Return (k, n): a signal is confirmed where it fires in k of the last n windows."""
    return monitors.drift.confirm or ((1, 1) if every is Every.MONTH else _CONFIRM)


def _after(
    current: Episode | None, judged: Judged, streams: Mapping[str, Sequence[Judged]], watched: ModelWindows
) -> Episode | None:
    """Return the episode after one more window, the last of its stream; None where there is none."""
    count = confirmation(watched.monitors, judged.window.every)
    stream = streams[judged.what]
    levels = {signal.key: _confirmed(signal, stream, count) for signal in _fired(judged)}
    if current is None:
        return _opened(watched.model, stream, levels, count)
    mine = {signal.key for signal in current.signals}
    joining = {signal.key: signal for signal in _fired(judged) if signal.key in mine or levels[signal.key]}
    if joining:
        new = {key: _first(stream, key, count[1]) for key in joining if key not in mine}
        starts = {**{key: utc(window.end) for key, window in new.items()}, **current.starts}
        signals = {**{signal.key: signal for signal in current.signals}, **joining}
        level = worst((current.level, *(found for key in joining if (found := levels[key]))))
        shown = ordered(signals.values(), starts)
        return replace(current, last=judged.window, level=level, signals=shown, starts=starts)
    over = all(_over(signal, streams, watched.monitors) for signal in current.signals)
    return replace(current, resolved=utc(judged.window.end)) if over else current


def _opened(
    model: str, stream: Sequence[Judged], levels: Mapping[str, Level | None], count: tuple[int, int]
) -> Episode | None:
    """Return the episode that the last window of the stream opens; None where nothing is confirmed.

    An estimate confirms nothing by itself. What else fires in that window belongs to it, confirmed or not.
    """
    judged = stream[-1]
    causes = {signal.key: levels[signal.key] for signal in _fired(judged) if signal.monitor != ESTIMATE}
    level = worst(found for found in causes.values() if found)
    if level is Level.OFF:
        return None
    firsts = {signal.key: _first(stream, signal.key, count[1]) for signal in _fired(judged)}
    opened = min((firsts[key] for key, found in causes.items() if found), key=lambda window: utc(window.end))
    starts = {key: utc(window.end) for key, window in firsts.items()}
    signals = ordered(_fired(judged), starts)
    return Episode(model, opened, judged.window, level, signals, utc(judged.window.end), judged.what, starts)


def _fired(judged: Judged) -> tuple[Signal, ...]:
    return tuple(signal for signal in judged.signals if signal.level is not Level.OFF)


def _fires(judged: Judged, key: str) -> Signal | None:
    return next((signal for signal in _fired(judged) if signal.key == key), None)


def _tail(stream: Sequence[Judged], key: str, count: int) -> list[Judged]:
    """Return the last `count` windows that say something of a signal, the newest first, none of them of the same rows.

    Drift is judged of several windows together where one has too few rows: those are one look, not several.
    """
    found: list[Judged] = []
    merges, within = key.partition("|")[0] in _MERGED, 0
    for judged in reversed(stream):
        if len(found) == count:
            break
        if within:
            within -= 1
        elif _fires(judged, key) or (judged.health not in _SILENT and (judged.together or not merges)):
            found.append(judged)
            within = max(0, judged.together - 1) if merges else 0
    return found


def _first(stream: Sequence[Judged], key: str, count: int) -> Window:
    """Return the first of the last `count` windows in which a signal fires that fires in the last one."""
    fired = [judged.window for judged in _tail(stream, key, count) if _fires(judged, key)]
    return fired[-1] if fired else stream[-1].window


def _confirmed(signal: Signal, stream: Sequence[Judged], count: tuple[int, int]) -> Level | None:
    """Return the level at which a signal of the last window is confirmed; None where it is pending."""
    if signal.at_once or excess(signal) > AT_ONCE:
        return signal.level
    wanted, among = count
    fired = [found.level for judged in _tail(stream, signal.key, among) if (found := _fires(judged, signal.key))]
    if sum(level is Level.ALERT for level in fired) >= wanted:
        return signal.level
    return Level.WARN if len(fired) >= wanted else None


def _over(signal: Signal, streams: Mapping[str, Sequence[Judged]], monitors: Monitors) -> bool:
    """Whether the last windows are clean for a signal: it does not fire, and its value is not near the limit."""
    what = stream_of(signal)
    wanted = 1 if what == RUN else max(1, monitors.alert.resolve_after)
    tail = _tail(streams.get(what, ()), signal.key, wanted)
    return len(tail) == wanted and not any(_fires(item, signal.key) or signal.key in item.near for item in tail)
