"""Text tables: DuckDB reads every value as text, strict rules cast it, and each misfit is known with its row.

DuckDB sees the one file and nothing else, and installs nothing.
"""

from __future__ import annotations

import codecs
import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.errors import ContractError
from custody.kit.connectors import Contract, Source, casts
from custody.kit.connectors.faults import EXAMPLES, Fault, describe, explain

_PIECE = 1 << 20
_DISTINCT = 10_000
"""So many different bad values of a column are looked at for what they have in common."""
_SAMPLE = 2_000
_PERHAPS = 0.5
"""A larger share of misfits among the first values says that a column is not nearly of that type."""
_NEAR = 0.1
"""A text column is reported where so small a share of its values keeps it from being of another type."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text table is written; `nulls` are the spellings that mean a missing value."""

    delimiter: str = ","
    nulls: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of records that were something else before they were delimited text.

    `lines` is the line of each, `texts` are the columns that are never numbers, and the first spelling of a missing
    value is one of our own.
    """

    lines: Sequence[int]
    texts: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The text as loaded: column `c<i>` of the table `raw` holds the i-th column of `names`."""

    connection: Any
    names: tuple[str, ...]
    path: Path
    dialect: Dialect
    shown: str
    records: Records | None = None

    @property
    def nulls(self) -> tuple[str, ...]:
        """The declared spellings of a missing value."""
        return self.dialect.nulls[1:] if self.records else self.dialect.nulls

    def one(self, query: str) -> tuple[Any, ...]:
        return self.all(query)[0]

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return list(self.connection.sql(query).fetchall())


def read_delimited(
    path: Path, dialect: Dialect, columns: Contract, shown: str, records: Records | None = None
) -> Source:
    """Read a text table with the declared types; a column without one gets the type that all its values have.

    Raises ContractError that names every value that does not fit: column, count, examples, what they have in common.
    """
    _refuse_bad_dialect(dialect)
    names = _header(path, dialect, shown)
    with tempfile.TemporaryDirectory(prefix="custody-") as scratch:
        source = Path(scratch) / "source.csv"
        _offer(path, source, dialect, shown)
        with _connect(source) as connection:
            loaded = _Loaded(connection, names, path, dialect, shown, records)
            _load(loaded, source)
            return _typed(loaded, columns)


def _typed(loaded: _Loaded, columns: Contract) -> Source:
    import duckdb

    names = loaded.names
    known = {name: columns[name] for name in names if columns.get(name, {}).get("type")}
    inferred = {name: _infer(loaded, index) for index, name in enumerate(names) if name not in known}
    contract = {**{name: {"type": kind} for name, kind in inferred.items()}, **known}
    table = _cast(loaded, contract)
    # of personal columns nothing is said, not even how their values are spelled
    texts = [name for name in inferred if inferred[name] == "string" and not columns.get(name, {}).get("personal")]
    warnings = tuple(warning for name in texts for warning in _near_misses(loaded, name))
    return Source(table, {"reader": f"duckdb {duckdb.__version__}"}, inferred, warnings)


def _refuse_bad_dialect(dialect: Dialect) -> None:
    if len(dialect.delimiter) != 1 or dialect.delimiter in '"\r\n\0':
        raise ContractError(f"{dialect.delimiter!r} cannot be a delimiter: one character is expected")
    try:
        # unlike `codecs.lookup` this refuses what is no encoding of text, such as rot13 and hex
        "".encode(dialect.encoding)
    except LookupError:
        message = f"there is no text encoding called {dialect.encoding!r}"
        raise ContractError(message, help=("such as utf-8, cp1252, latin-1 or utf-16",)) from None


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it starts, values) of each record; empty lines are none."""
    encoding = "utf-8-sig" if _is_utf8(dialect) else dialect.encoding
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=dialect.delimiter)
        line = 1
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1


def _is_utf8(dialect: Dialect) -> bool:
    return codecs.lookup(dialect.encoding).name == "utf-8"


def _header(path: Path, dialect: Dialect, shown: str) -> tuple[str, ...]:
    try:
        _, names = next(_records(path, dialect))
    except StopIteration:
        raise ContractError(f"{shown} is empty: a first line with the names of the columns is expected") from None
    except UnicodeError:
        raise _not_text(dialect, shown) from None
    except csv.Error as error:
        raise ContractError(f"the first line of {shown} cannot be read: {error}") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ContractError(f"{shown} has two columns called {twice[0]!r}", help=("rename one of them in the file",))
    other = next((mark for mark in ";\t|," if len(names) == 1 and mark in names[0]), None)
    if other:
        hint = f"in dataset.yaml: source.with.delimiter: {_quoted(other)}"
        raise ContractError(f"{shown} has one column only, and {_quoted(other)} in its name", help=(hint,))
    return tuple(names)


def _quoted(text: str) -> str:
    return '"\\t"' if text == "\t" else f'"{text}"'


def _not_text(dialect: Dialect, shown: str) -> ContractError:
    hint = "in dataset.yaml: source.with.encoding: cp1252 (Windows), latin-1 or utf-16"
    return ContractError(f"{shown} is not {dialect.encoding} text", help=(hint,))


@contextmanager
def _connect(source: Path) -> Iterator[Any]:
    """Open a DuckDB that can read `source` and nothing else; where it is a link it must be there already."""
    import duckdb

    off = "false"
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": off, "autoload_known_extensions": off}
    )
    try:
        connection.execute(f"set temp_directory = {casts.literal(str(source.parent / 'spill'))}")
        connection.execute(f"set allowed_paths = [{casts.literal(str(source))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _load(loaded: _Loaded, source: Path) -> None:
    """Load all values as text; raises ContractError for records that are no records."""
    texts = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(loaded.names)))
    spelled = ", ".join(casts.literal(text) for text in loaded.dialect.nulls)
    value = "case when c{0} in ({1}) then null else c{0} end as c{0}" if spelled else "c{0}"
    values = ", ".join(value.format(index, spelled) for index in range(len(loaded.names)))
    loaded.connection.execute(
        # `nullstr` must be given, or DuckDB takes an empty text for null whatever is declared
        f"create temp table raw as select {values} from read_csv({casts.literal(str(source))}, auto_detect = false, "  # noqa: S608
        f"header = true, delim = {casts.literal(loaded.dialect.delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{texts}}}, nullstr = ['\x01no such text'], store_rejects = true, rejects_limit = 0)"
    )
    rejects = loaded.all("select line, error_type, error_message from reject_errors order by line, error_type")
    if rejects:
        raise _broken(rejects, loaded)


def _offer(path: Path, source: Path, dialect: Dialect, shown: str) -> None:
    """Put the file where DuckDB may read it: a link, as names with `*` or `[` are patterns to DuckDB."""
    if _is_utf8(dialect):
        source.symlink_to(path)
        return
    try:
        with (
            path.open(encoding=dialect.encoding, newline="") as file,
            source.open("w", encoding="utf-8", newline="") as copy,
        ):
            while piece := file.read(_PIECE):
                copy.write(piece)
    except UnicodeError:
        raise _not_text(dialect, shown) from None


def _broken(rejects: Sequence[tuple[Any, ...]], loaded: _Loaded) -> ContractError:
    if any("ENCODING" in kind or "UNICODE" in kind for _, kind, _ in rejects):
        return _not_text(loaded.dialect, loaded.shown)
    lines = sorted({line for line, _, _ in rejects})
    causes = [f"line {line}: {message.splitlines()[0]}" for line, _, message in rejects[:EXAMPLES]]
    count = f"{len(lines):,} line{'s' * (len(lines) != 1)}"
    return ContractError(
        f"{loaded.shown}: {count} cannot be divided into the {len(loaded.names)} columns of the first line",
        code="data.malformed",
        because=tuple(causes),
        help=("put values that hold the delimiter in double quotes, or set source.with.delimiter in dataset.yaml",),
    )


def _infer(loaded: _Loaded, index: int) -> str:
    """Return the narrowest type that all values of a column have; text that would lose something stays text."""
    column = f"c{index}"
    texts = loaded.records is not None and loaded.names[index] in loaded.records.texts
    for kind in casts.TIMES if texts else casts.INFERRED:
        cast = casts.strict(column, kind, loaded.dialect.decimal)
        present, missed = loaded.one(_misses(column, cast, sample=True))
        if not present:
            break
        if not missed and not loaded.one(_misses(column, cast))[1]:
            return "timestamp" if kind == "instant" else kind
    return "string"


def _misses(column: str, cast: str, *, sample: bool = False) -> str:
    """Return the query for (values, values that do not fit); a sample is cheap and often says no already."""
    table = f"(select {column} from raw where {column} is not null limit {_SAMPLE})" if sample else "raw"  # noqa: S608
    return f"select count({column}), count({column}) - count({cast}) from {table}"  # noqa: S608


def _cast(loaded: _Loaded, contract: Mapping[str, Mapping[str, Any]]) -> Any:
    import pyarrow as pa

    casted = [_expression(loaded, index, contract[name]) for index, name in enumerate(loaded.names)]
    values = ", ".join(f"{cast} as c{index}" for index, cast in enumerate(casted))
    loaded.connection.execute(f"create temp table typed as select {values} from raw order by rowid")  # noqa: S608
    counts = ", ".join(f"count(c{index})" for index in range(len(casted)))
    rows, *present = loaded.one(f"select count(*), {counts} from raw")  # noqa: S608
    fit = loaded.one(f"select {counts} from typed")  # noqa: S608
    wrong = [index for index in range(len(casted)) if present[index] != fit[index]]
    if wrong:
        found = [_fault(loaded, index, casted[index], contract[loaded.names[index]], rows) for index in wrong]
        raise explain(found, loaded.shown)
    table = loaded.connection.sql("select * from typed order by rowid").to_arrow_table()
    return pa.table(table.columns, names=list(loaded.names))


def _expression(loaded: _Loaded, index: int, column: Mapping[str, Any]) -> str:
    name, kind, written = f"c{index}", str(column["type"]), column.get("format")
    if kind == "timestamp" and not written:
        zoned = loaded.one(f"select count(*) from raw where {casts.has_zone(name)}")[0]  # noqa: S608
        return casts.timestamp(name, zoned=bool(zoned))
    if written:
        _refuse_bad_format(loaded, index, str(written))
    return casts.declared(name, kind, written, loaded.dialect.decimal)


def _refuse_bad_format(loaded: _Loaded, index: int, written: str) -> None:
    import duckdb

    try:
        loaded.one(f"select try_strptime('', {casts.literal(written)})")
    except duckdb.Error:
        message = f"{written!r} is not a date format of column {loaded.names[index]}"
        raise ContractError(message, help=('such as format: "%d/%m/%Y", as strptime has it',)) from None


def _fault(loaded: _Loaded, index: int, cast: str, column: Mapping[str, Any], rows: int) -> Fault:
    name = f"c{index}"
    bad = f"from raw where {name} is not null and ({cast}) is null"
    values = loaded.all(f"{_bad_values(name, cast)} limit {_DISTINCT}")
    count = loaded.one(f"select count(*) {bad}")[0]
    first = loaded.all(f"select rowid, {name} {bad} order by rowid limit {EXAMPLES}")
    lines = _lines_of([row for row, _ in first], loaded)
    return Fault(
        column=loaded.names[index],
        type=str(column["type"]),
        format=column.get("format"),
        count=count,
        rows=rows,
        values=dict(values),
        examples=tuple((line, value) for line, (_, value) in zip(lines, first, strict=True)),
        nulls=loaded.nulls,
        personal=bool(column.get("personal")),
    )


def _lines_of(rows: Sequence[int], loaded: _Loaded) -> list[int | None]:
    """Return the line in the file on which each record starts (the header is not counted as a record)."""
    if loaded.records is not None:
        return [loaded.records.lines[row] for row in rows]
    wanted, found = set(rows), {}
    try:
        for number, (line, _) in enumerate(_records(loaded.path, loaded.dialect), start=-1):
            if number in wanted:
                found[number] = line
            if number >= max(wanted):
                break
    except csv.Error:  # a value longer than Python's csv takes: the values are shown without their lines
        pass
    return [found.get(row) for row in rows]


def _near_misses(loaded: _Loaded, name: str) -> Iterator[str]:
    """Say where a column became text although few of its values, or only their spelling, stand in the way."""
    column = f"c{loaded.names.index(name)}"
    for kind in ("number", "date", "timestamp"):
        cast = casts.strict(column, kind, loaded.dialect.decimal)
        present, missed = loaded.one(_misses(column, cast, sample=True))
        if not present:
            return
        spelled = kind == "date" and missed == present and _looks_like_dates(loaded, name, column)
        if not spelled and missed > present * _PERHAPS:
            continue
        present, missed = loaded.one(_misses(column, cast))
        if not missed:
            continue
        common, remedy = describe(_near_fault(loaded, name, kind, cast, (present, missed)))
        if spelled and "format:" in remedy:
            yield f"{name} is stored as text: {common}; {remedy}"
            return
        if 0 < missed <= present * _NEAR:
            share = f"{present - missed:,} of {present:,} values are a {kind}"
            then = "" if "columns." in remedy else f", columns.{name}: {{type: {kind}}}"
            yield f"{name} is stored as text: {share}, {common}; {remedy}{then}"
            return


def _looks_like_dates(loaded: _Loaded, name: str, column: str) -> bool:
    rows = loaded.all(f"select {column}, count(*) from raw where {column} is not null group by 1 limit 100")  # noqa: S608
    values = dict(rows)
    fault = Fault(name, "date", None, sum(values.values()), 0, values, (), loaded.nulls, personal=False)
    return "format:" in describe(fault)[1]


def _near_fault(loaded: _Loaded, name: str, kind: str, cast: str, counts: tuple[int, int]) -> Fault:
    column = f"c{loaded.names.index(name)}"
    values = dict(loaded.all(f"{_bad_values(column, cast)} limit {_DISTINCT}"))
    present, missed = counts
    return Fault(name, kind, None, missed, present, values, (), loaded.nulls, personal=False)


def _bad_values(column: str, cast: str) -> str:
    bad = f"from raw where {column} is not null and ({cast}) is null"
    return f"select {column}, count(*) {bad} group by 1 order by 2 desc, 1"
