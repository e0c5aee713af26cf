"""Judging the windows of one model in the order in which they could be judged: each sees those before it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.app.monitor_graph import Sight, judged_by
from custody.app.monitored import SweptModel
from custody.app.watched import Watched
from custody.core.due import INPUTS, OUTCOMES, Due, end_of, judged_at, start_of
from custody.core.estimate import judge_estimate
from custody.core.judgement import Subject, judged_inputs, judged_outcomes, profile_of_observed, settled
from custody.core.judging_inputs import Seen, judge_inputs
from custody.core.measures import Answers
from custody.core.outcomes import Joined, judge_outcomes
from custody.domain.monitoring import Counts, Health, Judged, Window
from custody.domain.outcome import OutcomeBase
from custody.domain.reference import Reference

_ABOUT_ANSWERS = frozenset({"prediction", "estimate"})
"""The monitors of a window of inputs that are not about its inputs."""
_SLICE = "slice."
_NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Material:
    """All that the windows of one model are judged from: `seen` is what `app/observe.py` told, `folder` its files."""

    watched: Watched
    reference: Mapping[str, Any]
    history: tuple[Judged, ...]
    due: Due
    seen: Mapping[str, Any]
    folder: Path


def judge(material: Material, sight: Sight) -> SweptModel:
    """Judge the windows that were observed, in order; each sees the recorded ones before it and those of this sweep."""
    course = _Course(material, sight)
    for window, what, observed in _in_order(material):
        course.take(window, what, observed)
    return SweptModel(material.watched.name, tuple(course.judged), tuple(course.waiting), course.already)


def _in_order(material: Material) -> Iterator[tuple[Window, str, Mapping[str, Any]]]:
    kinds = ((INPUTS, material.due.inputs), (OUTCOMES, material.due.outcomes))
    found = [
        (judged_at(window, what, material.watched.monitors), what, window, observed)
        for what, windows in kinds
        for window, observed in zip(windows, material.seen[what], strict=True)
    ]
    # of one moment the inputs first: outcomes are worded by them
    for _, what, window, observed in sorted(found, key=lambda item: (item[0], item[1])):
        yield window, what, observed


class _Course:
    """What is known while the windows of a model are judged one after another."""

    def __init__(self, material: Material, sight: Sight) -> None:
        self.material = material
        self.monitors = material.watched.monitors
        self.now = datetime.fromisoformat(sight.now)
        self.replay = sight.asked.replay
        self.reference = Reference.from_dict(material.reference)
        outcomes = self.reference.outcomes
        self.base = OutcomeBase.from_dict(outcomes) if outcomes else None
        item = material.watched
        self.subject = Subject(item.name, item.run.id, item.version, self.reference, judged_by(item))
        self.known = {(one.what, one.window.name): one for one in material.history}
        self.inputs = sorted(_place(one.window) for one in self.known.values() if one.what == INPUTS)
        self.judged: list[Judged] = []
        self.waiting: list[Judged] = []
        self.already = 0

    def take(self, window: Window, what: str, observed: Mapping[str, Any]) -> None:
        """Judge one window and keep what is new."""
        found = self._inputs(window, observed) if what == INPUTS else self._outcomes(window, observed)
        if found.health is Health.WAITING and self.now < judged_at(window, what, self.monitors):
            self.waiting.append(found)
            return
        new = settled(found, self.known.get((what, window.name)))
        if new is None:
            self.already += 1
            return
        if what == INPUTS and (what, window.name) not in self.known:
            insort(self.inputs, _place(window))
        self.known[what, window.name] = new
        self.judged.append(new)

    def before(self, window: Window) -> list[Judged]:
        """Return the windows of inputs that ended when this one began, in order."""
        place = bisect_right(self.inputs, start_of(window), key=lambda item: item[0])
        return [self.known[INPUTS, name] for _, name in self.inputs[:place]]

    def _inputs(self, window: Window, observed: Mapping[str, Any]) -> Judged:
        newest = datetime.fromisoformat(observed["newest"]) if observed["newest"] else None
        seen = Seen(
            window,
            profile_of_observed(observed),
            Counts.from_text(observed["prediction"]) if observed["prediction"] else None,
            None if newest is None else (end_of(window) - newest).total_seconds(),
            observed["undated"],
            self.material.seen["source"]["time"],
        )
        verdict = judge_inputs(self.monitors, self.reference, seen, self.before(window))
        fired, measures, notes = judge_estimate(self.monitors, self.base, observed.get("scores"), verdict.signals)
        verdict = replace(verdict, signals=(*verdict.signals, *fired), notes=(*verdict.notes, *notes))
        return replace(judged_inputs(self.subject, window, observed, verdict), measures=measures)

    def _outcomes(self, window: Window, observed: Mapping[str, Any]) -> Judged:
        joined = joined_rows(self.material, window, observed)
        now = judged_at(window, OUTCOMES, self.monitors) if self.replay else self.now
        found = judge_outcomes(self.monitors, self.base, joined, now, in_band=self._in_band(window))
        return judged_outcomes(self.subject, window, observed, found)

    def _in_band(self, window: Window) -> bool | None:
        """Whether most of the windows of inputs of the same time are within their band; None where none was judged."""
        start, end = start_of(window), end_of(window)
        same = [
            one
            for one in self.known.values()
            if one.what == INPUTS and start < end_of(one.window) and start_of(one.window) < end and one.rows
        ]
        moved = [one for one in same if any(signal.monitor not in _ABOUT_ANSWERS for signal in one.signals)]
        return None if not same else 2 * len(moved) < len(same)


def _place(window: Window) -> tuple[datetime, str]:
    """Return what windows are in order by: their ends, and their names."""
    return end_of(window), window.name


def joined_rows(material: Material, window: Window, observed: Mapping[str, Any]) -> Joined:
    """Return the rows of a window with their outcomes, as the step left them."""
    learnt = material.watched.learnt
    classes = tuple(material.seen["classes"])
    found: dict[str, NDArray[Any]] = {}
    if "file" in observed:
        with np.load(material.folder / observed["file"], allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    answers = Answers(
        found.get("ids", _NOTHING),
        found.get("truth", _NOTHING),
        found.get("predicted", _NOTHING),
        found.get("probabilities"),
        classes,
        material.seen["positive"],
    )
    return Joined(
        window,
        str(learnt["target"]),
        answers,
        found.get("days", _NOTHING),
        observed["predictions"],
        datetime.fromisoformat(observed["last"]) if observed["last"] else None,
        {name.removeprefix(_SLICE): texts for name, texts in found.items() if name.startswith(_SLICE)},
        observed["superseded"],
        observed["repeated"],
    )
