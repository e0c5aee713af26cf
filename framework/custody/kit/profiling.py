"""From an Arrow table to a profile: the cells of a reference's columns, and how many rows of a window fall into each.

Integers in, integers out: the order of rows and the chunks of the table do not show. Of hidden columns nothing is
counted but nulls. A column that arrives as text where the reference has numbers is read as numbers, as far as it goes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.core.profiles import edges_digest
from custody.domain.monitoring import Counts, Edges, Profile
from custody.kit.frame import BOOLEAN, DATE, NUMBER, TEXT, TIMESTAMP, floats, text_of

CELLS = 10
SHARE = 0.01
"""The least share of the reference that gives a category a cell of its own."""
CATEGORIES, LISTED, LONGEST = 20, 100, 64
"""The most categories with a cell, the most that are listed at all, and the longest that is."""
MARGIN = 0.1
"""How far outside the reference's range a value is counted as below or above it, as a part of the range."""
_DIGITS = 9
"""Significant digits of a window's least and greatest number."""
_EDGE_DIGITS = 6
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def edges_of(
    table: pa.Table,
    columns: Sequence[str],
    kinds: Sequence[str],
    hidden: Collection[str] = (),
    declared: Mapping[str, Sequence[object]] | None = None,
) -> dict[str, Edges]:
    """Return the cells of each column: tenths of its numbers, or its commonest categories, in the order of `columns`.

    `kinds` are those of `kit/frame.py`, `declared` the categories that the dataset allows: none of them is new. Of
    `hidden` columns (personal, or sensitive with many values) no value is kept: they have one cell. Raises KeyError for
    a column that the table lacks.
    """
    found = {}
    for name, kind in zip(columns, kinds, strict=True):
        column = _column(table, name)
        if name in hidden:
            found[name] = Edges(kind=kind, hidden=True, values=() if kind == TEXT else None)
        elif kind == TEXT:
            allowed = {text_of(value) for value in (declared or {}).get(name, ())}
            found[name] = _categories(_values(column), allowed)
        else:
            found[name] = _cells(_read(column, kind)[0], kind)
    return found


def profile_of(table: pa.Table, edges: Mapping[str, Edges]) -> Profile:
    """Return the counts of the table's rows over `edges`.

    The table should hold the columns that are expected and no others: the rest are named as unknown. One that is not
    there counts as null in each row.
    """
    names = table.column_names
    counts = {name: _count(_column(table, name), item) for name, item in edges.items() if name in names}
    absent = {name: Counts((0,) * item.cells, table.num_rows) for name, item in edges.items() if name not in names}
    columns = {name: counts.get(name) or absent[name] for name in edges}
    unknown = tuple(sorted(set(names) - edges.keys()))
    return Profile(edges_digest(edges), table.num_rows, columns, tuple(absent), unknown)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column with plain values, the first where a name comes twice; raises KeyError where there is none."""
    column = table.column(table.column_names.index(name)) if name in table.column_names else table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _cells(values: NDArray[np.float64], kind: str) -> Edges:
    distinct, numbers = np.unique(values[np.isfinite(values)], return_counts=True)
    if not len(distinct):
        return Edges(kind=kind)
    if len(distinct) > CELLS:
        reached = np.cumsum(numbers)
        tenths = np.searchsorted(reached, np.ceil(np.arange(1, CELLS) * reached[-1] / CELLS))
        edges = _rounded([edge for edge in distinct[np.unique(tenths)].tolist() if edge < distinct[-1]], kind)
    else:
        edges = distinct[:-1].tolist()
    commonest = int(np.argmax(numbers))
    mode = float(distinct[commonest]) if numbers[commonest] >= SHARE * numbers.sum() else None
    edges = edges or distinct[:-1][-1:].tolist()
    return Edges(tuple(edges), low=float(distinct[0]), high=float(distinct[-1]), mode=mode, kind=kind)


def _rounded(edges: list[float], kind: str) -> list[float]:
    """Return edges of many values with fewer digits, where they stay as many."""
    short = [float(f"{edge:.{_EDGE_DIGITS}g}") for edge in edges]
    return short if kind == NUMBER and len(set(short)) == len(edges) else edges


def _categories(values: Mapping[str | None, int], allowed: Collection[str]) -> Edges:
    known = {value: number for value, number in values.items() if value is not None}
    least = SHARE * sum(known.values())
    ranked = sorted(known, key=lambda value: (-known[value], value))
    chosen = [value for value in ranked if known[value] >= least and len(value) <= LONGEST][:CATEGORIES]
    rest = sorted({*known, *allowed} - set(chosen))
    listed = len(known) <= max(LISTED, len(allowed)) and all(len(value) <= LONGEST for value in rest)
    mode = chosen[0] if chosen else None
    return Edges(values=tuple(chosen), kind=TEXT, mode=mode, others=tuple(rest) if listed else None)


def _count(column: pa.ChunkedArray, edges: Edges) -> Counts:
    if edges.hidden:
        nulls = int(column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy().sum())
        return Counts((len(column) - nulls,), nulls)
    return _count_categories(column, edges) if edges.kind == TEXT else _count_numbers(column, edges)


def _count_categories(column: pa.ChunkedArray, edges: Edges) -> Counts:
    nulls = int(column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy().sum())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return Counts((0,) * edges.cells, nulls, text=len(column) - nulls)
    values, others = edges.values or (), edges.others or ()
    found = _places(column, (*values, *others))
    unknown = len(column) - nulls - int(found.sum())
    rest = int(found[len(values) :].sum()) + (unknown if edges.others is None else 0)
    mode = int(found[values.index(edges.mode)]) if isinstance(edges.mode, str) else 0
    cells = (*found[: len(values)].tolist(), rest)
    return Counts(cells, nulls, 0 if edges.others is None else unknown, mode=mode)


def _places(column: pa.ChunkedArray, values: Sequence[str]) -> NDArray[np.int64]:
    """Return how often each of `values` occurs in the column, as text."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        listed = pa.array(values, column.type)
        places = pc.index_in(column, value_set=listed).fill_null(len(values)).to_numpy()
        return np.bincount(places, minlength=len(values) + 1)[: len(values)]
    counted = _values(column)
    return np.array([counted.get(value, 0) for value in values], dtype=np.int64)


def _count_numbers(column: pa.ChunkedArray, edges: Edges) -> Counts:
    values, text = _read(column, edges.kind)
    known = values[~np.isnan(values)]
    cells = np.bincount(np.searchsorted(edges.edges, known), minlength=edges.cells)
    below = above = 0
    if edges.low is not None and edges.high is not None:
        margin = MARGIN * (edges.high - edges.low)
        below, above = int((known < edges.low - margin).sum()), int((known > edges.high + margin).sum())
    mode = int((known == edges.mode).sum()) if edges.mode is not None else 0
    shown = len(known) and edges.kind != BOOLEAN
    bounds = (_short(known.min(), edges.kind), _short(known.max(), edges.kind)) if shown else (None, None)
    return Counts(tuple(cells.tolist()), len(values) - len(known) - text, 0, text, below, above, mode, *bounds)


def _short(number: float, kind: str) -> float:
    return float(number if kind != NUMBER else f"{number:.{_DIGITS}g}") + 0.0


def _values(column: pa.ChunkedArray) -> dict[str | None, int]:
    """Return how often each value occurs, as text; a null as None."""
    found: dict[str | None, int] = {}
    for item in pc.value_counts(column).to_pylist():
        value = item["values"]
        text = None if value is None or value != value else text_of(value)  # noqa: PLR0124 - NaN
        found[text] = found.get(text, 0) + item["counts"]
    return found


def _read(column: pa.ChunkedArray, kind: str) -> tuple[NDArray[np.float64], int]:
    """Return the column as numbers of this kind, NaN where there are none, and how many values are none."""
    if _suits(column.type, kind):
        return floats(column, kind), 0
    known = len(column) - int(column.null_count)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.full(len(column), np.nan), known
    encoded = column.combine_chunks().dictionary_encode()
    read = [_number_in(text, kind) for text in encoded.dictionary.to_pylist()]
    numbers = np.array([np.nan if number is None else number for number in read] + [np.nan])
    failed = np.array([number is None for number in read] + [False])
    places = encoded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    return numbers[places], int(failed[places].sum())


def _suits(found: pa.DataType, kind: str) -> bool:
    if pa.types.is_null(found):
        return True
    if kind == DATE:
        return bool(pa.types.is_date(found))
    if kind == TIMESTAMP:
        return bool(pa.types.is_timestamp(found))
    numeric = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    return bool(numeric or pa.types.is_boolean(found))


def _number_in(text: str, kind: str) -> float | None:
    """Return the number that a text holds, NaN for an empty one, None where it is none of this kind."""
    if not text:
        return math.nan
    try:
        match kind:
            case "boolean":
                return {"true": 1.0, "false": 0.0}.get(text.lower())
            case "date":
                return float(date.fromisoformat(text).toordinal() - _EPOCH) if _DAY.fullmatch(text) else None
            case "timestamp":
                return _moment(datetime.fromisoformat(text)) if _DAY.match(text) else None
            case _:
                return float(text) if _NUMBER.fullmatch(text) else None
    except ValueError:
        return None


def _moment(found: datetime) -> float:
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
