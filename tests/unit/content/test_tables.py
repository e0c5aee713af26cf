from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.content.logical import logical_digest
from custody.content.tables import ROW_GROUP, read_table, to_parquet
from custody.errors import ContractError, StoreError

ROWS = 500
TABLE = pa.table(
    {
        "n": pa.array([None if row % 7 == 0 else row for row in range(ROWS)], pa.int64()),
        "x": pa.array([row / 3 for row in range(ROWS)], pa.float64()),
        "few": pa.array([None if row % 11 == 0 else "abc"[row % 3] for row in range(ROWS)]),
        "many": pa.array([f"text {row}" for row in range(ROWS)]),
        "yes": pa.array([row % 2 == 0 for row in range(ROWS)]),
        "day": pa.array(range(ROWS), pa.date32()),
        "at": pa.array(range(ROWS), pa.timestamp("us", "UTC")),
        "clock": pa.array(range(ROWS), pa.timestamp("us")),
    }
)


@settings(max_examples=30)
@given(st.lists(st.integers(0, ROWS), max_size=6), st.booleans())
def test_the_bytes_do_not_depend_on_chunks_dictionaries_and_metadata(cuts: list[int], encoded: object) -> None:
    edges = [0, *sorted(cuts), ROWS]
    other = pa.concat_tables([TABLE.slice(a, b - a) for a, b in pairwise(edges)])
    other = other.replace_schema_metadata({"pandas": "{}"})
    if encoded:
        other = other.set_column(2, "few", other.column("few").dictionary_encode())
    assert to_parquet(other) == to_parquet(TABLE)


def test_a_table_comes_back_as_it_was() -> None:
    back = read_table(to_parquet(TABLE))
    assert back.equals(TABLE)
    assert back.schema.equals(TABLE.schema)
    assert logical_digest(back) == logical_digest(TABLE)


def test_a_selection_of_columns_comes_in_the_order_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(to_parquet(TABLE))
    chosen = read_table(tmp_path / "t.parquet", ["x", "n"])
    assert chosen.column_names == ["x", "n"]
    assert read_table(to_parquet(TABLE), []).num_columns == 0


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ContractError, match="no column y, z; it has n, x"):
        read_table(to_parquet(TABLE), ["y", "n", "z"])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet file at all"])
def test_bytes_that_are_no_table_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_table(data)


def test_row_groups_are_cut_at_fixed_rows_and_hold_no_foreign_metadata() -> None:
    table = pa.table({"n": pa.array(range(ROW_GROUP + 1), pa.int64())}).replace_schema_metadata({"pandas": "{}"})
    metadata = pq.ParquetFile(io.BytesIO(to_parquet(table))).metadata
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [ROW_GROUP, 1]
    assert metadata.metadata is None
