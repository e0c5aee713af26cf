"""From a condition to parameterised SQL over the table `runs`: names are looked up, values are always bound.

Three values, as in SQL: a comparison with what a run does not have is neither true nor false, so neither it nor its
opposite finds the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from custody.core.expression import ExpressionError, did_you_mean
from custody.core.gates import LOWER_IS_BETTER, NEARER_ZERO_IS_BETTER
from custody.domain.record import RunStatus
from custody.domain.search import (
    All,
    Comparison,
    Condition,
    Either,
    IsNull,
    Literal,
    Not,
    Operator,
    Order,
    RunQuery,
    Word,
)
from custody.ledger.runs import CURRENT, VERSION, select


class Meaning(StrEnum):
    """How a name is compared."""

    TEXT = "a text"
    ID = "an id"
    NUMBER = "a number"
    TIME = "a time"
    VERSION = "a version"
    STAGE = "a stage"
    METRIC = "a metric"
    PARAMETER = "a parameter"


FIELDS = {
    "run": (Meaning.ID, "runs.run"),
    "kind": (Meaning.TEXT, "?"),
    "model": (Meaning.TEXT, "runs.model"),
    "status": (Meaning.TEXT, "runs.status"),
    "category": (Meaning.TEXT, "runs.category"),
    "version": (Meaning.VERSION, VERSION),
    "stage": (Meaning.STAGE, ""),
    "started": (Meaning.TIME, "runs.started"),
    "finished": (Meaning.TIME, "runs.finished"),
    "when": (Meaning.TIME, "runs.finished"),
    "seconds": (Meaning.NUMBER, "runs.seconds"),
    "data": (Meaning.TEXT, "runs.data"),
    "dataset": (Meaning.TEXT, "substr(runs.data, 1, instr(runs.data, '@') - 1)"),
    "digest": (Meaning.ID, "runs.digest"),
    "gates": (Meaning.NUMBER, "runs.gates"),
    "gates.passed": (Meaning.NUMBER, "runs.passed"),
    "gates.failed": (Meaning.NUMBER, "(runs.gates - runs.passed)"),
    "code": (Meaning.ID, "runs.code"),
    "artifact": (Meaning.ID, "runs.artifact"),
    "actor": (Meaning.TEXT, "runs.actor"),
    "branch": (Meaning.TEXT, "runs.branch"),
}
"""What every run has, and the SQL for it; every other name is a parameter or a metric."""
RUN, TRIAL = "run", "trial"
_CLOSED = {"status": frozenset(map(str, RunStatus)), "kind": frozenset({RUN, TRIAL})}
_AGO = re.compile(r"-([0-9]{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = 10
_FEWEST = 4
_ESCAPED = str.maketrans({'"': "", "\\": ""})

_Sql = tuple[str, tuple[Any, ...]]


def search(query: RunQuery, *, trials: bool, own: _Sql | None = None) -> _Sql:
    """Return the SELECT for a query, and its values, on the index of the ledger or of the trials.

    `own` is the clause that takes the rows of the query's model, where those of its name are not all.
    Raises ExpressionError where a comparison means nothing. Whether a metric or parameter exists is not asked here.
    """
    compiler = _Compiler(query, TRIAL if trials else RUN)
    clauses, values = [CURRENT], list[Any]()
    if query.model is not None:
        clause, names = own or ("runs.model = ?", (query.model,))
        clauses.append(clause)
        values += names
    if query.where is not None:
        sql, more = compiler.condition(query.where)
        clauses.append(sql)
        values += more
    rank, order, ranked = "NULL", "position DESC", ()
    if query.sort is not None:
        rank, ranked = compiler.rank(query.sort)
        way = "DESC" if descends(query) else "ASC"
        order = f"rank IS NULL, rank {way}, position DESC"
    picked = f"SELECT position, {rank} AS rank FROM runs WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT ?"  # noqa: S608
    limit = -1 if query.limit is None else query.limit
    return f"{select(picked)} ORDER BY {order}", (*ranked, *values, limit)


def descends(query: RunQuery) -> bool:
    """Whether greater values come first."""
    if query.sort is None or query.order is not Order.BEST:
        return query.order is Order.DESCENDING
    lower = query.sort.text in LOWER_IS_BETTER | NEARER_ZERO_IS_BETTER
    return meaning_of(query.sort.text) is Meaning.METRIC and not lower


def names_of(query: RunQuery) -> Iterator[Word]:
    """Yield the names that a query asks for, in order."""
    if query.where is not None:
        yield from _names(query.where)
    if query.sort is not None:
        yield query.sort


def meaning_of(name: str) -> Meaning:
    """Return what a name stands for."""
    if name in FIELDS:
        return FIELDS[name][0]
    return Meaning.PARAMETER if name == "seed" or name.startswith(("train.", "prepare.")) else Meaning.METRIC


def has_name(name: str) -> _Sql:
    """Return the SELECT that finds one run with a metric or parameter of this name."""
    column = "params" if meaning_of(name) is Meaning.PARAMETER else "metrics"
    return f"SELECT 1 FROM runs WHERE json_type({column}, ?) IS NOT NULL LIMIT 1", (_path(name),)  # noqa: S608


ALL_NAMES = (
    "SELECT key FROM runs, json_each(runs.metrics) UNION SELECT key FROM runs, json_each(runs.params) ORDER BY key"
)
"""Every metric and parameter that any run has; reads the whole table."""


def _names(condition: Condition) -> Iterator[Word]:
    match condition:
        case Comparison() | IsNull():
            yield condition.name
        case Not():
            yield from _names(condition.term)
        case All() | Either():
            for term in condition.terms:
                yield from _names(term)


@dataclass(frozen=True, slots=True)
class _Compiler:
    query: RunQuery
    kind: str

    def condition(self, condition: Condition) -> _Sql:
        match condition:
            case Comparison():
                return self._comparison(condition)
            case IsNull():
                sql, values = self._present(condition.name)
                return f"({sql}) IS NULL", values
            case Not():
                sql, values = self.condition(condition.term)
                return f"NOT ({sql})", values
            case All():
                return self._joined(" AND ", condition.terms)
            case Either():
                return self._joined(" OR ", condition.terms)

    def rank(self, name: Word) -> _Sql:
        """Return what runs are sorted by."""
        meaning = meaning_of(name.text)
        if meaning is Meaning.STAGE:
            raise self._fault(name, "runs are not sorted by their stage", ("--sort when",), "--sort")
        sql, values = self._present(name)
        return (f"ABS({sql})" if name.text in NEARER_ZERO_IS_BETTER else sql), values

    def _joined(self, word: str, terms: tuple[Condition, ...]) -> _Sql:
        parts = [self.condition(term) for term in terms]
        return f"({word.join(sql for sql, _ in parts)})", tuple(value for _, values in parts for value in values)

    def _present(self, name: Word) -> _Sql:
        """Return the value of a name, null where the run has none."""
        meaning = meaning_of(name.text)
        match meaning:
            case Meaning.STAGE:
                return self._staged(tuple(self.query.stages))
            case Meaning.METRIC | Meaning.PARAMETER:
                column = "metrics" if meaning is Meaning.METRIC else "params"
                return f"json_extract(runs.{column}, ?)", (_path(name.text),)
            case _:
                sql = FIELDS[name.text][1]
                return sql, (self.kind,) if sql == "?" else ()

    def _comparison(self, asked: Comparison) -> _Sql:
        meaning = meaning_of(asked.name.text)
        if asked.operator is Operator.LIKE and meaning not in {Meaning.TEXT, Meaning.ID, Meaning.PARAMETER}:
            raise self._fault(asked.name, f"{asked.name.text} is {meaning}, and `like` compares texts")
        if asked.operator is Operator.IN:
            each = tuple(Comparison(asked.name, Operator.EQUAL, (value,)) for value in asked.values)
            return self._joined(" OR ", each)
        return self._compared(asked, asked.values[0], meaning)

    def _compared(self, asked: Comparison, value: Literal, meaning: Meaning) -> _Sql:
        match meaning:
            case Meaning.STAGE:
                return self._stage(asked, value)
            case Meaning.TIME:
                return self._time(asked, value)
            case Meaning.PARAMETER:
                return self._parameter(asked, value)
            case Meaning.ID if asked.operator in {Operator.EQUAL, Operator.UNEQUAL}:
                return self._id(asked, value)
            case Meaning.METRIC | Meaning.NUMBER:
                bound: Any = self._number(asked, value, meaning)
            case Meaning.VERSION:
                bound = self._version(asked, value)
            case _:
                bound = self._text(asked, value)
        sql, values = self._present(asked.name)
        return f"{sql} {asked.operator.upper()} ?", (*values, bound)

    def _number(self, asked: Comparison, value: Literal, meaning: Meaning) -> float:
        if isinstance(value.value, (bool, str)):
            message = f"{asked.name.text} is {meaning}; {value.word.text} is no number"
            raise self._fault(value.word, message, (f"{asked.name.text} {asked.operator} 0.8",))
        return value.value

    def _version(self, asked: Comparison, value: Literal) -> int:
        text = str(value.value).removeprefix("v")
        if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
            raise self._fault(value.word, f"{value.word.text} is no version", (f"version {asked.operator} v3",))
        return int(text)

    def _text(self, asked: Comparison, value: Literal) -> str:
        text, known = _as_text(value), _CLOSED.get(asked.name.text)
        if known and asked.operator in {Operator.EQUAL, Operator.UNEQUAL} and text not in known:
            message = f"{asked.name.text} is never {text!r}"
            raise self._fault(value.word, message, did_you_mean(text, known))
        return text

    def _id(self, asked: Comparison, value: Literal) -> _Sql:
        """An id may be given by its beginning."""
        text = _as_text(value).lower()
        if len(text) < _FEWEST:
            message = f"the beginning of an id has at least {_FEWEST} characters"
            raise self._fault(value.word, message, (f"{asked.name.text} like '{text}%'",))
        sql, values = self._present(asked.name)
        return f"substr({sql}, 1, ?) {asked.operator} ?", (*values, len(text), text)

    def _time(self, asked: Comparison, value: Literal) -> _Sql:
        """A day is the whole day: `>` is after its end, `<=` until then."""
        first, after = self._span(asked, value)
        sql, values = self._present(asked.name)
        match asked.operator:
            case Operator.EQUAL:
                return f"({sql} >= ? AND {sql} < ?)", (*values, first, *values, after)
            case Operator.UNEQUAL:
                return f"({sql} < ? OR {sql} >= ?)", (*values, first, *values, after)
            case Operator.LESS | Operator.AT_LEAST:
                return f"{sql} {asked.operator} ?", (*values, first)
            case _:
                return f"{sql} {'>=' if asked.operator is Operator.MORE else '<'} ?", (*values, after)

    def _span(self, asked: Comparison, value: Literal) -> tuple[str, str]:
        """Return the first second that a time means, and the first one after it."""
        text = _as_text(value)
        try:
            if ago := _AGO.fullmatch(text):
                back = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
                first = datetime.fromisoformat(self.query.now) - back
                return _iso(first), _iso(first + timedelta(seconds=1))
            first = datetime.fromisoformat(text)
            first = first if first.tzinfo else first.replace(tzinfo=UTC)
            return _iso(first), _iso(first + timedelta(days=1) if len(text) == _DAY else first + timedelta(seconds=1))
        except (ValueError, OverflowError) as error:
            examples = (f"{asked.name.text} >= 2026-10-01", f"{asked.name.text} >= -7d   (7 days ago; also s m h w)")
            raise self._fault(value.word, f"{value.word.text} is no time", examples) from error

    def _parameter(self, asked: Comparison, value: Literal) -> _Sql:
        """A parameter may be anything: it is compared with what is of the same type, and is unequal to the rest."""
        path = _path(asked.name.text)
        kinds = _TYPES[bool if isinstance(value.value, bool) else str if isinstance(value.value, str) else float]
        found = "json_extract(runs.params, ?)"
        typed = f"CASE WHEN json_type(runs.params, ?) IN {kinds} THEN {found} END"
        if asked.operator is Operator.UNEQUAL:
            return f"CASE WHEN {found} IS NOT NULL THEN {typed} IS NOT ? END", (path, path, path, value.value)
        if asked.operator is Operator.EQUAL:
            return f"CASE WHEN {found} IS NOT NULL THEN {typed} IS ? END", (path, path, path, value.value)
        bound = _as_text(value) if asked.operator is Operator.LIKE else value.value
        if asked.operator is Operator.LIKE:
            return f"{found} LIKE ?", (path, bound)
        return f"{typed} {asked.operator} ?", (path, path, bound)

    def _stage(self, asked: Comparison, value: Literal) -> _Sql:
        if asked.operator not in {Operator.EQUAL, Operator.UNEQUAL}:
            raise self._fault(asked.name, "a stage is compared with = or !=", ("stage = production", "stage is null"))
        name, equal = _as_text(value), asked.operator is Operator.EQUAL
        stages = tuple(stage for stage in self.query.stages if (stage == name) is equal)
        anywhere, values = self._staged(tuple(self.query.stages))
        there, more = self._staged(stages)
        return f"CASE WHEN {anywhere} IS NOT NULL THEN {there} IS NOT NULL END", (*values, *more)

    def _staged(self, stages: tuple[str, ...]) -> _Sql:
        """Return SQL that is null but for the runs that one of these stages points to."""
        runs = sorted({run for stage in stages for run in self.query.stages[stage]})
        inside = "runs.run IN (SELECT value FROM json_each(?))"
        return f"(CASE WHEN {inside} THEN 1 END)", (json.dumps(runs),)

    def _fault(self, word: Word, message: str, help: tuple[str, ...] = (), option: str = "--where") -> ExpressionError:
        text = word.text if option == "--sort" else self.query.text
        return ExpressionError(text, word, message, help, option)


_TYPES: dict[Callable[..., Any], str] = {
    bool: "('true', 'false')",
    float: "('integer', 'real')",
    str: "('text')",
}


def _as_text(value: Literal) -> str:
    """Return a value as it was typed."""
    return str(value.value) if value.quoted else value.word.text


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _path(name: str) -> str:
    return f'$."{name.translate(_ESCAPED)}"'
