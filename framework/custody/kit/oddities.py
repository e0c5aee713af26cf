"""What looks odd in a table but breaks no rule: constant columns, duplicate rows, numbers that stand for "unknown".

Each is a warning in words, so a false alarm costs trust: every rule asks for more than one sign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_SENTINELS = (-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999)
_LEAST_ROWS = 50
_LEAST_VALUES = 10
"""A column of fewer distinct values is a code: -1, 0 and 9 may all mean something."""
_LEAST_SHARE = 0.002
_LEAST_COUNT = 3
_CHANCE = 10
"""How many times more combinations of values than pairs of rows there must be before equal rows are no accident."""


def warnings_of(table: pa.Table, key: str | None, hidden: Collection[str] = ()) -> tuple[str, ...]:
    """Return warnings about `table`; values of `hidden` columns are not shown."""
    if table.num_rows < 2:  # noqa: PLR2004
        return ()
    return (*_constants(table, hidden), *_duplicates(table, key), *_sentinels(table, key, hidden))


def _constants(table: pa.Table, hidden: Collection[str]) -> Iterator[str]:
    for name in table.column_names:
        column = table.column(name)
        if column.null_count == len(column):
            yield f"{name} is null in every row"
        elif column.null_count == 0 and pc.count_distinct(column).as_py() == 1:
            value = "" if name in hidden else f" ({str(column[0].as_py())[:40]})"
            yield f"{name} has one value in all rows{value}"


def _duplicates(table: pa.Table, key: str | None) -> Iterator[str]:
    compared = [name for name in table.column_names if name != key]
    if not compared:
        return
    codes = np.column_stack([_codes(table.column(name)) for name in compared])
    combinations = float(np.prod([len(np.unique(column)) for column in codes.T], dtype=np.float64))
    if combinations < _CHANCE * float(table.num_rows) ** 2:
        return
    repeated = table.num_rows - len(np.unique(codes, axis=0))
    if repeated:
        apart = f", apart from {key}," if key in table.column_names else ""
        yield f"{repeated:,} of {table.num_rows:,} rows{apart} are the same as an earlier row"


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    indices = column.combine_chunks().dictionary_encode(null_encoding="encode").indices
    codes: NDArray[np.int64] = indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _sentinels(table: pa.Table, key: str | None, hidden: Collection[str]) -> Iterator[str]:
    for name in table.column_names:
        column = table.column(name)
        if name == key or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        numbers = column.drop_null().cast(pa.float64(), safe=False).to_numpy()
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers) < _LEAST_ROWS:
            continue
        for value in (numbers.min(), numbers.max()):
            count = int((numbers == value).sum())
            if count >= max(_LEAST_COUNT, _LEAST_SHARE * len(numbers)) and _stands_apart(numbers, float(value), count):
                shown = "its extreme value" if name in hidden else f"{value:g}"
                yield f"{name} is {shown} in {count:,} rows, far from all others: does it stand for a missing value?"


def _stands_apart(numbers: NDArray[np.float64], value: float, count: int) -> bool:
    """Whether an extreme value that is often written for "unknown" is unlike the rest of its column."""
    rest = numbers[numbers != value]
    if len(rest) < _LEAST_ROWS or len(np.unique(rest)) < _LEAST_VALUES:
        return False
    low, high = rest.min(), rest.max()
    gap = low - value if value < low else value - high
    first, third = np.percentile(rest, [25, 75])
    if value == 0:
        return bool(low > 0 and third > first and 2 * gap >= 3 * (third - first))
    if value not in _SENTINELS:
        return False
    if value == -1:
        nearest = int((rest == low).sum())
        return bool(low >= 0 and count >= 3 * nearest)
    return bool((low >= 0 or value > 0) and gap >= 2 * (third - first) and gap >= (high - low) / 2)
