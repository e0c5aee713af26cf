"""Columns as they come in live data, taken for the kinds that a model was trained on.

Nothing is refused: a value that does not fit becomes null, and is counted. How a dataset itself is read is the contrary
of this: `kit/ingest.py`, where each value must fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.kit import frame

_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?)?"
_ZONED = rf"^{_DAY}[ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}}0*)?)? ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$"
_PLAIN = rf"^{_DAY}{_CLOCK}$"
_BLANK = " \t"
_INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class Taken:
    """A column in the kind that was wanted; `misfits` of its rows held a value that is none of that kind."""

    column: pa.ChunkedArray
    misfits: int


def take(column: pa.ChunkedArray, kind: str, rules: Mapping[str, Any] | None = None) -> Taken:
    """Return `column` as `kind` (see `kit/frame.py`); `rules` is its contract, of which the `format` is used."""
    column = _plain(column)
    if pa.types.is_null(column.type):
        return Taken(column.cast(_ARROW[kind]), 0)
    match kind:
        case frame.NUMBER:
            taken = _numbers(column)
        case frame.BOOLEAN:
            taken = _booleans(column)
        case frame.TEXT:
            taken = _texts(column)
        case _:
            known = _moments(column, (rules or {}).get("format"), "UTC")
            taken = known.cast(pa.date32()) if kind == frame.DATE else known
    return Taken(taken, int(taken.null_count - column.null_count))


def moments(column: pa.ChunkedArray, written: str | None, zone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the moments of a time column in microseconds since 1970 (UTC), and which of them could be read.

    `written` is the declared strptime format of texts, else they are ISO 8601. What has no offset of its own is a time
    of the clock in `zone`.
    """
    found = _moments(_plain(column), written, zone).combine_chunks()
    known = found.is_valid().to_numpy(zero_copy_only=False)
    numbers = found.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64), known


_ARROW = {
    frame.NUMBER: pa.float64(),
    frame.BOOLEAN: pa.bool_(),
    frame.TEXT: pa.string(),
    frame.DATE: pa.date32(),
    frame.TIMESTAMP: _INSTANT,
}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    while pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column


def _where(fits: Any, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return `column` with nulls where it does not fit."""
    return pc.if_else(fits, column, pa.scalar(None, column.type))


def _nothing(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(column), kind)])


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_string(kind):
        text = pc.utf8_trim(column, _BLANK)
        column = _where(pc.match_substring_regex(text, _NUMBER), text).cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    elif pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.float64())
    else:
        return _nothing(column, pa.float64())
    return _where(pc.is_finite(column), column)


def _booleans(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _where(pc.is_in(column, pa.array([0, 1]).cast(kind)), column).cast(pa.bool_())
    if not pa.types.is_string(kind):
        return _nothing(column, pa.bool_())
    text = pc.utf8_lower(pc.utf8_trim(column, _BLANK))
    true = pc.is_in(text, pa.array(_TRUE))
    return _where(pc.or_(true, pc.is_in(text, pa.array(_FALSE))), true)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return _nothing(column, pa.string())
    if pa.types.is_floating(kind):
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2.0**53))
        texts = pc.if_else(whole, _where(whole, column).cast(pa.int64()).cast(pa.string()), column.cast(pa.string()))
        return pa.chunked_array([texts]) if isinstance(texts, pa.Array) else texts
    return column.cast(pa.string())


def _moments(column: pa.ChunkedArray, written: str | None, zone: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_date(kind):
        return _in_zone(column.cast(pa.timestamp("us")), zone)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return column.cast(_INSTANT, safe=False)
        return _in_zone(column.cast(pa.timestamp("us"), safe=False), zone)
    if not pa.types.is_string(kind):
        return _nothing(column, _INSTANT)
    text = pc.utf8_trim(column, _BLANK)
    if written:
        found = pc.strptime(text, format=written, unit="us", error_is_null=True)
        return found.cast(_INSTANT) if found.type.tz else _in_zone(found, zone)
    zoned = _parsed(_where(pc.match_substring_regex(text, _ZONED), text), _INSTANT)
    plain = _parsed(_where(pc.match_substring_regex(text, _PLAIN), text), pa.timestamp("us"))
    return pc.coalesce(zoned, _in_zone(plain, zone))


def _in_zone(column: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    """Take times of the clock for moments; of an hour that occurs twice the first, for one that is left out its end."""
    return pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="latest").cast(_INSTANT)


def _parsed(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:  # such as 30 February: which ones is asked value by value
        values = pc.unique(text)
        good = [value for value in values.to_pylist() if value is not None and _is_moment(value, kind)]
        return _where(pc.is_in(text, pa.array(good, pa.string())), text).cast(kind)


def _is_moment(value: str, kind: pa.DataType) -> bool:
    try:
        pa.array([value]).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
