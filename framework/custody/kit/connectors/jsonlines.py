"""JSON lines: one flat object a line. Its values become text with what JSON knows of them, and take the way of CSV."""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from custody.errors import ContractError
from custody.kit.connectors import Contract, Source
from custody.kit.connectors.delimited import Dialect, Records, read_delimited
from custody.kit.connectors.faults import EXAMPLES

_NULL = "\x01null"
"""What a missing value is in between; no text of a source may be the same."""
_LONGEST = 16 << 20
"""Bytes of one line."""


class _Number(str):
    """A number as it is written, which `1.0` and `1` are told apart by."""

    __slots__ = ()


def read_json_lines(path: Path, columns: Contract, nulls: Sequence[str], shown: str) -> Source:
    """Read objects a line, also compressed (`.gz`); a key that a line does not have is a missing value.

    A text stays a text, or becomes a date or time where all values of its column are; it is never a number. Raises
    ContractError for lines that are no flat objects, and for values that do not fit their declared types.
    """
    names: dict[str, None] = {}
    texts: set[str] = set()
    for _, record in _records(path, shown):
        names.update(dict.fromkeys(record))
        texts.update(name for name, value in record.items() if isinstance(value, str) and type(value) is not _Number)
    if not names:
        raise ContractError(f"{shown} is empty: one JSON object a line is expected")
    with tempfile.TemporaryDirectory(prefix="custody-") as scratch:
        table = Path(scratch) / "table.csv"
        lines = _write(table, tuple(names), _records(path, shown))
        records = Records(lines, frozenset(texts))
        return read_delimited(table, Dialect(nulls=(_NULL, *nulls)), columns, shown, records)


def _write(table: Path, names: Sequence[str], records: Iterator[tuple[int, Mapping[str, Any]]]) -> Sequence[int]:
    """Write the records as delimited text and return the line of each."""
    lines = array("Q")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for line, record in records:
            lines.append(line)
            writer.writerow([_text(record.get(name)) for name in names])
    return lines


def _text(value: Any) -> str:
    if value is None:
        return _NULL
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _records(path: Path, shown: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object) of every line that is not blank; raises ContractError that names the first bad ones."""
    faults: list[str] = []
    count = 0
    for number, data in lines_of(path, shown):
        try:
            found = record_of(data)
        except ValueError as error:
            count += 1
            if len(faults) < EXAMPLES:
                faults.append(f"line {number:,}: {error}")
            continue
        if found is not None and not count:
            yield number, found
    if count:
        lines = f"{count:,} line{'s' * (count != 1)}"
        raise ContractError(
            f'{shown}: {lines} cannot be taken: a flat JSON object is expected, `{{"id": 1, "plan": "pro"}}`',
            code="data.malformed",
            because=tuple(faults),
            help=("write nested values as columns of their own, such as address_city, before they are read",),
        )


def lines_of(path: Path, shown: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of every line, also of a compressed file; raises ContractError for none such."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            number = 0
            while data := file.readline(_LONGEST):
                number += 1
                if len(data) == _LONGEST:
                    raise ContractError(f"{shown}: line {number:,} has more than {_LONGEST:,} bytes")
                yield number, data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ContractError(f"{shown} is not a whole gzip file: {error}") from error


def record_of(data: bytes) -> dict[str, Any] | None:
    """Return the flat object of a line, None for a blank one; raises ValueError that says why it is none."""
    if not data.strip():
        return None
    found = _parsed(data)
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004
    for name, value in found.items():
        if isinstance(value, (dict, list)):
            raise ValueError(f"{name} holds {'an object' if isinstance(value, dict) else 'a list'}")  # noqa: TRY004
        if isinstance(value, str) and not _clean(value):
            raise ValueError(f"{name} holds characters that no text has")
    if not found or not all(_clean(name) for name in found):
        raise ValueError("it has no keys, or one that is no name")
    return found


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg}, at character {error.pos + 1}") from None


def _clean(text: str) -> bool:
    if text == _NULL or "\0" in text:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in text) if not text.isascii() else True


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
