"""The part of `observe` that is about outcomes: the answers of each window, and what came of them, joined by id.

What is joined leaves the step process as an array file a window: judging it needs what only the command knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.step import Work
from custody.core.instants import MICROS, of_micros
from custody.core.joining import match
from custody.domain.monitoring import Window
from custody.errors import ContractError
from custody.kit import frame, lenient, scoring
from custody.kit.evaluation import Question
from custody.kit.live import Feed, Seen, located, tables


@dataclass(slots=True)
class Answered:
    """The rows of one window of outcomes: ids, moments, answers and the columns that they are sliced by, in pieces."""

    window: Window
    ids: list[NDArray[Any]] = field(default_factory=list)
    times: list[NDArray[np.int64]] = field(default_factory=list)
    answers: list[NDArray[Any]] = field(default_factory=list)
    chances: list[NDArray[np.float64] | None] = field(default_factory=list)
    slices: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def add(self, table: pa.Table, times: NDArray[np.int64], said: scoring.Said, settings: Mapping[str, Any]) -> None:
        """Add rows, less those without an answer or an id."""
        name = settings["live"]["id"]
        if name not in table.column_names:
            raise ContractError(
                f"the live rows have no column {name}, by which outcomes are joined", code="data.missing"
            )
        ids = lenient.take(table.column(name), frame.TEXT).column
        kept = said.known & ids.is_valid().to_numpy()
        self.ids.append(_texts(ids)[kept])
        self.times.append(times[kept])
        self.answers.append(said.answers[kept])
        self.chances.append(None if said.chances is None else said.chances[kept])
        for column in settings["slices"]:
            if column in table.column_names:
                texts = _texts(lenient.take(table.column(column), frame.TEXT).column)
                self.slices.setdefault(column, []).append(texts[kept])

    @property
    def rows(self) -> int:
        return sum(map(len, self.ids))


@dataclass(frozen=True, slots=True)
class Observed:
    """All outcomes that are known: ids, values, which of these could be read, and when they were observed (seconds)."""

    ids: NDArray[Any]
    values: NDArray[Any]
    known: NDArray[np.float64] | None
    unread: int


def join(work: Work, windows: Sequence[Answered], question: Question) -> list[dict[str, Any]]:
    """Join the outcomes to the answers of each window and return what is said of it, with the file of its rows."""
    observed = _observed(work, question)
    return [_joined(work, item, observed) for item in windows]


def _observed(work: Work, question: Question) -> Observed:
    settings = work.settings["outcomes_from"]
    names = [settings[name] for name in ("join", "value", "observed") if settings[name]]
    with located(settings["uses"], settings["with"], Path(work.settings["root"])) as paths:
        found = [
            table.select(names) if set(names) <= set(table.column_names) else _refuse(table, names)
            for table in tables(Feed(paths, settings["with"]), names, Seen())
        ]
    table = pa.concat_tables(found, promote_options="permissive") if found else pa.table({name: [] for name in names})
    rules = work.settings["rules"]
    ids = lenient.take(table.column(settings["join"]), frame.TEXT).column
    values, fits = _values(table.column(settings["value"]), question)
    kept = fits & ids.is_valid().to_numpy()
    known = None
    if settings["observed"]:
        written = rules.get(settings["observed"], {}).get("format")
        times, dated = lenient.moments(table.column(settings["observed"]), written, work.settings["zone"])
        kept &= dated
        known = times[kept] / MICROS
    return Observed(_texts(ids)[kept], values[kept], known, int((~kept).sum()))


def _refuse(table: pa.Table, names: Sequence[str]) -> pa.Table:
    absent = ", ".join(name for name in names if name not in table.column_names)
    raise ContractError(
        f"the outcomes have no column {absent}", code="data.missing", help=("mend outcomes: in monitors.yaml",)
    )


def _values(column: pa.ChunkedArray, question: Question) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if question.task == "regression":
        numbers = lenient.take(column, frame.NUMBER).column.fill_null(float("nan"))
        values = np.array(numbers.to_numpy(), dtype=np.float64)
        return values, np.isfinite(values)
    places = scoring.labels(column, question)
    return places, places >= 0


def _joined(work: Work, item: Answered, observed: Observed) -> dict[str, Any]:
    until = work.settings["as_of"].get(item.window.name)
    ids = np.concatenate(item.ids) if item.ids else np.zeros(0, dtype=np.str_)
    found = match(
        ids, observed.ids, observed.known, None if until is None else datetime.fromisoformat(until).timestamp()
    )
    times = np.concatenate(item.times) if item.times else np.zeros(0, dtype=np.int64)
    told: dict[str, Any] = {
        "predictions": item.rows - found.repeated,
        "last": of_micros(int(times.max())).isoformat() if len(times) else None,
        "superseded": found.superseded,
        "repeated": found.repeated,
        "unread": observed.unread,
    }
    if not len(found.predictions):
        return told
    rows = found.predictions
    arrays = {
        "ids": ids[rows],
        "truth": observed.values[found.outcomes],
        "predicted": np.concatenate(item.answers)[rows],
        "days": _days(times[rows], work.settings["zone"]),
        **{f"slice.{name}": np.concatenate(parts)[rows] for name, parts in item.slices.items()},
    }
    if item.chances and all(part is not None for part in item.chances):
        arrays["probabilities"] = np.concatenate([part for part in item.chances if part is not None])[rows]
    path = Path(work.settings["scratch"]) / f"{item.window.name}.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return {**told, "file": path.name, "rows": _digest(arrays)}


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the digest of what a window of outcomes is judged from."""
    hashed = sha256()
    for name, values in sorted(arrays.items()):
        hashed.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        hashed.update(np.ascontiguousarray(values).tobytes())
    return hashed.hexdigest()


def _days(times: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Return the number of the day of each moment on the clocks of the zone."""
    import pyarrow.compute as pc

    moments = pa.array(times, pa.timestamp("us", "UTC"))
    local = pc.local_timestamp(moments.cast(pa.timestamp("us", str(ZoneInfo(zone)))))
    days: NDArray[np.int64] = local.cast(pa.date32(), safe=False).cast(pa.int32()).to_numpy().astype(np.int64)
    return days


def _texts(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.array(column.fill_null("(null)").to_pylist(), dtype=np.str_)
