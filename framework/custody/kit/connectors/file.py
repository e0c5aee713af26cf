"""The connector `file`: CSV, JSON lines and Parquet files inside the project."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custody.errors import ContractError, RefusedError
from custody.kit.connectors import Contract, Source, refuse_unknown

PARAMS = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "format": {"enum": ["csv", "parquet", "jsonl"]},
        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "default": ","},
        "nulls": {"type": "array", "items": {"type": "string"}},
        "encoding": {"type": "string", "default": "utf-8"},
        "decimal": {"enum": [".", ","], "default": "."},
    },
    "required": ["path"],
    "additionalProperties": False,
}

READING = frozenset({"format", "delimiter", "nulls", "encoding", "decimal"})
"""The parameters that say how a file is read."""
_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_FORMATS |= {".jsonl": "jsonl", ".ndjson": "jsonl"}
_PIECE = 1 << 20


def read(with_: Mapping[str, Any], *, root: Path, columns: Contract, outside: bool = False) -> Source:
    """Read the file at `path`, relative to `root`; its format is `format`, else told by the suffix.

    Raises RefusedError where the path leads out of the project and `outside` is not set, ContractError where the file
    is missing, unreadable, or holds values that do not fit their declared types.
    """
    refuse_unknown(with_, PARAMS, "file")
    path = locate(str(with_["path"]), root, outside=outside)
    shown = shown_path(path, root)
    before = _identity(path, shown)
    raw = {"size": path.stat().st_size, "sha256": _sha256(path)}
    source = read_table(with_, path, columns, shown)
    if _identity(path, shown) != before:
        raise ContractError(f"{shown} was changed while it was read", help=("run the command again",))
    place = {} if path.is_relative_to(root.resolve()) else {"outside": True}
    description = {"uses": "file", "path": shown, **place, "raw": raw, **source.description}
    return Source(source.table, description, source.inferred, source.warnings)


def read_table(with_: Mapping[str, Any], path: Path, columns: Contract, shown: str) -> Source:
    """Read the file at `path`, which is called `shown`, as those of `with_` that are `READING` say."""
    match file_format(with_, path):
        case "csv":
            return _read_csv(with_, path, columns, shown)
        case "jsonl":
            from custody.kit.connectors.jsonlines import read_json_lines

            return read_json_lines(path, columns, [str(text) for text in with_.get("nulls", ())], shown)
        case _:
            return _read_parquet(path, shown)


def locate(path: str, root: Path, *, outside: bool = False) -> Path:
    """Return the real path of `path`; raises RefusedError where it leaves the project, also by a link."""
    if "\0" in path:
        raise ContractError("the path of a source holds a NUL character")
    home = root.resolve()
    real = (home / path).resolve()
    if outside:
        return real
    if not real.is_relative_to(home):
        raise RefusedError(
            f"the source {path} leads out of the project",
            code="source.outside",
            because=("a dataset's source is read on every machine that checks out this repository",),
            help=("move the file into the project, or: custody data add NAME PATH",),
        )
    if ".git" in real.relative_to(home).parts:
        raise RefusedError(f"the source {path} lies in Git's own folder", code="source.outside")
    return real


def shown_path(path: Path, root: Path) -> str:
    """Return how `path` is recorded: relative to the project, or its bare name where it lies outside."""
    home = root.resolve()
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else path.name


def _identity(path: Path, shown: str) -> tuple[int, int, int]:
    try:
        status = path.stat()
        if not path.is_file():
            raise ContractError(f"the source {shown} is not an ordinary file", code="source.missing")
        with path.open("rb"):
            return status.st_ino, status.st_size, status.st_mtime_ns
    except FileNotFoundError:
        raise ContractError(f"the source {shown} is not there", code="source.missing") from None
    except OSError as error:
        raise ContractError(f"the source {shown} cannot be read: {error.strerror}", code="source.missing") from error


def _sha256(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def file_format(with_: Mapping[str, Any], path: Path) -> str:
    """Return csv, parquet or jsonl: as `format` says, else by the suffix. Raises ContractError where neither tells."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    told = _FORMATS.get(plain.suffix.lower())
    kind = with_.get("format") or (told if plain is path or told == "jsonl" else None)
    if kind not in _FORMATS.values():
        raise ContractError(
            f"the format of {path.name} cannot be told from its name",
            help=("in dataset.yaml: source.with.format: csv, parquet or jsonl",),
        )
    return str(kind)


def _read_csv(with_: Mapping[str, Any], path: Path, columns: Contract, shown: str) -> Source:
    from custody.kit.connectors.delimited import Dialect, read_delimited

    default = "\t" if path.suffix.lower() == ".tsv" else ","
    dialect = Dialect(
        delimiter=str(with_.get("delimiter", default)),
        nulls=tuple(str(text) for text in with_.get("nulls", [""])),
        encoding=str(with_.get("encoding", "utf-8")),
        decimal=str(with_.get("decimal", ".")),
    )
    return read_delimited(path, dialect, columns, shown)


def _read_parquet(path: Path, shown: str) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # one file and no more: a path is never taken for a folder, a pattern or an address
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
            table = pq.ParquetFile(file).read()
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise ContractError(f"{shown} is not a Parquet file that can be read: {first}") from error
    return Source(table, {"reader": f"pyarrow {pa.__version__}"})
