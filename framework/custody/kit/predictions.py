"""Predictions as a table, the same however they were made: what sealed batches hold, and what is written for users."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.core.merkle import canonical_row, leaf, root
from custody.core.predictions import (
    ID,
    KEY,
    PREDICTION,
    PROBABILITY,
    RANDOM,
    TIME,
    batch_id,
    feature_column,
    moment,
    prediction_id,
    sketch,
)
from custody.domain.batch import Batch
from custody.domain.serving import Promoted
from custody.errors import ContractError
from custody.kit.evaluation import Question, predict
from custody.kit.frame import BOOLEAN, DATE, NUMBER, TEXT, TIMESTAMP, text_of
from custody.kit.metrics import Predictions

_TIME = pa.timestamp("us", "UTC")
_TYPES = {
    NUMBER: ("number", pa.float64()),
    BOOLEAN: ("boolean", pa.bool_()),
    TEXT: ("string", pa.string()),
    DATE: ("date", pa.date32()),
    TIMESTAMP: ("timestamp", pa.timestamp("us")),
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """The rows of one batch, all of one month, and what its record says of them."""

    table: pa.Table
    batch: Batch


def contract_of(promoted: Promoted, formats: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what each feature must be, as connectors and `conform` take it; `formats` are how times are written."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in zip(promoted.features, promoted.kinds, strict=True):
        found[name] = {"type": _TYPES[kind][0], **({"format": formats[name]} if name in formats else {})}
    return found


def arrow_type(kind: str) -> pa.DataType:
    """Return the type of a column of this kind in a batch."""
    return _TYPES[kind][1]


def score(estimator: Any, values: NDArray[Any], promoted: Promoted) -> Predictions:
    """Return what the model answers for `values`; raises ContractError for an answer that is none."""
    from sklearn.pipeline import Pipeline

    question = Question(promoted.task, promoted.classes, promoted.positive, ())
    if type(estimator) is Pipeline and len(estimator) > 1:
        # what the pipeline would do for the classes, and do again for their probabilities
        estimator, values = estimator[-1], estimator[:-1].transform(values)
    return predict(estimator, values, np.zeros(len(values)), question)


def new_ids(times: Sequence[int]) -> list[str]:
    """Return a new id for each of the times, in microseconds since 1970."""
    random = os.urandom(RANDOM * len(times))
    return [prediction_id(time, random[RANDOM * place : RANDOM * (place + 1)]) for place, time in enumerate(times)]


def answers(promoted: Promoted, ids: Sequence[str], times: Any, key: Any, found: Predictions) -> pa.Table:
    """Return the part of a batch that is told to users: id, time, key, prediction and probabilities.

    `times` are in microseconds since 1970; `key` is a column or None.
    """
    columns: dict[str, Any] = {ID: pa.array(ids, pa.string()), TIME: pa.array(times, pa.int64()).cast(_TIME)}
    if key is not None:
        columns[KEY] = key
    columns[PREDICTION] = pa.array(found.predicted.tolist())
    if found.probabilities is not None:
        for place, label in enumerate(promoted.classes):
            values = np.ascontiguousarray(found.probabilities[:, place])
            columns[f"{PROBABILITY}{text_of(label)}"] = pa.array(values)
    return pa.table(columns)


def with_features(told: pa.Table, features: pa.Table, promoted: Promoted) -> pa.Table:
    """Return a batch: what is told, then the features as far as they may be kept."""
    for name in promoted.kept:
        told = told.append_column(feature_column(name), features.column(name))
    return told


def seal(table: pa.Table, promoted: Promoted, source: str) -> Iterator[Sealed]:
    """Yield the batches that `table` makes, one for each month of its rows, in the order of time and then of rows.

    Raises ContractError where an id or a time is missing, or an id occurs twice.
    """
    _refuse(table)
    table = table.take(pc.sort_indices(table, sort_keys=[(TIME, "ascending"), (ID, "ascending")]))
    months = pc.strftime(table.column(TIME), format="%Y-%m")
    for month in pc.unique(months).to_pylist():
        part = table.filter(pc.equal(months, month)).combine_chunks()
        yield Sealed(part, _batch(part, promoted, source))


def leaves_of(table: pa.Table) -> list[bytes]:
    """Return the Merkle leaf of each row of a batch."""
    return [leaf(canonical_row(row)) for batch in table.to_batches(max_chunksize=10_000) for row in batch.to_pylist()]


def _batch(table: pa.Table, promoted: Promoted, source: str) -> Batch:
    times = table.column(TIME).cast(pa.int64())
    first, last = (moment(times[place].as_py()) for place in (0, len(times) - 1))
    top = root(leaves_of(table))
    return Batch(
        id=batch_id(promoted.model, promoted.run, top),
        model=promoted.model,
        run=promoted.run,
        version=promoted.version,
        artifact=promoted.artifact,
        rows=table.num_rows,
        first=first,
        last=last,
        content="",
        root=top,
        source=source,
        counts=sketch(promoted.task, table.column(PREDICTION).to_pylist()),
        dataset=promoted.dataset,
        classification=promoted.classification,
    )


def _refuse(table: pa.Table) -> None:
    for name in (ID, TIME, PREDICTION):
        if nulls := table.column(name).null_count:
            raise ContractError(f"{nulls:,} of {table.num_rows:,} predictions have no {name}", code="data.null")
    names = table.column(ID)
    if pc.count_distinct(names).as_py() != len(names):
        counted = pc.value_counts(names)
        double = counted.filter(pc.greater(counted.field("counts"), 1))[0]
        raise ContractError(f"the id {double['values'].as_py()!r} occurs twice", code="data.key")


def row_of(table: pa.Table, name: str) -> tuple[int, dict[str, Any]] | None:
    """Return the place and the values of the row with this id in a batch; None where it has none."""
    place = pc.index(table.column(ID), name).as_py()
    return None if place < 0 else (place, table.slice(place, 1).to_pylist()[0])
