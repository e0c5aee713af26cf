"""Explain: one prediction by its id: what went in, what came out and why, whether it comes out again, and its chain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any

from custody.app.branch import require_ledger
from custody.app.predictions import Found, batches, content, find
from custody.app.project import Project
from custody.app.promoted import Source, personal_among, source_of_run
from custody.app.records import Recorded, find_record, find_run
from custody.app.trace import Trace, trace
from custody.app.work import work
from custody.core.predictions import ID, micros_of
from custody.core.reproduction import TOLERANCE, environment_differences
from custody.domain.serving import Prediction
from custody.errors import CustodyError, StoreError, UsageError

_BEGINNING = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")
_NEAR = 5
PERSONAL = "(personal)"
"""What stands for a value that was kept before its column was declared personal."""


@dataclass(frozen=True, slots=True)
class Input:
    """One feature of the row. `adds` is what it adds to the answer, with a standard `error` where that was sampled."""

    feature: str
    value: Any
    adds: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """What the contributions add up to: from `base`, the average of `rows` training rows, to `score`, on `scale`.

    `of` is the target or the class that is explained; `method` says how the values were found, see `kit/shapley.py`.
    """

    of: str
    scale: str
    method: str
    base: float
    score: float
    rows: int


@dataclass(frozen=True, slots=True)
class Rescored:
    """What the recorded artifact answers for the row now; `because` are likely reasons where it is another answer."""

    same: bool
    prediction: Any
    probabilities: Mapping[str, float]
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one prediction. `inputs` are in order of what they add, `notes` say what is not known."""

    found: Found
    inputs: tuple[Input, ...]
    basis: Basis | None
    rescored: Rescored | None
    chain: Trace
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return self.rescored is not None and not self.rescored.same


def explain(project: Project, target: str) -> Explanation:
    """Explain the prediction with this id, or the beginning of one.

    What cannot be known here (the row's features were not kept, the artifact or its data are not in this clone) is left
    out and noted. Raises UsageError where no such prediction is kept, LedgerError where its run has no record.
    """
    require_ledger(project)
    found = _find(project, target)
    recorded = find_run(project.ledger, found.run)
    chain = trace(project, found.run)
    hidden = personal_among(project, recorded.made, found.features)
    shown = {name: PERSONAL if name in hidden else value for name, value in found.features.items()}
    plain = tuple(Input(name, value) for name, value in shown.items())
    try:
        answer = _rescore(project, found, recorded)
    except CustodyError as error:
        hint = "".join(f"; {line}" for line in error.help[:1])
        return Explanation(found, plain, None, None, chain, (f"not scored again: {error}{hint}",))
    rescored = _compared(found, answer, recorded)
    if "unexplained" in answer:
        return Explanation(found, plain, None, rescored, chain, (f"no contributions: {answer['unexplained']}",))
    inputs = _inputs(shown, answer["features"], answer["explained"])
    return Explanation(found, inputs, _basis(answer), rescored, chain)


def _find(project: Project, target: str) -> Found:
    """Return the prediction; an id that is not one may begin one, be that of a run, or be mistyped."""
    name = target.strip()
    try:
        return find(project, name)
    except UsageError as error:
        begun = _begun(project, name.lower())
        if len(begun) == 1:
            return find(project, begun[0])
        if begun:
            message = f"{len(begun):,} predictions begin with {target}"
            shown = tuple(f"custody explain {item}" for item in begun[:_NEAR])
            raise UsageError(message, code="E603", help=shown) from error
        if (entry := find_record(project.ledger, name)) is not None:
            message = f"{target} is no prediction, it is a record: {entry.subject}"
            raise UsageError(message, code="E603", help=(f"custody trace {target}",)) from error
        near = tuple(f"did you mean {item}?" for item in _near(project, name.lower()))
        raise UsageError(str(error), code=error.code, because=error.because, help=(*near, *error.help)) from error


def _begun(project: Project, beginning: str) -> list[str]:
    """Return the ids that begin so, of those that are made here and so begin with their time."""
    if not _BEGINNING.fullmatch(beginning):
        return []
    return [name for name in _made_about(project, beginning) if name.startswith(beginning)]


def _near(project: Project, name: str) -> list[str]:
    if not _BEGINNING.fullmatch(name):
        return []
    return get_close_matches(name, _made_about(project, name[:8]), 2, 0.9)


def _made_about(project: Project, beginning: str) -> list[str]:
    """Return the ids of all predictions of about the time that the beginning of an id says."""
    digits = beginning.replace("-", "")[:12]
    try:
        low, high = (int(digits.ljust(12, fill), 16) / 1000 for fill in ("0", "f"))
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (low, high + 0.001))
    except (ValueError, OverflowError, OSError):
        return []
    found: list[str] = []
    for model in project.ledger.state().models:
        for batch in batches(project, model, start, end):
            try:
                found += content(project, batch).column(ID).to_pylist()
            except StoreError:
                continue
    return sorted(set(found))


def _rescore(project: Project, found: Found, recorded: Recorded) -> Mapping[str, Any]:
    """Have a process score the row again and explain it. Raises CustodyError where that cannot be done."""
    source = source_of_run(project, recorded)
    promoted = source.promoted
    absent = [name for name in promoted.features if name not in found.features]
    if absent:
        raise CustodyError(f"of the row {', '.join(absent)} {'was' if len(absent) == 1 else 'were'} not kept")
    if promoted.artifact != found.artifact:
        raise CustodyError(f"run {found.run[:8]} has another artifact than the one that the prediction names")
    # All of the row was kept, also what has been declared personal since.
    source = replace(source, promoted=replace(promoted, hidden=()))
    payload = {
        "source": source.to_payload(),
        "prediction": _kept(found, source).to_list(),
        "store": str(project.store.files.root),
        "seed": int(promoted.artifact[:16], 16),
        **{name: _stored(project, recorded, step) for name, step in (("table", "fetch"), ("split", "split"))},
    }
    answer = work(project, "custody.app.rescore:rescore", payload, f"explain-{promoted.model}")
    return {**answer, "features": promoted.features, "classes": promoted.classes}


def _stored(project: Project, recorded: Recorded, step: str) -> str:
    """Return the object that a step of the run made, brought here where it can be."""
    made = recorded.run.steps.get(step)
    if made is None or made.output is None:
        return ""
    project.store.has(made.output.ref.object)
    return made.output.ref.object


def _kept(found: Found, source: Source) -> Prediction:
    values = tuple(_json(found.features[name]) for name in source.promoted.features)
    return Prediction(found.id, micros_of(datetime.fromisoformat(found.time)), found.prediction, (), values)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _compared(found: Found, answer: Mapping[str, Any], recorded: Recorded) -> Rescored:
    chances = dict(zip(map(_text, answer["classes"]), answer["probabilities"] or (), strict=False))
    pairs = [(found.prediction, answer["prediction"])]
    pairs += [(value, chances.get(label)) for label, value in found.probabilities.items() if value is not None]
    same = all(_equal(one, other) for one, other in pairs)
    because = () if same else tuple(_because(found, answer, recorded))
    return Rescored(same, answer["prediction"], chances, because)


def _because(found: Found, answer: Mapping[str, Any], recorded: Recorded) -> Iterator[str]:
    """Yield what may be behind another answer."""
    if found.batch is not None and found.batch.source == "log":
        yield "another server made it: it may round, or have been given another row than it told"
    yield from environment_differences(recorded.run.environment, answer["environment"])


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)


def _inputs(shown: Mapping[str, Any], features: tuple[str, ...], explained: Mapping[str, Any]) -> tuple[Input, ...]:
    errors = explained["errors"] or [None] * len(features)
    made = [
        Input(name, shown[name], adds, error)
        for name, adds, error in zip(features, explained["contributions"], errors, strict=True)
    ]
    return tuple(sorted(made, key=lambda item: -abs(item.adds or 0.0)))


def _basis(answer: Mapping[str, Any]) -> Basis:
    explained = answer["explained"]
    of = str(answer["target"]) if answer["label"] is None else f"{answer['target']}={_text(answer['label'])}"
    facts = {name: explained[name] for name in ("scale", "method", "base", "score", "rows")}
    return Basis(of, **facts)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def to_dict(done: Explanation) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return dict(_facts(done))


def _facts(done: Explanation) -> Iterator[tuple[str, Any]]:
    found = done.found
    yield "format_version", 1
    for name in ("id", "time", "model", "version", "run", "artifact"):
        yield name, getattr(found, name)
    yield "batch", found.batch.to_dict() if found.batch else None
    yield "row", found.row
    yield "prediction", _json(found.prediction)
    yield "probabilities", found.probabilities
    yield (
        "inputs",
        [
            {"feature": item.feature, "value": _json(item.value), "adds": item.adds, "error": item.error}
            for item in done.inputs
        ],
    )
    yield "basis", {name: getattr(done.basis, name) for name in Basis.__slots__} if done.basis else None
    again = done.rescored
    yield (
        "rescored",
        None
        if again is None
        else {
            "same": again.same,
            "prediction": again.prediction,
            "probabilities": dict(again.probabilities),
            "because": list(again.because),
        },
    )
    yield "notes", list(done.notes)
    yield "chain", done.chain.to_dict()
