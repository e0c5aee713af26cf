"""A derived index of the ledger in SQLite: trailers by id, run, model and step key. Deleted or damaged, it is rebuilt.

Rows are in landing order: first parent first, then what only the other parents reach, parents before children, then
the commit itself. It depends on the head alone, never on a clock. Catching up walks from the head to the first commit
on the indexed line; so it costs what is new, not what is there. Own records that have not landed on the remote stand
behind the head, as its tail; they get their final positions when they land.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from custody.domain.record import Entry
from custody.errors import LedgerError
from custody.git.objects import Repository
from custody.ledger.codec import decode
from custody.ledger.locks import FOLDER, file_lock
from custody.ledger.runs import INSERT as INSERT_RUN
from custody.ledger.runs import SCHEMA as RUNS
from custody.ledger.runs import run_row

_FORMAT = "3"
_BATCH = 2000
_SCHEMA = f"""{RUNS}
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, line INTEGER NOT NULL,
  record TEXT, kind TEXT, model TEXT, run TEXT, key TEXT, noted INTEGER NOT NULL,
  subject TEXT, author TEXT, at TEXT, version INTEGER, stage TEXT, before TEXT, actor TEXT);
CREATE INDEX by_record ON commits (record) WHERE record IS NOT NULL;
CREATE INDEX by_run ON commits (run, kind) WHERE run IS NOT NULL;
CREATE INDEX by_model ON commits (model, position) WHERE model IS NOT NULL;
CREATE INDEX by_key ON commits (key) WHERE key IS NOT NULL;
CREATE INDEX by_move ON commits (position) WHERE kind IN ('promotion', 'hold', 'retire', 'rename');
CREATE INDEX by_rename ON commits (position) WHERE kind = 'rename';
CREATE INDEX by_note ON commits (position) WHERE noted;
CREATE TABLE steps (prefix TEXT NOT NULL, step TEXT NOT NULL, position INTEGER NOT NULL);
CREATE INDEX by_prefix ON steps (prefix, position);
CREATE INDEX by_position ON steps (position);
"""
_NOT_NOW = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_Landed = tuple[str, tuple[str, ...]]
"""A commit of the first-parent line, and its other parents."""
_DIGITS = 10
_NOTHING = (None, None, None, None, None, False, None, None, None, None, None, None, None)
_BEFORE = ("Replaces", "From", "Was")
"""Trailers that say what was there before: the run that a stage pointed to, or the name of the model."""
PREFIX = 16
"""Characters of a step's key that the trailer `Steps` holds."""


class Index:
    """The index of one ledger. Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, repository: Repository, name: str = "index.db") -> None:
        """`name` is the file's: each branch has an index of its own."""
        self._repository = repository
        self._path = repository.common_dir / FOLDER / name
        self._opened: sqlite3.Connection | None = None
        self._inode = 0
        self._memory = False
        self._at: tuple[str | None, tuple[str, ...]] = None, ()

    def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def complete(self) -> bool:
        """Whether it holds the whole ledger; a shallow clone does not have it all."""
        return self._meta("cut") in {None, ""}

    def catch_up(self, head: str | None, tail: tuple[str, ...] = ()) -> None:
        """Bring the index to `head`, and to the commits of `tail` behind it.

        Raises LedgerError where the history itself is damaged.
        """
        self._at = head, tail
        try:
            self._refresh()
            if self._meta("head") == _named(head, tail) and self._cut_is_current():
                return
            self._catch_up(head, tail)
        except sqlite3.DatabaseError as error:
            self._recover(error)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a SELECT over `commits`, `steps` and `runs`."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            self._recover(error)
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Any:
        """Return the first value of the first row of a SELECT; None where there is no row."""
        rows = self.query(sql, *values)
        return rows[0][0] if rows else None

    def rows(self) -> Iterator[Rows]:
        """Yield what is indexed of each commit, in order. Raises sqlite3.Error."""
        steps = self._connection.execute("SELECT position, step, prefix FROM steps ORDER BY position, rowid")
        runs = self._connection.execute("SELECT * FROM runs ORDER BY position")
        step, run = steps.fetchone(), runs.fetchone()
        for row in self._connection.execute("SELECT * FROM commits ORDER BY position"):
            told, found = [], None
            while step is not None and step[0] <= row[0]:
                told.append((step[1], step[2]))
                step = steps.fetchone()
            while run is not None and run[0] <= row[0]:
                found, run = run, runs.fetchone()
            yield row, told, found

    def discard(self) -> None:
        """Throw all rows away; catching up makes them again."""
        with _transaction(self._connection):
            _reset(self._connection)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> sqlite3.Connection:
        """Open the database; one in memory where the Git directory cannot be written."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            with file_lock(self._repository.common_dir, "index.lock"):
                connection = _connect(self._path)
            self._inode = self._path.stat().st_ino
            self._memory = False
        except (OSError, LedgerError, sqlite3.OperationalError):
            connection = _connect(":memory:")
            self._memory = True
        return connection

    def _refresh(self) -> None:
        """Open the file anew where another process has replaced it."""
        if self._opened is not None and not self._memory and _inode(self._path) != self._inode:
            self.close()

    def _recover(self, error: sqlite3.DatabaseError) -> None:
        """Go on after a failure: throw a damaged file away, or leave one alone that cannot be used now."""
        self.close()
        try:
            if error.sqlite_errorcode & 0xFF in _NOT_NOW:
                raise error
            with file_lock(self._repository.common_dir, "index.lock"):
                for suffix in ("-wal", "-shm", ""):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._catch_up(*self._at)
        except (OSError, LedgerError, sqlite3.DatabaseError):
            self.close()
            self._opened, self._memory = _connect(":memory:"), True
            self._catch_up(*self._at)

    def _catch_up(self, head: str | None, tail: tuple[str, ...]) -> None:
        self._refresh()
        with _transaction(self._connection):
            cut = self._repository.shallow_boundary.hex()
            if self._meta("format") != _FORMAT or self._meta("cut") != cut:
                _reset(self._connection)
            self._advance(head, tail, shallow=bool(cut))
            pairs = [("format", _FORMAT), ("head", _named(head, tail)), ("cut", cut)]
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", pairs)

    def _advance(self, head: str | None, tail: tuple[str, ...], *, shallow: bool) -> None:
        """Drop rows that are no longer on the line, and the former tail, then add the new ones."""
        new, base = self._new_line(head, shallow=shallow)
        keep = -1 if base is None else self.one("SELECT position FROM commits WHERE id = ?", base)
        for table in ("commits", "steps", "runs"):
            self._connection.execute(f"DELETE FROM {table} WHERE position > ?", (keep,))  # noqa: S608
        landed = list(self._landing_order(new, shallow=shallow))
        self._add([*landed, *((commit, False) for commit in tail)], keep + 1)

    def _new_line(self, head: str | None, *, shallow: bool) -> tuple[list[_Landed], str | None]:
        """Return first parents from the oldest new one to `head`, and the indexed commit that they stand on."""
        line: list[_Landed] = []
        here = head
        while here is not None:
            if self.one("SELECT line FROM commits WHERE id = ?", here):
                break
            parents = self._parents(here, shallow=shallow)
            line.append((here, parents[1:]))
            here = parents[0] if parents else None
        line.reverse()
        return line, here

    def _landing_order(self, line: list[_Landed], *, shallow: bool) -> Iterator[tuple[str, bool]]:
        """Yield (commit id, on the first-parent line) for new first parents and what only their merges reach."""
        new = {commit for commit, _ in line}
        for commit, others in line:
            for other in others:
                yield from ((found, False) for found in self._reached(other, new, shallow=shallow))
            yield commit, True

    def _reached(self, start: str, new: set[str], *, shallow: bool) -> Iterator[str]:
        """Yield what `start` reaches and is not yet indexed, parents before children, first parents first."""
        stack: list[tuple[str, list[str]]] = []
        pending = [start]
        while pending or stack:
            if pending:
                commit = pending.pop()
                if commit in new or self.one("SELECT 1 FROM commits WHERE id = ?", commit):
                    continue
                new.add(commit)
                stack.append((commit, list(self._parents(commit, shallow=shallow))))
            elif stack[-1][1]:
                pending.append(stack[-1][1].pop(0))
            else:
                yield stack.pop()[0]

    def _parents(self, commit: str, *, shallow: bool) -> tuple[str, ...]:
        parents = self._repository.parents(commit)
        return tuple(parent for parent in parents if self._repository.has(parent)) if shallow else parents

    def _add(self, commits: Iterable[tuple[str, bool]], position: int) -> None:
        """Insert rows in batches, so that a long history never lies in memory as a whole."""
        rows = (
            row_of(position + offset, commit, decode(self._repository.commit(commit)), line=line)
            for offset, (commit, line) in enumerate(commits)
        )
        while batch := list(islice(rows, _BATCH)):
            self._connection.executemany(
                "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row for row, _, _ in batch],
            )
            steps = [(prefix, step, row[0]) for row, found, _ in batch for step, prefix in found]
            self._connection.executemany("INSERT INTO steps VALUES (?, ?, ?)", steps)
            self._connection.executemany(INSERT_RUN, [run for _, _, run in batch if run])

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _cut_is_current(self) -> bool:
        return self._meta("cut") == self._repository.shallow_boundary.hex() and self._meta("format") == _FORMAT


def _named(head: str | None, tail: tuple[str, ...]) -> str:
    """Return the name under which the index remembers where it stands."""
    return "+".join([head or "", *tail[-1:]])


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    try:
        if path != ":memory:":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            with _transaction(connection):
                _reset(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _reset(connection: sqlite3.Connection) -> None:
    """Make the tables anew, whatever was there."""
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)


Rows = tuple[tuple[Any, ...], list[tuple[str, str]], tuple[Any, ...] | None]
"""A commit's own row, the (step, prefix of its key) that it tells, and the row of the run that it is about."""


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
    pairs = (item.partition("=") for item in first.get("Steps", "").split())
    steps = [(step, prefix[:PREFIX]) for step, _, prefix in pairs if prefix]
    return row, steps, run_row(position, entry, first)


def _number(version: str | None) -> int | None:
    digits = (version or "").removeprefix("v")
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < _DIGITS else None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
