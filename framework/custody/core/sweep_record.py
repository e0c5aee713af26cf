"""The record of one sweep of monitors over all models: one commit, with each window that was judged as a file. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from custody.core.alert_words import brief
from custody.core.recording import SUBJECT, Source, line_of
from custody.domain.monitoring import Health, Judged
from custody.domain.record import Kind, Record

_BAD = (Health.ALERT, Health.WARN)
_NAMED = 2
"""So many models are named in a subject."""


def sweep_record(
    record_id: str, judged: Sequence[Judged], made: Sequence[str], files: Mapping[str, bytes], source: Source
) -> Record:
    """Return the record of a sweep: `judged` are the windows in order, `made` the models with a new reference.

    `files` are those of both.
    """
    trailers = (*_trailers(judged), *source.trailers)
    return Record(record_id, Kind.MONITOR, subject_of(judged, made), trailers, body=_body(judged), files=files)


def subject_of(judged: Sequence[Judged], made: Sequence[str]) -> str:
    """Return the words for a sweep: `monitor: 3 models, day 2012-01-05: churn warn (drift plan psi 0.31 > 0.22)`."""
    models = list(dict.fromkeys(item.model for item in judged) if judged else made)
    who = models[0] if len(models) == 1 else f"{len(models)} models"
    found = f"{_spans(judged)}: {_healths(judged)}" if judged else "what windows are compared with"
    return line_of(f"monitor: {who}, {found}")[:SUBJECT]


def _spans(judged: Sequence[Judged]) -> str:
    windows = {(item.window.start, item.window.name, str(item.window.every)) for item in judged}
    if len(windows) == 1:
        _, name, every = next(iter(windows))
        return f"{every} {name}"
    ordered = sorted(windows)
    kinds = Counter(every for _, _, every in ordered)
    counted = " and ".join(f"{count} {every}{'s' * (count != 1)}" for every, count in sorted(kinds.items()))
    return f"{counted}, {ordered[0][1]} to {ordered[-1][1]}"


def _healths(judged: Sequence[Judged]) -> str:
    bad = [item for item in judged if item.health in _BAD]
    if not bad:
        counts = Counter(str(item.health) for item in judged)
        return (
            ", ".join(counts) if len(counts) == 1 else ", ".join(f"{number} {name}" for name, number in counts.items())
        )
    worst: dict[str, Judged] = {}
    for item in sorted(bad, key=lambda item: _BAD.index(item.health)):
        worst.setdefault(item.model, item)
    named = [f"{name} {item.health} ({brief(item.signals[0])})" for name, item in list(worst.items())[:_NAMED]]
    rest = len(worst) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


def _trailers(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    last: dict[tuple[str, str], Judged] = {(item.model, item.what): item for item in judged}
    return [
        ("Monitored", line_of(f"{model} {what} {item.window.name} {item.health} run {item.run}"))
        for (model, what), item in sorted(last.items())
    ]


def _body(judged: Sequence[Judged]) -> str:
    """Return a line a window that is not ok, with its first signals."""
    lines = []
    for item in judged:
        if item.health is Health.OK:
            continue
        revised = f" (revision {item.revision})" if item.revision > 1 else ""
        signals = "; ".join(brief(signal) for signal in item.signals[:3])
        lines.append(
            line_of(f"{item.model} {item.window.name} {item.what} {item.health}{revised}: {signals}").rstrip(": ")
        )
    return "\n".join(lines)
