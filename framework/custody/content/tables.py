"""Tables at rest: the one place that writes and reads Parquet.

The bytes depend on the values, their order and the version of pyarrow alone: not on chunks, dictionaries or
metadata of the table that is written. Rows stand in the order of the table, which ingest has sorted by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from custody.errors import ContractError, StoreError

ROW_GROUP = 65_536
_PAGE = 1 << 20
_LEVEL = 3
_REPEATED = 100
"""A text column is written with a dictionary where its values repeat at least so often on average."""


def to_parquet(table: pa.Table) -> bytes:
    """Return `table` as canonical Parquet bytes."""
    plain = pa.table({name: _plain(table.column(name)) for name in table.column_names})
    dictionaries = [name for name in plain.column_names if _repeats(plain.column(name))]
    sink = pa.BufferOutputStream()
    pq.write_table(
        plain,
        sink,
        version="2.6",
        compression="zstd",
        compression_level=_LEVEL,
        row_group_size=ROW_GROUP,
        data_page_size=_PAGE,
        use_dictionary=dictionaries,
        column_encoding=_encodings(plain, dictionaries) or None,
        store_schema=False,
        write_statistics=True,
    )
    return bytes(sink.getvalue())


def read_table(source: bytes | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a stored table, or the named columns of it, in the order named.

    Raises ContractError where a column is not there, StoreError where the bytes are no Parquet file.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source) as file:
            there = file.schema_arrow.names
            missing = [name for name in columns or () if name not in there]
            if missing:
                raise ContractError(f"the table has no column {', '.join(missing)}; it has {', '.join(there)}")
            table = file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"a stored table cannot be read: {str(error).splitlines()[0]}") from error
    return table if columns is None else table.select(list(columns))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.chunked_array([column.combine_chunks()], type=column.type)


def _repeats(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    return bool(pc.count_distinct(column).as_py() * _REPEATED <= len(column))


def _encodings(table: pa.Table, dictionaries: Sequence[str]) -> dict[str, str]:
    encodings = {}
    for field in table.schema:
        if field.name in dictionaries:
            continue
        if pa.types.is_floating(field.type):
            encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
    return encodings
