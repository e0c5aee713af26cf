"""From what a caller sends to the features of a model: a table of a file, or the rows of a request, checked by kind.

And back: from the lines of a journal to the table that is sealed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from custody.core.predictions import ID, KEY, PREDICTION, PROBABILITY, TIME, feature_column
from custody.domain.serving import Prediction, Promoted
from custody.errors import ContractError
from custody.kit import conversion
from custody.kit.frame import BOOLEAN, DATE, NUMBER, TEXT, TIMESTAMP, text_of
from custody.kit.predictions import arrow_type, contract_of

_SHOWN = 5
_EXACT = 2**53
_UTC = pa.timestamp("us", "UTC")
_EXPECTED = {
    NUMBER: "a number",
    BOOLEAN: "true or false",
    TEXT: "a text",
    DATE: "a date such as 2026-11-24",
    TIMESTAMP: "a time such as 2026-11-24T08:30:00",
}


def fitted(table: pa.Table, promoted: Promoted, shown: str) -> pa.Table:
    """Return the features of a table that has them all, each in the type of its kind; `shown` is what it is called.

    Raises ContractError that names the columns that do not fit.
    """
    columns, faults = {}, []
    for name, rules in contract_of(promoted, {}).items():
        try:
            columns[name] = conversion.convert(table.column(name), rules["type"], nan_is_null=True)
        except conversion.ConversionError as fault:
            fault.name, fault.personal = name, name in promoted.hidden
            faults.append(fault.line())
    if faults:
        message = f"{shown} does not fit what {promoted.model} {promoted.version} was trained on"
        raise ContractError(message, code="data.type", because=tuple(faults), help=(f"custody show {promoted.model}",))
    if table.num_rows == 0:
        raise ContractError(f"{shown} has no rows", code="data.empty")
    return pa.table(columns)


def refuse_missing(wanted: Iterable[str], there: Sequence[str], what: str, model: str) -> None:
    """Raise ContractError that names the columns that are not there."""
    missing = [name for name in wanted if name not in there]
    if missing:
        near = {name: get_close_matches(name, there, 1) for name in missing}
        hints = tuple(f"did you mean {found[0]} for {name}?" for name, found in near.items() if found)
        help_ = (*hints, f"custody show {model}   names its features")
        raise ContractError(f"{what} {', '.join(missing)}", code="data.missing", help=help_)


def request_rows(rows: Sequence[Any], promoted: Promoted) -> tuple[pa.Table, list[Any]]:
    """Return the features of the rows of a request, and the key of each row (None where it gives none).

    A feature that has no value is null, and must be said to be. Raises ContractError that names each field that is
    missing, unknown, or not of its kind.
    """
    faults: list[str] = []
    known = {*promoted.features, *([promoted.key] if promoted.key else [])}
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            faults.append(f"rows[{place}] is {_kind(row)}, an object is expected")
        elif row.keys() != known:
            faults += _field_faults(place, row, known, promoted)
    if not faults:
        columns = {}
        for name, kind in zip(promoted.features, promoted.kinds, strict=True):
            values = _values([row[name] for row in rows], name, kind, faults)
            columns[name] = pa.array(values, arrow_type(kind)) if values is not None else None
        keys = [_key(row.get(promoted.key), place, promoted.key, faults) for place, row in enumerate(rows)]
    if faults:
        more = (f"and {len(faults) - _SHOWN:,} more",) if len(faults) > _SHOWN else ()
        raise ContractError(
            f"the rows are not what {promoted.model} {promoted.version} takes",
            code="rows.invalid",
            because=(*faults[:_SHOWN], *more),
        )
    return pa.table(columns), keys


def kept_rows(features: pa.Table, promoted: Promoted) -> list[tuple[Any, ...]]:
    """Return what is kept of the features of each row, as JSON has it."""
    columns = [[_json(value) for value in features.column(name).to_pylist()] for name in promoted.kept]
    return list(zip(*columns, strict=True)) if columns else [()] * features.num_rows


def table_of(promoted: Promoted, items: Sequence[Prediction]) -> pa.Table:
    """Return predictions of a journal as the table that is sealed."""
    columns: dict[str, Any] = {
        ID: pa.array([item.id for item in items], pa.string()),
        TIME: pa.array([item.time for item in items], pa.int64()).cast(_UTC),
    }
    keys = [item.key for item in items]
    if any(key is not None for key in keys):
        alike = len({type(key) for key in keys if key is not None}) == 1
        columns[KEY] = pa.array(keys if alike else [None if key is None else str(key) for key in keys])
    columns[PREDICTION] = pa.array([item.prediction for item in items])
    for place, label in enumerate(promoted.classes if any(item.probabilities for item in items) else ()):
        columns[f"{PROBABILITY}{text_of(label)}"] = pa.array([item.probabilities[place] for item in items])
    kinds = dict(zip(promoted.features, promoted.kinds, strict=True))
    for place, name in enumerate(promoted.kept):
        columns[feature_column(name)] = _column([item.features[place] for item in items], kinds[name])
    return pa.table(columns)


def micros(column: pa.ChunkedArray, name: str, timezone: str) -> pa.ChunkedArray:
    """Return a column of times in microseconds since 1970; times without a zone are those of `timezone`.

    Raises ContractError where one is missing or the column holds no times.
    """
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(column.type):
        message = f"the column {name} holds {column.type}, no times"
        raise ContractError(message, help=("write times such as 2026-11-24T08:30:00+00:00",))
    if column.null_count:
        raise ContractError(f"{column.null_count:,} rows have no {name}")
    if column.type.tz is None:
        column = pc.assume_timezone(column, timezone, ambiguous="earliest", nonexistent="latest")
    return column.cast(_UTC, safe=False).cast(pa.int64())


def _field_faults(place: int, row: Mapping[str, Any], known: set[str], promoted: Promoted) -> list[str]:
    missing = [f"rows[{place}] has no {name}" for name in promoted.features if name not in row]
    unknown = []
    for name in row.keys() - known:
        near = get_close_matches(str(name), known - row.keys(), 1)
        unknown.append(f"rows[{place}] has {name!a}, which is unknown{f': did you mean {near[0]}?' if near else ''}")
    return [*missing, *sorted(unknown)]


def _values(values: list[Any], name: str, kind: str, faults: list[str]) -> list[Any] | None:
    take = _TAKE[kind]
    taken: list[Any] = []
    before = len(faults)
    for place, value in enumerate(values):
        if value is None:
            taken.append(None)
            continue
        found = take(value)
        if found is None:
            faults.append(f"rows[{place}].{name} is {_kind(value)}, {_EXPECTED[kind]} is expected")
        taken.append(found)
    return taken if len(faults) == before else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int) and abs(value) > _EXACT:
        return None
    return float(value) if math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else _clean(value)


def _clean(value: Any) -> str | None:
    """Return a text that UTF-8 can hold; None for all else."""
    try:
        return value if isinstance(value, str) and value.encode() is not None else None
    except UnicodeEncodeError:
        return None


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _timestamp(value: Any) -> datetime | None:
    """Return a time of the clock; one with a zone is refused, as training would have refused it."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=None) if found.tzinfo is None else None


_TAKE: Mapping[str, Callable[[Any], Any]] = {
    NUMBER: _number,
    BOOLEAN: lambda value: value if isinstance(value, bool) else None,
    TEXT: _text,
    DATE: _date,
    TIMESTAMP: _timestamp,
}


def _key(value: Any, place: int, name: str | None, faults: list[str]) -> Any:
    if value is None or isinstance(value, int) or _clean(value) is not None:
        return value
    faults.append(f"rows[{place}].{name} is {_kind(value)}, a text or a whole number is expected")
    return None


def _kind(value: Any) -> str:
    """Return what a value is, without the value: it may be one that no log should hold."""
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return "null" if value is None else names.get(type(value), "an object")


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _column(values: list[Any], kind: str) -> pa.Array:
    if kind in {DATE, TIMESTAMP}:
        return pa.array(values, pa.string()).cast(arrow_type(kind))
    return pa.array(values, arrow_type(kind))
