"""The contract of a dataset, checked on a table: every violation at once, and warnings about what looks odd.

Rows are counted from 1 in the table's order. Values of columns that are hidden (sensitive ones) are never shown.
Here live the rules; warnings are in `custody.kit.oddities`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit.frame import text_of

EXAMPLES = 3
_SHOWN = 20
_LONGEST = 40
_TYPES = {
    "integer": pa.types.is_integer,
    "number": lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind),
    "boolean": pa.types.is_boolean,
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind),
    "date": pa.types.is_date,
    "timestamp": pa.types.is_timestamp,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that `count` rows break; `rows` (from 1) and `values` are up to three examples."""

    column: str
    rule: str
    count: int
    rows: tuple[int, ...] = ()
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        number = f"{self.count:,} row{'' if self.count == 1 else 's'}"
        shown = [
            f"row {row}{f': {value}' if value else ''}" for row, value in zip(self.rows, self._texts(), strict=True)
        ]
        return f"{self.column}: {self.rule} ({number}{'; ' if shown else ''}{', '.join(shown)})"

    def _texts(self) -> tuple[str, ...]:
        return self.values or ("",) * len(self.rows)


def check_contract(table: pa.Table, contract: Mapping[str, Any], hidden: Collection[str] = ()) -> int:
    """Return how many rules were checked; raises one ContractError that names every violation.

    `contract` is `{key, columns: {name: {type, min, max, values, null_max, unique}}}`.
    """
    rules = list(_rules(contract))
    broken = [violation for column, rule, limit in rules for violation in _judge(table, column, rule, limit, hidden)]
    if not broken:
        return len(rules)
    texts = tuple(str(violation) for violation in broken)
    shown = "; ".join(texts[:_SHOWN]) + (f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
    number = f"{len(texts)} rule{'' if len(texts) == 1 else 's'}"
    message = f"the data break {number} of the dataset's contract in {table.num_rows:,} rows: {shown}"
    raise ContractError(message, because=texts)


def _rules(contract: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    key = contract.get("key")
    if key:
        yield key, "key", True
    for column, rules in contract.get("columns", {}).items():
        for rule in ("type", "null_max", "min", "max", "values", "unique"):
            limit = rules.get(rule)
            if limit is not None and limit is not False and not (rule == "unique" and column == key):
                yield column, rule, limit


def _judge(table: pa.Table, name: str, rule: str, limit: Any, hidden: Collection[str]) -> Iterator[Violation]:
    if name not in table.column_names:
        if rule in {"type", "key"}:
            yield Violation(name, "the column is missing", table.num_rows)
        return
    column = table.column(name)
    if rule == "type":
        if not _TYPES[limit](column.type) and not pa.types.is_null(column.type):
            yield Violation(name, f"is {column.type}, declared is {limit}", table.num_rows)
        return
    for text, mask in _broken(column, rule, limit):
        places = np.flatnonzero(mask)
        if len(places):
            examples = tuple(int(place) for place in places[:EXAMPLES])
            values = () if name in hidden else _values(column, examples)
            yield Violation(name, text, len(places), tuple(place + 1 for place in examples), values)


def _broken(column: pa.ChunkedArray, rule: str, limit: Any) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    nulls = _nulls(column)
    match rule:
        case "null_max":
            if nulls.sum() > limit * len(nulls):
                yield f"null in {nulls.mean():.1%} of the rows, allowed are {limit:.1%}", nulls
        case "min" | "max" if _is_number(column.type):
            numbers = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
            mask = numbers < limit if rule == "min" else numbers > limit
            yield f"{'less' if rule == 'min' else 'greater'} than {rule} {text_of(limit)}", mask & ~nulls
        case "values":
            yield f"none of {_list(limit)}", ~_among(column, limit) & ~nulls
        case "unique":
            yield "not unique", _repeated(column) & ~nulls
        case "key":
            yield "a null in the key", nulls
            yield "not unique, though it is the key", _repeated(column) & ~nulls


def _nulls(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    nulls: NDArray[np.bool_] = column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy()
    return nulls


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _among(column: pa.ChunkedArray, values: Sequence[Any]) -> NDArray[np.bool_]:
    """Whether each row's value is one of `values`, compared by what they look like: 1 and 1.0 are one value."""
    encoded = column.combine_chunks().dictionary_encode()
    wanted = {text_of(value) for value in values}
    known = np.array([text_of(value) in wanted for value in encoded.dictionary.to_pylist()] + [True], dtype=np.bool_)
    among: NDArray[np.bool_] = known[encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]
    return among


def _repeated(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Rows whose value stands in an earlier row too."""
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    repeated = np.ones(len(codes), np.bool_)
    repeated[np.unique(codes, return_index=True)[1]] = False
    return repeated


def _values(column: pa.ChunkedArray, places: Sequence[int]) -> tuple[str, ...]:
    texts = (text_of(column[place].as_py()) for place in places)
    return tuple(repr(text)[1:-1][:_LONGEST] or '""' for text in texts)


def _list(values: Sequence[Any]) -> str:
    shown = ", ".join(text_of(value) for value in values[:6])
    return shown if len(values) <= 6 else f"{shown}, … ({len(values)})"  # noqa: PLR2004


def hidden_columns(settings: Mapping[str, Any]) -> frozenset[str]:
    """Return the columns whose values are not to be shown, from the settings of the step."""
    columns = settings.get("columns") or {}
    marked = (name for name, rules in columns.items() if rules.get("sensitive") or rules.get("personal"))
    return frozenset([*(settings.get("sensitive") or ()), *marked])


def report(table: pa.Table, checks: int, warnings: Sequence[str]) -> dict[str, Any]:
    """Return the stored report of a validation that passed."""
    sizes = {"rows": table.num_rows, "columns": len(table.column_names)}
    return {"format": 1, **sizes, "checks": checks, "warnings": list(warnings)}
