"""Tables written for users: CSV, JSON lines or Parquet by the suffix of the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from custody.errors import UsageError

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}


def format_of(path: Path) -> str:
    """Return the format that a suffix stands for; raises UsageError for one that stands for none."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        message = f"the format of {path.name} cannot be told from its name"
        raise UsageError(message, code="E640", help=("call it *.csv, *.jsonl or *.parquet",))
    return found


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table to a new file, synced to disk. Raises OSError."""
    with path.open("xb") as file:
        match format_of(path):
            case "csv":
                from pyarrow import csv

                csv.write_csv(table, file)
            case "parquet":
                from pyarrow import parquet

                parquet.write_table(table, file, compression="zstd")
            case _:
                for batch in table.to_batches(max_chunksize=10_000):
                    lines = (json.dumps(row, default=_plain, ensure_ascii=False) + "\n" for row in batch.to_pylist())
                    file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
