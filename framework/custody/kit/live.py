"""Live rows where they lie, in pieces: the columns that are wanted, of a range of time; never a whole file in memory.

Text (CSV, JSON lines) is not typed here: `kit/lenient.py` does that, so that what does not fit can be counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.core.instants import micros
from custody.errors import ContractError
from custody.kit.connectors import refuse_unknown
from custody.kit.connectors.file import PARAMS, file_format, locate, shown_path
from custody.kit.connectors.url import copied
from custody.kit.lenient import moments

ROWS = 65_536
"""Rows that are looked at together."""
_BLOCK = 8 << 20
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Feed:
    """The files of a live source, in order, and how they are read: `with_` holds the connector's options.

    `time` is the column of when (None: rows are read whatever time they are of), `written` its declared format, `zone`
    what times without an offset are of.
    """

    paths: tuple[tuple[Path, str], ...]
    with_: Mapping[str, Any]
    time: str | None = None
    written: str | None = None
    zone: str = "UTC"


@dataclass(slots=True)
class Seen:
    """What reading went past.

    `columns` of the source; `newest`, the moment of the newest row before the range (microseconds); `malformed` rows,
    which could not be divided into columns; `undated` rows, whose time could not be read and that stand nowhere.
    """

    columns: dict[str, None] = field(default_factory=dict)
    newest: int | None = None
    malformed: int = 0
    undated: int = 0
    example: str | None = None
    """A time that could not be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows within the range: their raw columns and moments; `dated` tells where the time was the row's own.

    Rows whose time cannot be read stand in the middle between the rows before and after them. `trailing` ones come
    after all others, at the moment of the last row that has one (0: there is none).
    """

    table: pa.Table
    times: NDArray[np.int64]
    dated: NDArray[np.bool_]
    trailing: bool = False


@contextmanager
def located(uses: str, with_: Mapping[str, Any], root: Path) -> Iterator[tuple[tuple[Path, str], ...]]:
    """Give the files of a source for as long as the block lasts, with the names by which they are shown.

    Raises ContractError where they cannot be had, RefusedError where they lie where they must not be read.
    """
    match uses:
        case "file":
            yield files_of(with_, root)
        case "url":
            with copied(with_) as copy:
                yield ((copy.path, copy.shown),)
        case _:
            raise ContractError(f"rows are not read from {uses} in pieces", help=("uses: file, or uses: url",))


def files_of(with_: Mapping[str, Any], root: Path) -> tuple[tuple[Path, str], ...]:
    """Return the files of `path`, which may hold `*`, with the names by which they are shown, in order of name.

    Raises ContractError where there is none, RefusedError where one lies outside of the project.
    """
    refuse_unknown(with_, PARAMS, "file")
    path = str(with_["path"])
    if not _PATTERN & set(path):
        found = [locate(path, root)]
    else:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            locate(path.partition("*")[0], root)
        found = [locate(item.relative_to(root).as_posix(), root) for item in sorted(root.glob(path)) if item.is_file()]
    if not found or not all(item.is_file() for item in found):
        raise ContractError(f"the live source {path} is not there", code="source.missing")
    return tuple((item, shown_path(item, root)) for item in found)


def tables(feed: Feed, wanted: Sequence[str], seen: Seen) -> Iterator[pa.Table]:
    """Yield all rows with those of the columns `wanted` that are there. Raises ContractError as `pieces`."""
    for path, shown in feed.paths:
        with _opened(path, shown, feed, wanted, None, seen) as found:
            yield from found


def pieces(feed: Feed, wanted: Sequence[str] | None, start: datetime, end: datetime, seen: Seen) -> Iterator[Piece]:
    """Yield the rows from `start` to before `end` with those of the columns `wanted` (None: all) that are there.

    Fills `seen`. Raises ContractError where a file cannot be read or has no time column.
    """
    span = _micros(start), _micros(end)
    stream = _Stream(feed, span, seen)
    for path, shown in feed.paths:
        with _opened(path, shown, feed, wanted, span, seen) as found:
            for table in found:
                yield from stream.take(table)
    yield from stream.rest()


class _Stream:
    """The rows of all files one after another. Rows without a time are held until one with a time follows."""

    def __init__(self, feed: Feed, span: tuple[int, int], seen: Seen) -> None:
        self._feed = feed
        self._span = span
        self._seen = seen
        self._last: int | None = None
        self._held: list[pa.Table] = []

    def take(self, table: pa.Table) -> Iterator[Piece]:
        """Yield the rows of `table` that lie in the range, those that were held before it."""
        column = table.column(str(self._feed.time))
        times, dated = moments(column, self._feed.written, self._feed.zone)
        if not dated.all() and self._seen.example is None:
            missed = column.filter(pa.array(~dated)).drop_null()
            self._seen.example = str(missed[0])[:40] if len(missed) else "(null)"
        if not dated.any():
            self._held.append(table)
            # so many are no strays: they are told, and need not be kept
            if sum(held.num_rows for held in self._held) > ROWS:
                yield from self.rest()
            return
        places = np.flatnonzero(dated)
        yield from self._between(int(times[places[0]]))
        times = _filled(times, dated, self._last)
        before = times[dated & (times < self._span[0])]
        if len(before):
            self._seen.newest = max(int(before.max()), self._seen.newest or int(before.max()))
        end = int(places[-1]) + 1
        self._last = int(times[end - 1])
        if end < table.num_rows:
            self._held.append(table.slice(end))
        yield from self._within(table.slice(0, end), times[:end], dated[:end])

    def rest(self) -> Iterator[Piece]:
        """Yield the rows that are held, which nothing follows."""
        for table in self._held:
            self._seen.undated += table.num_rows
            nothing = np.zeros(table.num_rows, dtype=bool)
            yield Piece(table, np.full(table.num_rows, self._last or 0), nothing, trailing=True)
        self._held = []

    def _between(self, following: int) -> Iterator[Piece]:
        """Yield the rows that are held, now that one follows them."""
        middle = following if self._last is None else (self._last + following) // 2
        for table in self._held:
            nothing = np.zeros(table.num_rows, dtype=bool)
            yield from self._within(table, np.full(table.num_rows, middle), nothing)
        self._held = []

    def _within(self, table: pa.Table, times: NDArray[np.int64], dated: NDArray[np.bool_]) -> Iterator[Piece]:
        within = (times >= self._span[0]) & (times < self._span[1])
        if within.any():
            yield Piece(table.filter(pa.array(within)), times[within], dated[within])


def _filled(times: NDArray[np.int64], dated: NDArray[np.bool_], last: int | None) -> NDArray[np.int64]:
    """Give rows without a time the middle of the times around them; after the last time they keep 0."""
    if dated.all():
        return times
    places = np.arange(len(times))
    before = np.maximum.accumulate(np.where(dated, places, -1))
    after = np.minimum.accumulate(np.where(dated, places, len(times))[::-1])[::-1]
    later = times[np.minimum(after, len(times) - 1)]
    earlier = np.where(before >= 0, times[before], later if last is None else last)
    return np.where(dated, times, (earlier + later) // 2)


@contextmanager
def _opened(
    path: Path, shown: str, feed: Feed, wanted: Sequence[str] | None, span: tuple[int, int] | None, seen: Seen
) -> Iterator[Iterator[pa.Table]]:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
            match file_format(feed.with_, path):
                case "parquet":
                    yield _parquet(file, shown, feed, wanted, span, seen)
                case "csv":
                    yield _csv(file, path, shown, feed, wanted, seen)
                case _:
                    yield _json_lines(path, shown, feed, wanted, seen)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ContractError(f"{shown} cannot be read: {first}", code="source.missing") from error


def _chosen(names: Sequence[str], feed: Feed, wanted: Sequence[str] | None, shown: str, seen: Seen) -> list[str]:
    seen.columns.update(dict.fromkeys(names))
    if feed.time is not None and feed.time not in names:
        some = ", ".join(list(names)[:20])
        raise ContractError(
            f"{shown} has no column {feed.time}, which says when its rows are from; it has {some}",
            code="data.missing",
            help=("mend live.time: in monitors.yaml, or the source",),
        )
    return [name for name in names if wanted is None or name in wanted or name == feed.time]


def _parquet(
    file: Any, shown: str, feed: Feed, wanted: Sequence[str] | None, span: tuple[int, int] | None, seen: Seen
) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    chosen = _chosen(opened.schema_arrow.names, feed, wanted, shown, seen)
    every = range(opened.num_row_groups)
    groups = [place for place in every if span is None or _overlaps(opened.metadata.row_group(place), feed, span)]
    for batch in opened.iter_batches(batch_size=ROWS, row_groups=groups, columns=chosen):
        yield pa.Table.from_batches([batch])


def _overlaps(group: Any, feed: Feed, span: tuple[int, int]) -> bool:
    """Whether rows of the group may lie in the range, or just before it: a day is more than zones differ."""
    for place in range(group.num_columns):
        column = group.column(place)
        found = column.statistics if column.path_in_schema == feed.time else None
        if found is not None and found.has_min_max and isinstance(found.min, date):
            day = 86_400_000_000
            return _micros(found.max) >= span[0] - day and _micros(found.min) < span[1] + day
    return True


def _csv(file: Any, path: Path, shown: str, feed: Feed, wanted: Sequence[str] | None, seen: Seen) -> Iterator[pa.Table]:
    from pyarrow import csv

    with_ = feed.with_
    reading = csv.ReadOptions(block_size=_BLOCK, encoding=str(with_.get("encoding", "utf-8")))
    names = csv.open_csv(file, read_options=reading, parse_options=_parsing(with_, path)).schema.names
    chosen = _chosen(names, feed, wanted, shown, seen)
    file.seek(0)

    def skip(_: Any) -> str:
        seen.malformed += 1
        return "skip"

    parsing = _parsing(with_, path)
    parsing.invalid_row_handler = skip
    converting = csv.ConvertOptions(
        column_types=dict.fromkeys(chosen, pa.string()),
        include_columns=chosen,
        null_values=[str(text) for text in with_.get("nulls", [""])],
        strings_can_be_null=True,
    )
    for batch in csv.open_csv(file, read_options=reading, parse_options=parsing, convert_options=converting):
        yield pa.Table.from_batches([batch])


def _parsing(with_: Mapping[str, Any], path: Path) -> Any:
    from pyarrow import csv

    default = "\t" if path.suffix.lower() == ".tsv" else ","
    return csv.ParseOptions(
        delimiter=str(with_.get("delimiter", default)),
        newlines_in_values=True,
        invalid_row_handler=lambda _: "skip",
    )


def _json_lines(path: Path, shown: str, feed: Feed, wanted: Sequence[str] | None, seen: Seen) -> Iterator[pa.Table]:
    nulls = frozenset(str(text) for text in feed.with_.get("nulls", ()))
    names: dict[str, None] = {}
    rows: list[dict[str, str | None]] = []
    for record in _json_records(path, shown, seen):
        names.update(dict.fromkeys(record))
        rows.append({name: _spelled(value, nulls) for name, value in record.items()})
        if len(rows) == ROWS:
            yield _text_table(rows, _chosen(tuple(names), feed, wanted, shown, seen))
            rows = []
    if rows:
        yield _text_table(rows, _chosen(tuple(names), feed, wanted, shown, seen))


def _json_records(path: Path, shown: str, seen: Seen) -> Iterator[dict[str, Any]]:
    from custody.kit.connectors.jsonlines import lines_of, record_of

    for _, line in lines_of(path, shown):
        try:
            record = record_of(line)
        except ValueError:
            seen.malformed += 1
            continue
        if record is not None:
            yield record


def _spelled(value: Any, nulls: frozenset[str]) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None or value in nulls else str(value)


def _text_table(rows: Sequence[Mapping[str, str | None]], names: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _micros(moment: date) -> int:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return micros(moment)
