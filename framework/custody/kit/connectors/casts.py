"""From text to a type, as DuckDB expressions that are null exactly where the text does not fit.

DuckDB's own casts are lenient (`1.5` becomes the integer 2, `1_000` is 1000), so each stands behind a pattern. Blanks
around numbers, booleans and dates mean nothing; within text every character counts.
"""

from __future__ import annotations

from custody.errors import ContractError

TIMES = ("date", "timestamp", "instant")
INFERRED = ("integer", "number", "boolean", *TIMES)
"""What a column without a declared type may get, narrowest first (an instant is a `timestamp`); else `string`."""

_WHOLE = r"^([+-]?[0-9]+)(?:\.0*)?$"
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|nan"
# what is guessed keeps codes such as 007 or +49 as text
_STRICT_WHOLE = r"^(-?(?:0|[1-9][0-9]*))$"
_STRICT_NUMBER = r"-?(0|[1-9][0-9]*)?(\.[0-9]+)?(e[+-]?[0-9]+)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MIDNIGHT = r"([ T]00:00(:00(\.0+)?)?)?"
_TIME = r"[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONE = r" ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_TRUE = "'true', 't', 'yes', 'y', '1'"
_FALSE = "'false', 'f', 'no', 'n', '0'"


def declared(column: str, kind: str, written: str | None, decimal: str) -> str:
    """Return the expression for a declared type; `written` is the declared strptime format of a date or time."""
    text = _trimmed(column)
    match kind:
        case "integer":
            return f"try_cast(nullif(regexp_extract({text}, '{_WHOLE}', 1), '') as bigint)"
        case "number":
            return _number(text, _NUMBER, decimal)
        case "boolean":
            return f"case when lower({text}) in ({_TRUE}) then true when lower({text}) in ({_FALSE}) then false end"
        case "date":
            return _formatted_date(text, written) if written else _date(text)
        case "timestamp":
            return _formatted_time(text, written) if written else timestamp(column, zoned=False)
        case "string":
            return column
        case _:
            raise ContractError(f"{kind!r} is no type of a column")


def strict(column: str, kind: str, decimal: str) -> str:
    """Return the expression for a guessed type: it takes only what means nothing else."""
    text = _trimmed(column)
    match kind:
        case "integer":
            return f"try_cast(nullif(regexp_extract({text}, '{_STRICT_WHOLE}', 1), '') as bigint)"
        case "number":
            return _number(text, _STRICT_NUMBER, decimal)
        case "boolean":
            return f"case lower({text}) when 'true' then true when 'false' then false end"
        case "timestamp" | "instant":
            return timestamp(column, zoned=kind == "instant")
        case _:
            return declared(column, kind, None, decimal)


def timestamp(column: str, *, zoned: bool) -> str:
    """Return the expression for ISO 8601 instants (with a zone) or times of the clock (without), in microseconds."""
    text = _trimmed(column)
    if zoned:
        return _when(text, f"{_DAY}{_TIME}{_ZONE}", f"try_cast({text} as timestamptz)")
    return _when(text, f"{_DAY}({_TIME})?", f"try_cast({text} as timestamp)")


def has_zone(column: str) -> str:
    """Return the condition that a text is an instant with a zone."""
    return f"regexp_full_match({_trimmed(column)}, '{_DAY}{_TIME}{_ZONE}')"


def _trimmed(column: str) -> str:
    return f"trim({column}, ' \t')"


def _when(text: str, pattern: str, value: str) -> str:
    return f"case when regexp_full_match({text}, '{pattern}') then {value} end"


def _number(text: str, pattern: str, decimal: str) -> str:
    plain = f"lower({text})"
    if decimal == ",":
        # a point would be a thousands separator, and must not be taken for the decimal one
        plain = f"replace(replace({plain}, '.', '?'), ',', '.')"
    value = f"try_cast({plain} as double)"
    return f"case when regexp_full_match({plain}, '{pattern}') and not isinf({value}) then {value} end"


def _date(text: str) -> str:
    return _when(text, f"{_DAY}{_MIDNIGHT}", f"try_cast(left({text}, 10) as date)")


def _formatted_date(text: str, written: str) -> str:
    time = f"try_strptime({text}, {literal(written)})"
    return f"case when {time} = date_trunc('day', {time}) then cast({time} as date) end"


def _formatted_time(text: str, written: str) -> str:
    return f"try_strptime({text}, {literal(written)})"


def literal(text: str) -> str:
    """Return `text` as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
