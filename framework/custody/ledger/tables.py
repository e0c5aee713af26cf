"""The tables of the index: what SQLite holds of each commit, and how it is opened and filled.

While a whole ledger is indexed, there are neither indices nor a journal: the file is made aside, and counts once whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from custody.domain.record import Entry
from custody.ledger.runs import INDICES as RUNS_INDICES
from custody.ledger.runs import INSERT as INSERT_RUN
from custody.ledger.runs import SCHEMA as RUNS
from custody.ledger.runs import run_row

FORMAT = "4"
TABLES = ("commits", "steps", "runs")
"""Those that have a position."""
_BATCH = 500
_SCHEMA = (
    RUNS,
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE commits (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL, line INTEGER NOT NULL,
  record TEXT, kind TEXT, model TEXT, run TEXT, key TEXT, noted INTEGER NOT NULL,
  subject TEXT, author TEXT, at TEXT, version INTEGER, stage TEXT, before TEXT, actor TEXT)""",
    "CREATE TABLE steps (prefix TEXT NOT NULL, step TEXT NOT NULL, position INTEGER NOT NULL)",
)
_INDICES = (
    *RUNS_INDICES,
    "CREATE UNIQUE INDEX by_id ON commits (id)",
    "CREATE INDEX by_record ON commits (record) WHERE record IS NOT NULL",
    "CREATE INDEX by_run ON commits (run, kind) WHERE run IS NOT NULL",
    "CREATE INDEX by_model ON commits (model, position) WHERE model IS NOT NULL",
    "CREATE INDEX by_key ON commits (key) WHERE key IS NOT NULL",
    "CREATE INDEX by_move ON commits (position) WHERE kind IN ('promotion', 'hold', 'retire', 'rename')",
    "CREATE INDEX by_rename ON commits (position) WHERE kind = 'rename'",
    "CREATE INDEX by_note ON commits (position) WHERE noted",
    "CREATE INDEX by_prefix ON steps (prefix, position)",
    "CREATE INDEX by_position ON steps (position)",
)
_DIGITS = 10
_NOTHING = (None, None, None, None, None, False, None, None, None, None, None, None, None)
_BEFORE = ("Replaces", "From", "Was")
"""Trailers that say what was there before: the run that a stage pointed to, or the name of the model."""
PREFIX = 16
"""Characters of a step's key that the trailer `Steps` holds."""


Rows = tuple[tuple[Any, ...], list[tuple[str, str]], tuple[Any, ...] | None]
"""A commit's own row, the (step, prefix of its key) that it tells, and the row of the run that it is about."""


_INSERT = f"INSERT INTO commits VALUES ({', '.join('?' * 16)})"  # noqa: S608  (question marks alone)


def connect(path: Path | str) -> sqlite3.Connection:
    """Open a database; it has the tables, anew where it had none."""
    connection = _opened(path)
    try:
        if path != ":memory:":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            with transaction(connection):
                reset(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def aside(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a database for a whole ledger at `path`, without indices until all is in it."""
    path.unlink(missing_ok=True)
    connection = _opened(path)
    try:
        _execute(
            connection, ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA locking_mode = EXCLUSIVE")
        )
        with transaction(connection):
            _execute(connection, _SCHEMA)
            yield connection
            _execute(connection, _INDICES)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def reset(connection: sqlite3.Connection) -> None:
    """Make the tables anew, whatever was there."""
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    _execute(connection, (*_SCHEMA, *_INDICES))


def insert(connection: sqlite3.Connection, rows: Iterator[Rows]) -> None:
    """Insert rows in batches, so that a long history never lies in memory as a whole."""
    while batch := list(islice(rows, _BATCH)):
        connection.executemany(_INSERT, [row for row, _, _ in batch])
        steps = [(prefix, step, row[0]) for row, found, _ in batch for step, prefix in found]
        connection.executemany("INSERT INTO steps VALUES (?, ?, ?)", steps)
        connection.executemany(INSERT_RUN, [run for _, _, run in batch if run])


def row_of(position: int, commit: str, entry: Entry | None, *, line: bool) -> Rows:
    """Return the rows of a commit, which holds `entry`."""
    if entry is None:
        return (position, commit, line, *_NOTHING), [], None
    first = dict(reversed(entry.trailers))
    row = (
        position,
        commit,
        line,
        entry.id,
        entry.kind,
        first.get("Model"),
        first.get("Run"),
        first.get("Key"),
        "Note" in first,
        entry.subject,
        entry.author,
        entry.at,
        _number(first.get("Version")),
        first.get("Stage"),
        next((first[name] for name in _BEFORE if name in first), None),
        first.get("Actor"),
    )
    pairs = [item.partition("=") for item in first.get("Steps", "").split()]
    steps = [(step, prefix[:PREFIX]) for step, _, prefix in pairs if prefix]
    return row, steps, run_row(position, entry, first)


def _number(version: str | None) -> int | None:
    digits = (version or "").removeprefix("v")
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < _DIGITS else None


def _opened(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)


def _execute(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)
