"""Columns from one type to another where nothing is lost; else an error that says how many values stand in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from custody.errors import ContractError

_EXAMPLES = 3
_EXACT = 2**53
_DAY = 86_400_000_000
"""Microseconds."""


class ConversionError(Exception):
    """Values of one column cannot be converted; who catches it names the column."""

    def __init__(self, reason: str, examples: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.examples = () if examples is None else tuple(value.as_py() for value in examples[:_EXAMPLES])
        self.name = ""
        self.personal = False

    def line(self) -> str:
        """Return one line that says what is wrong, without the values of a personal column."""
        shown = f", such as {', '.join(str(value) for value in self.examples)}"
        return f"{self.name}: {self.reason}{shown if self.examples and not self.personal else ''}"


def convert(column: pa.ChunkedArray, kind: str | None, *, nan_is_null: bool) -> pa.ChunkedArray:
    """Return `column` in the type that is stored for `kind`, or widened where `kind` is None.

    Raises ConversionError where a value would be lost, ContractError where there is no such kind.
    """
    if kind not in {None, *_ARROW}:
        raise ContractError(f"{kind!r} is no type of a column")
    column = _plain(column)
    if pa.types.is_floating(column.type):
        column = _finite(column.cast(pa.float64()), nan_is_null=nan_is_null)
    if pa.types.is_null(column.type):
        return column.cast(_ARROW[kind or "string"])
    if kind is None:
        return _widened(column)
    return _CONVERT[kind](column)


_ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    while pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
        raise ConversionError(f"has the nested type {column.type}, which cannot be stored")
    return column


def _finite(column: pa.ChunkedArray, *, nan_is_null: bool) -> pa.ChunkedArray:
    _refuse(column, pc.is_inf(column), "infinite")
    return pc.if_else(pc.is_nan(column), None, column) if nan_is_null else column


def _refuse(column: pa.ChunkedArray, wrong: Any, what: str) -> None:
    bad = column.filter(pc.fill_null(wrong, fill_value=False))
    if len(bad):
        verb = "value is" if len(bad) == 1 else "values are"
        raise ConversionError(f"{len(bad):,} {verb} {what}", pc.unique(bad))


def _unfit(column: pa.ChunkedArray, kind: str) -> ConversionError:
    return ConversionError(f"holds {column.type} in the source and is declared as {kind}")


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks)


def _widened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_integer(kind):
        too_great = pa.types.is_uint64(kind) and (pc.max(column).as_py() or 0) >= 2**63
        return column if too_great else column.cast(pa.int64())
    if _is_text(kind):
        return _string(column)
    if pa.types.is_date(kind):
        return _date(column)
    if pa.types.is_timestamp(kind):
        return _timestamp(column)
    known = (pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal128, pa.types.is_time, pa.types.is_binary)
    if any(check(kind) for check in known):
        return column
    raise ConversionError(f"has the type {kind}, which cannot be stored; declare its type")


def _integer(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind):
        _refuse(column, pc.not_equal(pc.floor(column), column), "not whole")
        _refuse(column, pc.greater(pc.abs(column), float(_EXACT)), "too great to be exact")
    elif pa.types.is_uint64(kind):
        _refuse(column, pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())), "beyond 64 bits with a sign")
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        raise _unfit(column, "integer")
    return _cast(column, pa.int64())


def _number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(column.type):
        exact = pa.scalar(_EXACT, pa.int64())
        wide = _cast(column, pa.int64())
        _refuse(wide, pc.or_(pc.greater(wide, exact), pc.less(wide, pc.negate(exact))), "too great to be exact")
    elif not (pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        raise _unfit(column, "number")
    return _cast(column, pa.float64())


def _boolean(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        _refuse(column, pc.invert(pc.is_in(column, pa.array([0, 1]).cast(kind))), "neither 0 nor 1")
    elif not pa.types.is_boolean(kind):
        raise _unfit(column, "boolean")
    return column.cast(pa.bool_())


def _string(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind)):
        raise _unfit(column, "string")
    return _cast(column, pa.string())


def _date(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        day = column.cast(pa.date32())
        whole = pc.equal(day.cast(column.type) if column.type.tz is None else column, column)
        if column.type.tz is not None:
            raise _unfit(column, "date")
        _refuse(column, pc.invert(whole), "not at midnight")
        return day
    if not pa.types.is_date(column.type):
        raise _unfit(column, "date")
    return column.cast(pa.date32())


def _timestamp(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Microseconds, or nanoseconds where one value needs them; a zone becomes UTC."""
    kind = column.type
    if pa.types.is_date(kind):
        return _cast(column, pa.timestamp("us"))
    if not pa.types.is_timestamp(kind):
        raise _unfit(column, "timestamp")
    zone = None if kind.tz is None else "UTC"
    try:
        return column.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        return column.cast(pa.timestamp("ns", zone)) if kind.unit == "ns" else _cast(column, pa.timestamp("us", zone))


_CONVERT: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
}


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise ConversionError(f"does not fit {kind}: {str(error).splitlines()[0]}") from error
