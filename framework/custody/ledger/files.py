"""Reads single files of the ledger, own records that have not landed included: windows, incidents, batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from custody.git.objects import EXECUTABLE, FILE, FOLDER
from custody.ledger.reader import Reader
from custody.ledger.standing import Standing


class LedgerFiles:
    """The files at the present head. Raises LedgerError where the ledger cannot be read."""

    def __init__(self, standing: Standing, reader: Reader, lock: threading.RLock) -> None:
        self._standing = standing
        self._reader = reader
        self._lock = lock

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the file at `path`; None where there is none."""
        with self._lock:
            line = self._standing.line()
            if line.base is None:
                return None
            over = self._reader.folded(line.base, line.tail) if line.tail else {}
            return over[path] if path in over else self._reader.read(line.base)(path)

    def under(self, folder: str) -> tuple[str, ...]:
        """Return the paths of all files below `folder`, sorted by name."""
        with self._lock:
            line = self._standing.line()
            if line.base is None:
                return ()
            repository = self._standing.repository
            entry = repository.entry(repository.commit(line.base).tree, folder)
            found = set(self._walk(entry.id, folder)) if entry and entry.mode == FOLDER else set()
            over = self._reader.folded(line.base, line.tail) if line.tail else {}
            return tuple(sorted(found | {path for path in over if path.startswith(f"{folder}/")}))

    def _walk(self, tree: str, folder: str) -> Iterator[str]:
        for entry in self._standing.repository.tree(tree):
            path = f"{folder}/{entry.name}"
            if entry.mode == FOLDER:
                yield from self._walk(entry.id, path)
            elif entry.mode in {FILE, EXECUTABLE}:
                yield path
