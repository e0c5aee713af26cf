"""Reads single files of the ledger, own records that have not landed included: windows, incidents, batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from custody.core.jsonfile import value_of
from custody.git.objects import EXECUTABLE, FILE, FOLDER
from custody.ledger.reader import Reader, decoded
from custody.ledger.standing import Standing

T = TypeVar("T")
Decode = Callable[[dict[str, Any]], T]


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
            return tuple(sorted(self._found(folder)))

    def value(self, path: str, decode: Decode[T]) -> T | None:
        """Return what `decode` makes of the JSON object at `path`; None where there is no file.

        What `decode` raises for an object that is not as custody writes it becomes a LedgerError.
        """
        data = self.read(path)
        return None if data is None else decoded(path, data, partial(value_of, decode))

    def values(self, folder: str, decode: Decode[T], wanted: Callable[[str], bool] = lambda _: True) -> tuple[T, ...]:
        """Return what `decode` makes of the files below `folder` whose paths are `wanted`, sorted by name.

        One walk: no file is looked for by its path. Raises LedgerError as `value` does.
        """
        with self._lock:
            found = self._found(folder)
            return tuple(
                decoded(path, read(), partial(value_of, decode)) for path, read in sorted(found.items()) if wanted(path)
            )

    def _found(self, folder: str) -> Mapping[str, Callable[[], bytes]]:
        """Return how to read each file below a folder, by its path."""
        line = self._standing.line()
        if line.base is None:
            return {}
        repository = self._standing.repository
        entry = repository.entry(repository.commit(line.base).tree, folder)
        found = dict(self._walk(entry.id, folder)) if entry and entry.mode == FOLDER else {}
        over = self._reader.folded(line.base, line.tail) if line.tail else {}
        own = {path: partial(bytes, data) for path, data in over.items() if path.startswith(f"{folder}/")}
        return {**found, **own}

    def _walk(self, tree: str, folder: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
        repository = self._standing.repository
        for entry in repository.tree(tree):
            path = f"{folder}/{entry.name}"
            if entry.mode == FOLDER:
                yield from self._walk(entry.id, path)
            elif entry.mode in {FILE, EXECUTABLE}:
                yield path, partial(repository.blob, entry.id)
