"""The logical digest, format 1: what a table says, whatever wrote it.

Two tables have the same digest exactly where they have the same rows in the same order, in columns of the same
names and kinds. Chunks, dictionaries, integer widths, column order, metadata and the file format do not count;
NaN and null are different values. docs/ledger-format.md holds the definition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from custody.errors import ContractError

FORMAT = 1
BLOCK = 65_536
"""Rows hashed together, counted from the first row of the table."""

_MICROSECOND = 1_000


def column_digest(column: pa.ChunkedArray, name: str = "column") -> tuple[str, str]:
    """Return (kind, digest) of one column; raises ContractError for a type that format 1 does not know."""
    kind, canonical = canonical_column(column, name)
    hasher = hashlib.sha256()
    for start in range(0, len(canonical), BLOCK):
        hasher.update(_block_digest(kind, _joined(canonical.slice(start, BLOCK))))
    return kind, hasher.hexdigest()


def column_digests(table: pa.Table) -> dict[str, tuple[str, str]]:
    """Return {name: (kind, digest)} of all columns, in the table's order."""
    return {name: column_digest(table.column(name), name) for name in table.column_names}


def table_digest(rows: int, columns: Mapping[str, tuple[str, str]]) -> str:
    """Return the digest of a table with `rows` rows, given (kind, digest) of each column."""
    described = sorted([name, kind, digest] for name, (kind, digest) in columns.items())
    value = {"format": FORMAT, "rows": rows, "columns": described}
    return hashlib.sha256(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def logical_digest(table: pa.Table) -> str:
    """Return the logical digest of `table`; raises ContractError for a type that format 1 does not know."""
    return table_digest(table.num_rows, column_digests(table))


def canonical_column(column: pa.ChunkedArray, name: str) -> tuple[str, pa.ChunkedArray]:
    """Return the column's kind and its values in the one Arrow type of that kind."""
    column = _decoded(column)
    kind = column.type
    result: tuple[str, pa.ChunkedArray]
    if pa.types.is_integer(kind):
        result = _integers(column)
    elif pa.types.is_floating(kind):
        result = "number", column.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        result = "boolean", column
    elif pa.types.is_date(kind):
        result = "date", column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    elif pa.types.is_timestamp(kind):
        result = _timestamps(column)
    elif pa.types.is_time(kind):
        result = "time.ns", column.cast(pa.time64("ns")).cast(pa.int64())
    elif pa.types.is_decimal(kind):
        result = f"decimal.{kind.scale}", column.cast(pa.decimal128(38, kind.scale))
    elif _is_text(kind):
        result = "string", column.cast(pa.large_string())
    elif _is_binary(kind):
        result = "binary", column.cast(pa.large_binary())
    else:
        raise ContractError(f"column {name} has the type {kind}, which custody does not store")
    return result


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    while pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks)


def _is_binary(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def _integers(column: pa.ChunkedArray) -> tuple[str, pa.ChunkedArray]:
    if pa.types.is_uint64(column.type) and (pc.max(column).as_py() or 0) >= 2**63:
        return "integer+", column
    return "integer", column.cast(pa.int64())


def _timestamps(column: pa.ChunkedArray) -> tuple[str, pa.ChunkedArray]:
    kind = "timestamp" if column.type.tz is None else "instant"
    unit = column.type.unit
    if unit == "ns":
        nanoseconds = column.cast(pa.int64())
        whole = pc.multiply(pc.divide(nanoseconds, _MICROSECOND), _MICROSECOND)
        if pc.all(pc.equal(whole, nanoseconds)).as_py() is False:
            return f"{kind}.ns", nanoseconds
    return kind, column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())


def _joined(column: pa.ChunkedArray) -> Any:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _block_digest(kind: str, block: Any) -> bytes:
    valid = np.ascontiguousarray(pc.is_valid(block).to_numpy(zero_copy_only=False).astype(np.uint8))
    hasher = hashlib.sha256(valid.data)
    if kind in {"string", "binary"}:
        _hash_texts(hasher, block)
    else:
        hasher.update(_fixed(kind, block))
    return hasher.digest()


def _hash_texts(hasher: Any, block: Any) -> None:
    """Lengths of all values (0 for null) as int64, then their bytes."""
    filled = pc.fill_null(block, "" if pa.types.is_large_string(block.type) else b"")
    lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8")
    hasher.update(lengths.tobytes())
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
    data = filled.buffers()[2]
    if data is not None and len(offsets):
        hasher.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])


def _fixed(kind: str, block: Any) -> bytes:
    if kind.startswith("decimal."):
        return _decimals(block)
    values = pc.fill_null(block, fill_value=False if kind == "boolean" else 0).to_numpy(zero_copy_only=False)
    if kind == "number":
        values = values.astype("<f8") + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan
        return bytes(values.tobytes())
    width = {"boolean": "u1", "integer+": "<u8"}.get(kind, "<i8")
    return bytes(values.astype(width).tobytes())


def _decimals(block: Any) -> bytes:
    width = 16
    data = np.frombuffer(block.buffers()[1], dtype=np.uint8).reshape(-1, width)
    values = data[block.offset : block.offset + len(block)].copy()
    values[~pc.is_valid(block).to_numpy(zero_copy_only=False)] = 0
    return values.tobytes()
