"""Messages that wait to be sent, in SQLite beside the index. A projection of the records: lost, it is filled again.

What was sent stays for some days, so that it is not sent again. A process takes a message for a while before it sends
it, so that no other one sends it too; the lease of one that died runs out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from custody.domain.channels import Message
from custody.errors import LedgerError
from custody.ledger.locks import FOLDER, file_lock

FORMAT = 1
_TABLE = f"""
PRAGMA user_version = {FORMAT};
CREATE TABLE messages (
    key TEXT PRIMARY KEY, channel TEXT NOT NULL, incident TEXT NOT NULL, revision INTEGER NOT NULL,
    body TEXT NOT NULL, made REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL,
    leased REAL NOT NULL DEFAULT 0, delivered REAL, dead TEXT, error TEXT, receipt INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON messages (due) WHERE delivered IS NULL AND dead IS NULL;
"""
_COLUMNS = "body, channel, made, attempts, due, delivered, dead, error"
_NEXT = f"""
SELECT {_COLUMNS} FROM messages AS m
WHERE delivered IS NULL AND dead IS NULL AND due <= ?1 AND leased <= ?1
AND channel NOT IN (SELECT value FROM json_each(?2))
AND NOT EXISTS (
    SELECT 1 FROM messages AS e WHERE e.incident = m.incident AND e.channel = m.channel
    AND e.revision < m.revision AND e.delivered IS NULL AND e.dead IS NULL
)
ORDER BY due, revision, key LIMIT 1
"""  # noqa: S608
_BUSY = 30.0
"""Seconds that another process may take to write."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A message in the outbox. Times are seconds since 1970; `attempts` have been made, the next one is at `due`.

    `dead` is why it will not be sent any more, `error` why the last attempt failed.
    """

    message: Message
    channel: str
    made: float
    attempts: int = 0
    due: float = 0.0
    delivered: float | None = None
    dead: str | None = None
    error: str | None = None

    @property
    def waiting(self) -> bool:
        return self.delivered is None and self.dead is None


class Outbox:
    """The outbox of one clone, which all of its processes share. Raises LedgerError where it cannot be written."""

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._path = common_dir / FOLDER / "outbox.db"

    @property
    def there(self) -> bool:
        """Whether anything was ever put into it."""
        return self._path.is_file()

    def put(self, message: Message, channel: str, made: float) -> bool:
        """Add a message that is due at once; whether it was not there yet."""
        with self._open() as database:
            added = database.execute(
                "INSERT OR IGNORE INTO messages (key, channel, incident, revision, body, made, due)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (message.key, channel, message.incident, message.revision, json.dumps(message.to_dict()), made, made),
            )
            return added.rowcount == 1

    def take(self, now: float, lease: float, broken: frozenset[str] = frozenset()) -> Queued | None:
        """Take the message that has been due longest, for `lease` seconds; None: nothing is due.

        Of one incident a channel hears in order: a later message waits for the earlier ones. Channels that are `broken`
        are left out.
        """
        with self._open() as database:
            row = database.execute(_NEXT, (now, json.dumps(sorted(broken)))).fetchone()
            if row is None:
                return None
            found = _queued(row)
            database.execute("UPDATE messages SET leased = ? WHERE key = ?", (now + lease, found.message.key))
            return found

    def delivered(self, key: str, at: float) -> None:
        """Remember that the receiver has taken it."""
        self._end("delivered = ?, attempts = attempts + 1, leased = 0, error = NULL", at, key)

    def failed(self, key: str, error: str, due: float) -> None:
        """Put it off to another time."""
        with self._open() as database:
            sql = "UPDATE messages SET attempts = attempts + 1, leased = 0, error = ?, due = ? WHERE key = ?"
            database.execute(sql, (error, due, key))

    def bury(self, key: str, why: str) -> None:
        """Send it no more."""
        self._end("dead = ?, attempts = attempts + 1, leased = 0", why, key)

    def revive(self, now: float) -> int:
        """Let what was given up be sent again from now on, for another day; return how many messages."""
        with self._open() as database:
            sql = (
                "UPDATE messages SET dead = NULL, error = NULL, due = ?1, made = ?1, attempts = 0"
                " WHERE dead IS NOT NULL"
            )
            return database.execute(sql, (now,)).rowcount

    def unreceipted(self) -> tuple[Queued, ...]:
        """Return what was delivered and is not on the ledger yet, the oldest first."""
        return self._select("delivered IS NOT NULL AND receipt = 0")

    def receipted(self, keys: tuple[str, ...]) -> None:
        """Remember that the ledger says of these that they were delivered."""
        with self._open() as database:
            database.executemany("UPDATE messages SET receipt = 1 WHERE key = ?", ((key,) for key in keys))

    def all(self) -> tuple[Queued, ...]:
        """Return all messages that are known, the oldest first; none where there is no outbox."""
        return self._select("1") if self.there else ()

    def keys(self) -> frozenset[str]:
        """Return the keys of all messages that are known."""
        with self._open() as database:
            return frozenset(row[0] for row in database.execute("SELECT key FROM messages"))

    def forget(self, before: float) -> None:
        """Drop what was delivered and is on the ledger, or was given up, and was made before a time."""
        with self._open() as database:
            ended = "(receipt = 1 OR dead IS NOT NULL)"
            database.execute(f"DELETE FROM messages WHERE made < ? AND {ended}", (before,))  # noqa: S608

    def _select(self, where: str) -> tuple[Queued, ...]:
        with self._open() as database:
            sql = f"SELECT {_COLUMNS} FROM messages WHERE {where} ORDER BY made, revision, key"  # noqa: S608
            return tuple(_queued(row) for row in database.execute(sql))

    def _end(self, change: str, value: float | str, key: str) -> None:
        with self._open() as database:
            database.execute(f"UPDATE messages SET {change} WHERE key = ?", (value, key))  # noqa: S608

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield the database within a transaction; a damaged one is thrown away, since it can be filled again."""
        try:
            database = self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(self._path, error) from error
            self._path.unlink(missing_ok=True)
            database = self._connected()
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise _unwritable(self._path, error) from error
        finally:
            database.close()

    def _connected(self) -> sqlite3.Connection:
        self._path.parent.mkdir(exist_ok=True)
        with file_lock(self._common_dir, "outbox.lock"):
            database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
            try:
                database.execute("PRAGMA synchronous = FULL")
                if database.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                    database.executescript(f"DROP TABLE IF EXISTS messages; {_TABLE}")
            except sqlite3.Error:
                database.close()
                raise
        return database


def _queued(row: tuple[object, ...]) -> Queued:
    body, *rest = row
    return Queued(Message.from_dict(json.loads(str(body))), *rest)  # type: ignore[arg-type]


def _unwritable(path: Path, error: sqlite3.Error) -> LedgerError:
    return LedgerError(f"the outbox cannot be written: {error}: {path}", help=(f"ls -l {path.parent}", f"df -h {path}"))
