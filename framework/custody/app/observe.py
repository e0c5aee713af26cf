"""The step `observe`: reads the live rows of the windows that are due and says what is in them, window by window.

Rows stream by: a window's profile is the sum of those of its pieces. What is kept of a row is its answer, and its id,
where outcomes are to be joined to it. Runs inside a step process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.joining import Answered, join
from custody.app.step import Work, one_thread
from custody.core.due import end_of, start_of
from custody.core.estimate import Calibration, score_counts
from custody.core.instants import micros, of_micros
from custody.core.profiles import add, add_counts, empty
from custody.domain.graph import Ref, StepOutput
from custody.domain.monitoring import Counts, Edges, Profile, Window
from custody.domain.outcome import OutcomeBase
from custody.domain.reference import Reference
from custody.domain.serving import Promoted
from custody.errors import ContractError
from custody.kit import lenient, scoring
from custody.kit.evaluation import Question
from custody.kit.frame import text_of
from custody.kit.live import Feed, Piece, Seen, located, pieces
from custody.kit.profiling import profile_of


@dataclass(slots=True)
class Tally:
    """What was found of one window of inputs so far."""

    window: Window
    profile: Profile
    prediction: Counts | None = None
    newest: int | None = None
    undated: int = 0
    scores: NDArray[np.int64] | None = None


@dataclass(slots=True)
class Watch:
    """The windows under observation, and what has been found."""

    work: Work
    reference: Reference
    promoted: Promoted
    estimator: Any
    question: Question
    inputs: Sequence[Tally]
    outcomes: Sequence[Answered]
    unscored: str = ""
    """Why rows could not be scored, if they could not."""
    seen: Seen = field(default_factory=Seen)
    cells: Mapping[str, Edges] = field(init=False)

    calibration: Calibration = field(init=False)
    """What scores are counted by, for an estimate without outcomes; empty where there is none."""

    def __post_init__(self) -> None:
        self.cells = self.reference.cells
        outcomes = self.reference.outcomes
        self.calibration = OutcomeBase.from_dict(outcomes).calibration if outcomes else ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.work.settings


def run(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do the step that `payload` describes; see `custody.app.step.run`."""
    work = Work.of(payload)
    with work.code.importable(), one_thread(work) if work.upstream else nullcontext():
        return observe(work).to_dict()


def observe(work: Work) -> StepOutput:
    """Observe the windows that are due; see `app/monitor_graph.py` for what is told."""
    reference = Reference.from_dict(work.settings["reference"])
    promoted = Promoted.from_dict(work.settings["promoted"])
    estimator = work.artifact("model").estimator if "model" in work.upstream else None
    question = Question(promoted.task, promoted.classes, promoted.positive, ())
    inputs = [Tally(window, empty(reference.cells)) for window in _windows(work.settings["inputs"])]
    outcomes = [Answered(window) for window in _windows(work.settings["outcomes"])]
    watch = Watch(work, reference, promoted, estimator, question, inputs, outcomes)
    spans = [*(item.window for item in inputs), *(item.window for item in outcomes)]
    with _feed(work) as feed:
        for piece in pieces(feed, _wanted(watch), min(map(start_of, spans)), max(map(end_of, spans)), watch.seen):
            _take(watch, piece)
    facts = {
        "classes": [text_of(label) for label in question.classes],
        "positive": _place(question),
        "inputs": list(_told(watch)),
        "outcomes": join(work, outcomes, question) if outcomes else [],
        "source": {
            "malformed": watch.seen.malformed,
            "undated": watch.seen.undated,
            "example": watch.seen.example,
            "time": watch.settings["live"]["time"],
        },
    }
    return StepOutput(Ref("observation", "", ""), facts=facts)


def _windows(values: Sequence[Mapping[str, str]]) -> Iterator[Window]:
    return map(Window.from_dict, values)


@contextmanager
def _feed(work: Work) -> Iterator[Feed]:
    """Give the files of the live source, or of the sealed batches."""
    settings = work.settings
    live, zone = settings["live"], settings["zone"]
    if settings.get("batches") is not None:
        paths = tuple((work.store.path(item), f"batch {item[:12]}") for item in settings["batches"])
        yield Feed(paths, {"format": "parquet"}, live["time"])
        return
    written = settings["rules"].get(live["time"], {}).get("format")
    with located(live["uses"], live["with"], Path(settings["root"])) as paths:
        yield Feed(paths, live["with"], live["time"], written, zone)


def _wanted(watch: Watch) -> list[str]:
    live = watch.settings["live"]
    own = [live[name] for name in ("id", "prediction") if live.get(name)]
    own += _chances(watch)
    slices = watch.settings["slices"] if watch.outcomes else ()
    columns = [live["columns"].get(name, name) for name in (*watch.cells, *watch.promoted.features, *slices)]
    return list(dict.fromkeys((*columns, *own)))


def _chances(watch: Watch) -> list[str]:
    """Return the columns of a batch that hold the chance of each class."""
    prefix = watch.settings["live"].get("chances")
    return [] if prefix is None else [f"{prefix}{text_of(label)}" for label in watch.question.classes]


def _place(question: Question) -> int | None:
    """Return the place of the positive one of two classes."""
    return None if question.positive is None else list(question.classes).index(question.positive)


def _take(watch: Watch, piece: Piece) -> None:
    """Add the rows of a piece to the windows that they are of."""
    renamed = {stored: name for name, stored in watch.settings["live"]["columns"].items()}
    table = piece.table.rename_columns([renamed.get(name, name) for name in piece.table.column_names])
    said = _said(watch, table)
    present = [name for name in watch.cells if name in table.column_names]
    for tally, rows in _by_window(watch.inputs, piece):
        found = _profile(table.select(present).take(pa.array(rows)), watch.cells, watch.settings["rules"])
        tally.profile = add(tally.profile, found)
        dated = piece.dated[rows]
        if dated.any():
            tally.newest = max(int(piece.times[rows][dated].max()), tally.newest or 0)
        tally.undated += int((~dated).sum())
        if said is not None and watch.reference.prediction is not None:
            edges = {scoring.WATCHED: watch.reference.prediction.edges}
            counts = profile_of(scoring.watched(_part(said, rows), watch.question), edges).columns[scoring.WATCHED]
            tally.prediction = counts if tally.prediction is None else add_counts(tally.prediction, counts)
        if said is not None and said.chances is not None and watch.calibration:
            scores = _scores(watch, _part(said, rows))
            tally.scores = scores if tally.scores is None else tally.scores + scores
    if said is None or piece.trailing:
        return
    for answered, rows in _by_window(watch.outcomes, piece):
        answered.add(table.take(pa.array(rows)), piece.times[rows], _part(said, rows), watch.settings)


def _scores(watch: Watch, said: scoring.Said) -> NDArray[np.int64]:
    """Return how many rows have which chance of the positive class, those predicted negative and positive."""
    place = _place(watch.question)
    chances = np.zeros((0, 0)) if said.chances is None else said.chances
    return score_counts(chances[said.known, place], said.answers[said.known] == place, watch.calibration)


def _profile(table: pa.Table, cells: Mapping[str, Edges], rules: Mapping[str, Mapping[str, Any]]) -> Profile:
    """Return the counts of rows as they came: a value that is none of its column's kind counts as text."""
    taken = {name: lenient.take(table.column(name), cells[name].kind, rules.get(name)) for name in table.column_names}
    typed = pa.table({name: item.column for name, item in taken.items()}) if taken else table
    profile = profile_of(typed, cells)
    columns = dict(profile.columns)
    for name, item in taken.items():
        if item.misfits:
            counts = columns[name]
            columns[name] = replace(counts, text=item.misfits, nulls=counts.nulls - item.misfits)
    return replace(profile, rows=table.num_rows, columns=columns)


def _by_window(items: Sequence[Any], piece: Piece) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """Yield each window that rows are of, with their places; windows of one kind do not overlap.

    Rows that come after all others are of the first window after the last row that has a time.
    """
    if not items:
        return
    times = piece.times
    starts = np.array([micros(start_of(item.window)) for item in items])
    if piece.trailing:
        after = np.flatnonzero(starts > times[0])
        yield items[after[0] if len(after) else -1], np.arange(len(times))
        return
    ends = np.array([micros(end_of(item.window)) for item in items])
    place = np.searchsorted(starts, times, side="right") - 1
    place = np.where((place >= 0) & (times < ends[place]), place, -1)
    order = np.argsort(place, kind="stable")
    found, first = np.unique(place[order], return_index=True)
    for number, rows in zip(found, np.split(order, first[1:]), strict=True):
        if number >= 0:
            yield items[number], rows


def _said(watch: Watch, table: pa.Table) -> scoring.Said | None:
    """Return what the model said of the rows, or says of them now; None where they cannot be scored."""
    live = watch.settings["live"]
    if live.get("prediction"):
        return scoring.read(table, live["prediction"], live.get("chances"), watch.question)
    features, kinds = watch.promoted.features, watch.promoted.kinds
    absent = [name for name in features if name not in table.column_names]
    if absent:
        watch.unscored = f"no column {', '.join(absent[:5])}"
        return None
    rules = watch.settings["rules"]
    typed = {
        name: lenient.take(table.column(name), kind, rules.get(name)).column
        for name, kind in zip(features, kinds, strict=True)
    }
    try:
        return scoring.score(watch.estimator, pa.table(typed), features, kinds, watch.question)
    except ContractError as error:
        watch.unscored = error.message
        return None


def _part(said: scoring.Said, rows: NDArray[np.int64]) -> scoring.Said:
    chances = None if said.chances is None else said.chances[rows]
    return scoring.Said(said.answers[rows], chances, said.known[rows])


def _told(watch: Watch) -> Iterator[dict[str, Any]]:
    """Yield what is said of each window of inputs, in order of time."""
    there = _there(watch)
    known = {*watch.settings["known"], *watch.cells, *_chances(watch)}
    newest = watch.seen.newest
    for tally in watch.inputs:
        newest = max((item for item in (newest, tally.newest) if item is not None), default=None)
        rows = tally.profile.rows
        yield {
            "rows": rows,
            "edges": tally.profile.edges,
            "columns": {name: counts.to_text() for name, counts in tally.profile.columns.items()},
            "missing": [name for name in watch.cells if name not in there] if rows else [],
            "unknown": sorted(there - known) if rows else [],
            "prediction": tally.prediction.to_text() if tally.prediction else None,
            "newest": None if newest is None else of_micros(newest).isoformat(),
            "undated": tally.undated,
            **({"unscored": watch.unscored} if watch.unscored else {}),
            **({} if tally.scores is None else {"scores": tally.scores.tolist()}),
        }


def _there(watch: Watch) -> set[str]:
    renamed = {stored: name for name, stored in watch.settings["live"]["columns"].items()}
    return {renamed.get(name, name) for name in watch.seen.columns}
