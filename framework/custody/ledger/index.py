"""A derived index of the ledger in SQLite: trailers by id, run, model and step key. Deleted or damaged, it is rebuilt.

Rows are in landing order: first parent first, then what only the other parents reach, parents before children, then
the commit itself. It depends on the head alone, never on a clock. Catching up walks from the head to the first commit
on the indexed line; so it costs what is new, not what is there. Own records that have not landed on the remote stand
behind the head, as its tail; they get their final positions when they land.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from custody.errors import LedgerError
from custody.git.objects import Repository, parse_parents
from custody.ledger.locks import FOLDER, file_lock
from custody.ledger.rows import Row, row_of
from custody.ledger.spool import Spool
from custody.ledger.tables import (
    FORMAT,
    STEPS,
    aside,
    connect,
    drop_after,
    fill_steps,
    insert,
    reset,
    transaction,
)

_NOT_NOW = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_Merged = dict[str, tuple[str, ...]]
"""The other parents of merges on the first-parent line."""
_Landed = tuple[str, bytes, bool]
"""A commit, its bytes, and whether it is on the first-parent line."""


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
        except OSError:
            self._in_memory()

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

    def fill_steps(self) -> None:
        """Make `steps` hold what `commits` does: it does so only where it is asked for."""
        try:
            fill_steps(self._connection)
        except sqlite3.DatabaseError as error:
            self._recover(error)
            fill_steps(self._connection)

    def rows(self) -> Iterator[tuple[Row, list[int] | None]]:
        """Yield what is indexed of each commit, in order: its row, and the keys of its steps where they are filled in.

        Raises sqlite3.Error.
        """
        keyed = int(self._meta("keyed") or -1)
        steps = self._connection.execute("SELECT place / ?, key FROM steps ORDER BY place", (STEPS,))
        step = steps.fetchone()
        for row in self._connection.execute("SELECT * FROM commits ORDER BY position"):
            keys = list[int]()
            while step is not None and step[0] <= row[0]:
                keys.append(step[1])
                step = steps.fetchone()
            yield row, keys if row[0] <= keyed else None

    def discard(self) -> None:
        """Throw all rows away; catching up makes them again."""
        with transaction(self._connection):
            reset(self._connection)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._kept(self._open())
        return self._opened

    def _kept(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Have the connection closed at the end of the process, too: the last close merges the write-ahead log."""
        weakref.finalize(self, connection.close)
        return connection

    def _open(self) -> sqlite3.Connection:
        """Open the database; one in memory where the Git directory cannot be written."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            with file_lock(self._repository.common_dir, "index.lock"):
                connection = connect(self._path)
            self._inode = self._path.stat().st_ino
            self._memory = False
        except (OSError, LedgerError, sqlite3.OperationalError):
            connection = connect(":memory:")
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
            self._in_memory()

    def _in_memory(self) -> None:
        """Go on with an index of this process alone."""
        self.close()
        self._opened, self._memory = connect(":memory:"), True
        self._catch_up(*self._at)

    def _catch_up(self, head: str | None, tail: tuple[str, ...]) -> None:
        self._refresh()
        cut = self._repository.shallow_boundary.hex()
        whole = self._meta("head") is None or self._meta("format") != FORMAT or self._meta("cut") != cut
        if whole and not self._memory:
            self._make(head, tail, cut)
            return
        with transaction(self._connection):
            if whole:
                reset(self._connection)
            self._advance(self._connection, head, tail, cut, whole=whole)

    def _make(self, head: str | None, tail: tuple[str, ...], cut: str) -> None:
        """Index the whole ledger in a file aside, which then takes the place of the present one."""
        with file_lock(self._repository.common_dir, "index.lock"):
            path = self._path.with_name(f"{self._path.name}.new")
            with aside(path) as connection:
                self._advance(connection, head, tail, cut, whole=True)
            self._replace_by(path)

    def _replace_by(self, path: Path) -> None:
        """Put a database that is whole in the place of the present one; who has that open finds the other inode."""
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self.close()
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        path.replace(self._path)
        self._opened, self._inode = self._kept(connect(self._path)), self._path.stat().st_ino

    def _advance(
        self, connection: sqlite3.Connection, head: str | None, tail: tuple[str, ...], cut: str, *, whole: bool
    ) -> None:
        """Drop rows off the line, and the former tail, then add the new ones; `whole`: there are no rows."""
        known = _Known(connection, whole=whole)
        reading = self._repository.many_commits() if whole else nullcontext(self._repository.commit_bytes)
        with Spool(None if self._memory else self._path.parent) as spool, reading as read:
            merged, base = self._new_line(head, known, spool, read, shallow=bool(cut))
            keep = known.position(base)
            if not whole:
                drop_after(connection, keep)
            landed = self._landing_order(spool, merged, known, shallow=bool(cut))
            commits = chain(landed, ((commit, self._repository.commit_bytes(commit), False) for commit in tail))
            rows = (
                row_of(position, commit, data, line=on_line)
                for position, (commit, data, on_line) in enumerate(commits, keep + 1)
            )
            insert(connection, rows)
        pairs = [("format", FORMAT), ("head", _named(head, tail)), ("cut", cut)]
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", pairs)

    def _new_line(
        self, head: str | None, known: _Known, spool: Spool, read: Callable[[str], bytes], *, shallow: bool
    ) -> tuple[_Merged, str | None]:
        """Put the new first parents of `head` into the spool; return also the indexed commit that they stand on."""
        merged: _Merged = {}
        here = head
        while here is not None and not known.on_line(here):
            data = read(here)
            parents = self._present(parse_parents(data), shallow=shallow)
            spool.add(here, data)
            if parents[1:]:
                merged[here] = parents[1:]
            here = parents[0] if parents else None
        return merged, here

    def _landing_order(self, spool: Spool, merged: _Merged, known: _Known, *, shallow: bool) -> Iterator[_Landed]:
        """Yield new first parents and what only their merges reach."""
        new: set[str] = set()
        for commit, data in spool.oldest_first():
            for other in merged.get(commit, ()):
                for found in self._reached(other, new, known, shallow=shallow):
                    yield found, self._repository.commit_bytes(found), False
            if merged:
                new.add(commit)
            yield commit, data, True

    def _reached(self, start: str, new: set[str], known: _Known, *, shallow: bool) -> Iterator[str]:
        """Yield what `start` reaches and is not yet indexed, parents before children, first parents first."""
        stack: list[tuple[str, list[str]]] = []
        pending = [start]
        while pending or stack:
            if pending:
                commit = pending.pop()
                if commit in new or commit in known:
                    continue
                new.add(commit)
                parents = self._present(self._repository.parents(commit), shallow=shallow)
                stack.append((commit, list(parents)))
            elif stack[-1][1]:
                pending.append(stack[-1][1].pop(0))
            else:
                yield stack.pop()[0]

    def _present(self, parents: tuple[str, ...], *, shallow: bool) -> tuple[str, ...]:
        return tuple(parent for parent in parents if self._repository.has(parent)) if shallow else parents

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _cut_is_current(self) -> bool:
        return self._meta("cut") == self._repository.shallow_boundary.hex() and self._meta("format") == FORMAT


class _Known:
    """The commits that are indexed; where a whole ledger is, none is asked for."""

    def __init__(self, connection: sqlite3.Connection, *, whole: bool) -> None:
        self._connection = connection
        self._whole = whole

    def __contains__(self, commit: str) -> bool:
        return self._one("SELECT 1 FROM commits WHERE id = ?", commit) is not None

    def on_line(self, commit: str) -> bool:
        return bool(self._one("SELECT line FROM commits WHERE id = ?", commit))

    def position(self, commit: str | None) -> int:
        """Return the position of an indexed commit; -1 for none."""
        return -1 if commit is None else int(self._one("SELECT position FROM commits WHERE id = ?", commit))

    def _one(self, sql: str, commit: str) -> Any:
        row = None if self._whole else self._connection.execute(sql, (commit,)).fetchone()
        return row[0] if row else None


def _named(head: str | None, tail: tuple[str, ...]) -> str:
    """Return the name under which the index remembers where it stands."""
    return "+".join([head or "", *tail[-1:]])


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
