"""Predictions that another server made: checked against what the model can answer, and told from those kept already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from custody.core.merkle import canonical_row
from custody.core.predictions import ID, KEY, PREDICTION, PROBABILITY, TIME, feature_column
from custody.domain.serving import Promoted
from custody.errors import ContractError
from custody.kit import conversion
from custody.kit.frame import text_of
from custody.kit.predictions import contract_of
from custody.kit.rows import micros

_SHOWN = 3
_LONGEST = 200
"""Characters of an id."""


def of_version(table: pa.Table, column: str | None, name: str) -> pa.Table:
    """Return the rows of a log that name this version or run; all of them where no column does."""
    return table if column is None else table.filter(pc.equal(table.column(column), name))


def logged(table: pa.Table, promoted: Promoted, shown: str, timezone: str) -> pa.Table:
    """Return a log as the table of a batch: id, time, key, prediction, probabilities and those features that it holds.

    All other columns are left out. Raises ContractError for ids, predictions and probabilities that cannot be, and for
    features of another kind.
    """
    columns: dict[str, Any] = {
        ID: _ids(table.column(ID), shown),
        TIME: micros(table.column(TIME), TIME, timezone).cast(pa.timestamp("us", "UTC")),
    }
    keys = [name for name in (promoted.key, KEY) if name and name not in columns and name in table.column_names]
    if promoted.key and keys:
        columns[KEY] = table.column(keys[0])
    columns[PREDICTION] = _predictions(table.column(PREDICTION), promoted, shown)
    for label in promoted.classes:
        name = f"{PROBABILITY}{text_of(label)}"
        if name in table.column_names:
            columns[name] = _probabilities(table.column(name), name, shown)
    for name, rules in contract_of(promoted, {}).items():
        found = next((item for item in (feature_column(name), name) if item in table.column_names), None)
        if found is not None and name in promoted.kept and not (found == name and name in columns):
            columns[feature_column(name)] = _converted(table.column(found), rules["type"], name, shown)
    return pa.table(columns)


class Known:
    """Predictions that are kept already. `met` counts those of them that were given again."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._tables = tuple(tables)
        self.met = 0

    def without(self, table: pa.Table) -> pa.Table:
        """Return the rows that are not kept yet. Raises ContractError where one is kept with other values."""
        for known in self._tables:
            again = pc.is_in(table.column(ID), known.column(ID))
            rows = {row[ID]: row for row in table.filter(again).to_pylist()}
            for before in known.filter(pc.is_in(known.column(ID), table.column(ID))).to_pylist():
                if canonical_row(before) != canonical_row(rows[before[ID]]):
                    message = f"the prediction {before[ID]!r} is recorded already, with other values"
                    raise ContractError(message, code="data.key", help=(f"custody explain {before[ID]}",))
            self.met += len(rows)
            table = table.filter(pc.invert(again))
        return table


def _ids(column: pa.ChunkedArray, shown: str) -> pa.ChunkedArray:
    ids = _converted(column, "string", ID, shown)
    if ids.null_count:
        raise ContractError(f"{ids.null_count:,} rows of {shown} have no {ID}", code="data.null")
    long = ids.filter(pc.greater(pc.utf8_length(ids), _LONGEST))
    if len(long) or pc.any(pc.equal(ids, "")).as_py():
        raise ContractError(f"{shown} has ids that are empty or have over {_LONGEST} characters", code="data.key")
    counted = pc.value_counts(ids)
    doubles = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(doubles):
        some = ", ".join(repr(item["values"].as_py()) for item in doubles[:_SHOWN])
        message = f"{shown}: {len(doubles):,} ids occur more than once, such as {some}"
        raise ContractError(message, code="data.key", help=("remove the doubles",))
    return ids


def _predictions(column: pa.ChunkedArray, promoted: Promoted, shown: str) -> pa.ChunkedArray:
    if column.null_count:
        raise ContractError(f"{column.null_count:,} rows of {shown} have no {PREDICTION}", code="data.null")
    if promoted.task == "regression":
        return _converted(column, "number", PREDICTION, shown)
    kind = _KINDS[type(promoted.classes[0])]
    values = _converted(column, kind, PREDICTION, shown)
    strange = [value for value in pc.unique(values).to_pylist() if value not in promoted.classes]
    if strange:
        classes = ", ".join(map(text_of, promoted.classes[:20]))
        some = ", ".join(map(text_of, strange[:_SHOWN]))
        raise ContractError(f"{shown} predicts {some}: {promoted.model} {promoted.version} knows {classes}")
    return values


def _probabilities(column: pa.ChunkedArray, name: str, shown: str) -> pa.ChunkedArray:
    values = _converted(column, "number", name, shown)
    if values.null_count or not all(math.isfinite(value) and 0 <= value <= 1 for value in _bounds(values)):
        raise ContractError(f"{shown}: {name} must be from 0 to 1 in every row")
    return values


def _bounds(values: pa.ChunkedArray) -> Sequence[float]:
    found = pc.min_max(values)
    return found["min"].as_py(), found["max"].as_py()


def _converted(column: pa.ChunkedArray, kind: str, name: str, shown: str) -> pa.ChunkedArray:
    try:
        return conversion.convert(column, kind, nan_is_null=True)
    except conversion.ConversionError as fault:
        fault.name = name
        raise ContractError(f"{shown} cannot be taken: {fault.line()}", code="data.type") from fault


_KINDS: Mapping[type, str] = {bool: "boolean", int: "integer", str: "string"}
