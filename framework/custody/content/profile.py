"""The profile of a table: what a manifest says of each column, small enough to be read in a review.

Personal columns are not in a stored table, so nothing is said of them here. Of sensitive columns with many values
no value is shown.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from custody.content.logical import column_digests

DIGEST_ROWS = 100
"""Below so many rows a column's digest would tell its values to whoever tries them all."""
LOW = 20
"""The most distinct values a column may have for its commonest to be listed."""
TOP = 10
_DIGITS = 12
"""Significant digits of a mean; it is summed exactly, so that the order of rows does not show."""


def profile(
    table: pa.Table,
    *,
    sensitive: Collection[str] = (),
    digests: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return {column: {kind, digest, nulls, distinct, min, max, mean, top}} in the table's order.

    `digest` is absent in tables of fewer than 100 rows, the others where they make no sense for the kind.
    `digests` are (kind, digest) by column where they are known already.
    """
    known = digests or column_digests(table)
    return {
        name: _column(table.column(name), *known[name], rows=table.num_rows, sensitive=name in sensitive)
        for name in table.column_names
    }


def _column(column: pa.ChunkedArray, kind: str, digest: str, *, rows: int, sensitive: bool) -> dict[str, Any]:
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    found: dict[str, Any] = {"kind": kind}
    if rows >= DIGEST_ROWS:
        found["digest"] = digest
    found |= {"nulls": column.null_count, "distinct": distinct}
    low = 0 < distinct <= LOW and distinct * 2 <= rows
    if kind.split(".", maxsplit=1)[0] in {"integer", "integer+", "number", "date", "timestamp", "instant"}:
        found |= _range(column, kind, shown=low or not sensitive)
    if low and kind in {"string", "boolean", "integer"}:
        found["top"] = _top(column)
    return found


def _range(column: pa.ChunkedArray, kind: str, *, shown: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if column.null_count == len(column):
        return found
    if shown:
        bounds = pc.min_max(column)
        found = {"min": _shown(bounds["min"]), "max": _shown(bounds["max"])}
    if kind in {"integer", "number"}:
        found["mean"] = _mean(column)
    return {name: value for name, value in found.items() if not isinstance(value, float) or math.isfinite(value)}


def _mean(column: pa.ChunkedArray) -> float:
    """Return the mean of what is not null; NaN where the sum is beyond a float."""
    values = pc.drop_null(column).cast(pa.float64(), safe=False).to_numpy()
    try:
        return float(f"{math.fsum(values) / len(values):.{_DIGITS}g}")
    except (OverflowError, ValueError):
        return math.nan


def _shown(value: pa.Scalar) -> Any:
    if pa.types.is_temporal(value.type):
        return value.cast(pa.string()).as_py()
    plain = value.as_py()
    return plain + 0.0 if isinstance(plain, float) else plain


def _top(column: pa.ChunkedArray) -> dict[str, int]:
    """The commonest values and their counts, commonest first, ties in order of their text."""
    counts = pc.value_counts(pc.drop_null(column))
    pairs = [(_text(item["values"].as_py()), item["counts"].as_py()) for item in counts]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:TOP])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
