"""From an Arrow table to the arrays that estimators take: the same way in training, evaluation and serving.

Numbers, booleans, dates (days since 1970) and timestamps (seconds since 1970, UTC) become float64 with NaN for nulls.
Where a feature is text the whole array is of objects, with None for a null text. No pandas anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.errors import ContractError

NUMBER, BOOLEAN, TEXT, DATE, TIMESTAMP = "number", "boolean", "text", "date", "timestamp"
_EXACT = 2**53
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be predicted. `values` holds one label for each True in `known`, which has one entry a row.

    `classes` are the sorted labels as JSON values, empty for a regression; `dropped` counts rows without a label.
    """

    values: NDArray[Any]
    known: NDArray[np.bool_]
    classes: tuple[Any, ...]
    dropped: int


def kind_of(column: pa.ChunkedArray, name: str) -> str:
    """Return the kind of a column; raises ContractError for one that no estimator can take."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return BOOLEAN
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return NUMBER
    if _is_text(kind):
        return TEXT
    if pa.types.is_date(kind):
        return DATE
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    raise ContractError(f"column {name} is of type {kind}, which cannot be a feature")


def kinds_of(table: pa.Table, features: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of the features, in their order; raises ContractError where one is missing."""
    missing = [name for name in features if name not in table.column_names]
    if missing:
        raise ContractError(f"the table has no column {', '.join(missing)}")
    return tuple(kind_of(table.column(name), name) for name in features)


def matrix(table: pa.Table, features: Sequence[str], kinds: Sequence[str] | None = None) -> NDArray[Any]:
    """Return the features as one array, a row a row and a column a feature.

    `kinds` are those of the training; a column that now has another raises ContractError. One that holds nulls
    alone is taken for any kind.
    """
    found = kinds_of(table, features)
    expected = found if kinds is None else tuple(kinds)
    for name, now, before in zip(features, found, expected, strict=True):
        if now != before and not pa.types.is_null(table.column(name).type):
            raise ContractError(f"column {name} is {now}, the model was trained on {before}")
    values = np.empty((table.num_rows, len(features)), dtype=object if TEXT in expected else np.float64)
    for place, (name, kind) in enumerate(zip(features, expected, strict=True)):
        column = table.column(name)
        values[:, place] = _texts(column) if kind == TEXT else floats(column, kind)
    return values


def target(table: pa.Table, column: str, task: str) -> Target:
    """Return the target of `table`: sorted classes of texts, booleans or integers, or float64 for a regression.

    Rows without a label are left out and counted. Raises ContractError where the column does not suit the task.
    """
    kind = kinds_of(table, (column,))[0]
    values = table.column(column)
    known = ~_nulls(values)
    labels = values.filter(pa.array(known))
    if len(labels) == 0:
        raise ContractError(f"target {column} has no value in {table.num_rows:,} rows")
    dropped = int((~known).sum())
    if task == "regression":
        if kind not in {NUMBER, BOOLEAN}:
            raise ContractError(f"target {column} is {kind}: a regression needs numbers")
        return Target(_finite(floats(labels, kind), column), known, (), dropped)
    array = _labels(labels, kind, column)
    return Target(array, known, tuple(np.unique(array).tolist()), dropped)


def floats(column: pa.ChunkedArray, kind: str) -> NDArray[np.float64]:
    """Return a column of this kind as float64, NaN for nulls; its Arrow type must suit the kind."""
    scale = 1.0
    if pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    if kind == DATE and pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif kind == TIMESTAMP and pa.types.is_timestamp(column.type):
        scale = _UNITS[column.type.unit]
        column = column.cast(pa.int64())
    missing = column.is_null().to_numpy()
    filled = column.cast(pa.float64(), safe=False).fill_null(0.0)
    numbers: NDArray[np.float64] = np.array(filled.to_numpy(), dtype=np.float64) / scale
    numbers[missing] = np.nan
    return numbers


def text_of(value: Any) -> str:
    """Return a value as it is shown: `true`, `3`, `3.5`, `(null)`."""
    if value is None:
        return "(null)"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    values: list[str | None] = column.to_pylist()
    return values


def _nulls(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    nulls: NDArray[np.bool_] = column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy()
    return nulls


def _finite(numbers: NDArray[np.float64], column: str) -> NDArray[np.float64]:
    infinite = int((~np.isfinite(numbers)).sum())
    if infinite:
        raise ContractError(f"target {column} is infinite in {infinite:,} of {len(numbers):,} rows")
    return numbers


def _labels(labels: pa.ChunkedArray, kind: str, column: str) -> NDArray[Any]:
    if kind == TEXT:
        return np.array(_texts(labels), dtype=np.str_)
    if kind == BOOLEAN:
        return np.array(labels.to_numpy(), dtype=np.bool_)
    if kind != NUMBER:
        raise ContractError(f"target {column} is a {kind}: a classification needs texts, booleans or integers")
    if pa.types.is_integer(labels.type):
        return np.array(labels.to_numpy(), dtype=np.int64)
    numbers = _finite(floats(labels, kind), column)
    if (numbers != np.floor(numbers)).any() or (np.abs(numbers) > _EXACT).any():
        distinct = pc.count_distinct(labels).as_py()
        message = (
            f"target {column} holds {distinct:,} distinct fractions: a classification needs texts, booleans or integers"
        )
        raise ContractError(message, help=("task: regression   in model.yaml",))
    return numbers.astype(np.int64)
