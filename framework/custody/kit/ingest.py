"""From a source's table to the one that is stored: declared types, safe names, key order, nothing personal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from custody.errors import ContractError
from custody.kit import conversion
from custody.kit.connectors import Contract

NAME_LENGTH = 128
_EXAMPLES = 3
_NAMED = 8
_LOADED = 0.5
"""A time that so large a share of the rows has in common is rather a time of loading than of an event."""


def conform(table: pa.Table, columns: Contract, *, key: str | None = None, nan_is_null: bool = True) -> pa.Table:
    """Return `table` as it is stored: cast to the declared types, sorted by `key`, less its personal columns.

    Types that are not declared are widened (int32 → int64, float32 → float64, dictionary → its values). Raises
    ContractError with all faults: unsafe names, missing columns, nested types, lossy casts, a key that is null or not
    unique. A personal column may be the key: it orders the rows and is dropped like the others.
    """
    _refuse_names(table.column_names)
    _refuse_missing(table.column_names, columns)
    if table.num_rows == 0:
        raise ContractError("the source has no rows", code="data.empty")
    table = _convert(table, columns, nan_is_null=nan_is_null)
    if key is not None:
        table = _sorted(table, key, personal=bool(columns.get(key, {}).get("personal")))
    personal = [name for name in table.column_names if columns.get(name, {}).get("personal")]
    stored = table.drop_columns(personal)
    if stored.num_columns == 0:
        raise ContractError("no column is left to be stored: all are personal", code="data.empty")
    return stored


def remarks(table: pa.Table, *, time: str | None = None) -> tuple[str, ...]:
    """Return what the person who adds a table should look at, one line each; no values are shown."""
    return tuple(_remarks(table, time))


def _refuse_names(names: list[str]) -> None:
    faults = [fault for name in names if (fault := _name_fault(name))]
    faults += [f"{name!r} occurs twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if faults:
        raise ContractError(
            f"the source has {len(faults)} column name{'s' * (len(faults) != 1)} that cannot be stored",
            code="data.names",
            because=tuple(faults),
            help=("rename the columns in the source",),
        )


def _name_fault(name: str) -> str | None:
    if not name.strip():
        return "a column has no name"
    if len(name) > NAME_LENGTH:
        return f"{name[:40]!r}… is longer than {NAME_LENGTH} characters"
    # control characters, line separators, lone surrogates and what turns the direction of writing
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in name):
        return f"{name!a} holds a character that is not shown"
    return f"{name!r} begins or ends with a blank" if name != name.strip() else None


def _refuse_missing(names: list[str], columns: Contract) -> None:
    missing = [name for name in columns if name not in names]
    if not missing:
        return
    near = {name: get_close_matches(name, names, 1) for name in missing}
    hints = [f"did you mean {found[0]} for {name}?" for name, found in near.items() if found]
    raise ContractError(
        f"the source has no column {', '.join(missing)}, which dataset.yaml declares",
        code="data.missing",
        because=(f"it has {', '.join(names[:40])}{', …' * (len(names) > 40)}",),  # noqa: PLR2004
        help=(*hints, "mend the names under columns: in dataset.yaml, or the source"),
    )


def _convert(table: pa.Table, columns: Contract, *, nan_is_null: bool) -> pa.Table:
    converted: dict[str, Any] = {}
    faults: list[conversion.ConversionError] = []
    for name in table.column_names:
        contract = columns.get(name, {})
        try:
            column = conversion.convert(table.column(name), contract.get("type"), nan_is_null=nan_is_null)
            converted[name] = column
        except conversion.ConversionError as fault:
            fault.name, fault.personal = name, bool(contract.get("personal"))
            faults.append(fault)
    if faults:
        raise ContractError(
            "the source does not fit its declared types: " + ", ".join(str(fault.name) for fault in faults),
            code="data.type",
            because=tuple(fault.line() for fault in faults),
            help=("mend the types under columns: in dataset.yaml, or the values in the source",),
        )
    return pa.table(converted)


def _sorted(table: pa.Table, key: str, *, personal: bool) -> pa.Table:
    if key not in table.column_names:
        raise ContractError(
            f"the source has no column {key}, which is the key", code="data.key", help=("mend key: in dataset.yaml",)
        )
    if nulls := table.column(key).null_count:
        rows = "1 row has" if nulls == 1 else f"{nulls:,} rows have"
        raise ContractError(f"{rows} no {key}, which is the key", code="data.key")
    table = table.take(pc.sort_indices(table, sort_keys=[(key, "ascending")]))
    column = table.column(key)
    same = pc.equal(column.slice(1), column.slice(0, len(column) - 1))
    repeated = column.slice(1).filter(same)
    if len(repeated):
        values = pc.unique(repeated)
        shown = "" if personal else f", such as {', '.join(repr(value.as_py()) for value in values[:_EXAMPLES])}"
        some = "1 value occurs" if len(values) == 1 else f"{len(values):,} values occur"
        raise ContractError(
            f"the key {key} is not unique: {some} more than once{shown}",
            code="data.key",
            help=("remove the doubles in the source, or name another column as key: in dataset.yaml",),
        )
    return table


def _remarks(table: pa.Table, time: str | None) -> Iterator[str]:
    columns = {name: table.column(name) for name in table.column_names}
    empty = [name for name, column in columns.items() if column.null_count == len(column)]
    constant = [name for name, column in columns.items() if name not in empty and _constant(column)]
    accents = [name for name, column in columns.items() if pa.types.is_string(column.type) and not _normal(column)]
    if empty:
        yield f"{_some(empty)} null in every row"
    if constant:
        yield f"{_some(constant)} the same value in every row"
    if accents:
        yield f"{_some(accents)} not in Unicode's composed form (NFC): texts that look alike may differ"
    if time is not None and time in columns and len(table) > 1:
        yield from _time_remarks(columns[time], time)


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more columns:" if rest > 0 else ":")


def _constant(column: pa.ChunkedArray) -> bool:
    if column.null_count or len(column) == 1:
        return False
    return bool(pc.all(pc.equal(column, column[0])).as_py())


def _time_remarks(column: pa.ChunkedArray, name: str) -> Iterator[str]:
    if nulls := column.null_count:
        yield f"the time column {name} is null in {nulls:,} rows"
    counts = pc.value_counts(pc.drop_null(column)).field("counts")
    share = (pc.max(counts).as_py() or 0) / len(column)
    if share >= _LOADED:
        why = f"{share:.0%} of the rows share one value"
        yield f"the time column {name} looks like a time of loading, not of an event: {why}"


def _normal(column: pa.ChunkedArray) -> bool:
    other = column.filter(pc.invert(pc.string_is_ascii(column)))
    return all(unicodedata.is_normalized("NFC", text) for text in pc.unique(other).to_pylist())
