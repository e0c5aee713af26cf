"""The tables of the index: what SQLite holds of each commit, and how it is opened and filled.

While a whole ledger is indexed, there are neither indices nor a journal: the file is made aside, and counts once whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from custody.ledger.rows import WIDTH, Row
from custody.ledger.runs import COLUMNS, INDEX, VIEW

FORMAT = "5"
_BATCH = 100
_CACHE = 16 * 1024
"""KiB for a whole ledger: sorting for an index takes no more."""
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TABLE commits (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL, line INTEGER NOT NULL, record TEXT, kind TEXT, model TEXT, run TEXT,
  noted INTEGER NOT NULL, subject TEXT, author TEXT, at TEXT, version INTEGER, stage TEXT, before TEXT, actor TEXT,
  steps TEXT, {COLUMNS})""",
    "CREATE TABLE steps (place INTEGER PRIMARY KEY, key INTEGER NOT NULL)",
    VIEW,
    INDEX,
    "CREATE INDEX by_move ON commits (position) WHERE kind IN ('promotion', 'hold', 'retire', 'rename')",
    "CREATE INDEX by_rename ON commits (position) WHERE kind = 'rename'",
)
"""Tables, and the indices that hold few of their rows; all others are cheaper to make of what is there."""
_BY_KEY = "CREATE INDEX by_key ON steps (key)"
_INDICES = (
    "CREATE UNIQUE INDEX by_id ON commits (id)",
    "CREATE INDEX by_record ON commits (record) WHERE record IS NOT NULL",
    "CREATE INDEX by_run ON commits (run, kind) WHERE run IS NOT NULL",
    "CREATE INDEX by_model ON commits (model, position) WHERE model IS NOT NULL",
    _BY_KEY,
)
STEPS = 64
"""Places for the steps of one commit: `place` is its position times this, and the number of the step."""
_PREFIX = 13
"""Hexadecimal digits of a step's key that the trailer `Steps` holds."""

_VALUES = ", ".join(["nullif(?, '')"] * WIDTH)
_INSERT = f"INSERT INTO commits VALUES ({_VALUES})"  # noqa: S608  (question marks alone)


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
            connection,
            (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                "PRAGMA locking_mode = EXCLUSIVE",
                f"PRAGMA cache_size = -{_CACHE}",
                "PRAGMA page_size = 8192",
            ),
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
    found = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY type DESC"
    for kind, name in connection.execute(found).fetchall():
        connection.execute(f'DROP {kind} "{name}"')
    _execute(connection, (*_SCHEMA, *_INDICES))


def insert(connection: sqlite3.Connection, rows: Iterator[Row]) -> None:
    """Insert rows one by one, so that a long history never lies in memory as a whole."""
    connection.executemany(_INSERT, rows)


def drop_after(connection: sqlite3.Connection, position: int) -> None:
    """Delete all rows behind a position."""
    connection.execute("DELETE FROM commits WHERE position > ?", (position,))
    connection.execute("DELETE FROM steps WHERE place > ?", (position * STEPS + STEPS - 1,))
    connection.execute("UPDATE meta SET value = min(value + 0, ?) WHERE key = 'keyed'", (position,))


def fill_steps(connection: sqlite3.Connection) -> None:
    """Bring the table of steps up to that of commits. Most commands never ask for a key, so catching up does not."""
    ends = "SELECT (SELECT value + 0 FROM meta WHERE key = 'keyed'), (SELECT MAX(position) FROM commits)"
    filled, last = connection.execute(ends).fetchone()
    if filled == last:
        return
    with transaction(connection):
        filled, last = connection.execute(ends).fetchone()
        if filled is None:
            connection.execute("DROP INDEX by_key")
        told = connection.execute(
            "SELECT position, steps FROM commits WHERE position > ? AND steps IS NOT NULL",
            (-1 if filled is None else filled,),
        )
        while batch := told.fetchmany(_BATCH):
            _insert_steps(connection, [(position, *keys_of(steps)) for position, steps in batch])
        if filled is None:
            connection.execute(_BY_KEY)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('keyed', ?)", (last,))


def keys_of(steps: str) -> list[int]:
    """Return the numbers of the keys of `fetch=k1:11c7175bce37c …`."""
    found = map(number_of, steps.split()[:STEPS])
    return [number for number in found if number is not None]


def number_of(key: str) -> int | None:
    """Return the number under which a key is kept, also of `train=<its beginning>`; None where it is none.

    Few keys share one.
    """
    try:
        return int(key.rpartition("=")[2].rpartition(":")[2][:_PREFIX], 16)
    except ValueError:
        return None


def _insert_steps(connection: sqlite3.Connection, rows: Sequence[tuple[int, ...]]) -> None:
    """Insert (position, key, …); all of a commit in one statement, since that costs little more than one key."""
    for count in {len(row) - 1 for row in rows} - {0}:
        values = ", ".join(f"(?1 * {STEPS} + {number}, ?{number + 2})" for number in range(count))
        connection.executemany(f"INSERT INTO steps VALUES {values}", [row for row in rows if len(row) == count + 1])  # noqa: S608


def _opened(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)


def _execute(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)
