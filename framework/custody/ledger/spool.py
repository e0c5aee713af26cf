"""Commits of a walk from the newest to the oldest, given back from the oldest on without reading the repository twice.

What does not fit into a few MiB lies in a file without a name, so that a long history takes no memory.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

_BLOCK = 2**20
"""Bytes that are written at once."""
_ID = 40


class Spool:
    """Closed by its end; used once."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder, all is kept in memory."""
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._blocks: list[tuple[int, array[int]]] = []
        self._present: list[tuple[bytes, bytes]] = []
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, commit: str, data: bytes) -> None:
        """Add a commit and its bytes. Raises OSError where the file cannot be written."""
        self._present.append((commit.encode("ascii"), data))
        self._size += len(data)
        if self._size >= _BLOCK and self._folder is not None:
            self._write(self._folder)

    def oldest_first(self) -> Iterator[tuple[str, bytes]]:
        """Yield commits and their bytes, the last added first; they are gone then. Raises OSError."""
        while self._present or self._blocks:
            if not self._present:
                self._read()
            commit, data = self._present.pop()
            yield commit.decode("ascii"), data

    def _write(self, folder: Path) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by __exit__)
        start = self._file.tell()
        self._file.write(b"".join([part for item in self._present for part in item]))
        self._blocks.append((start, array("L", (_ID + len(data) for _, data in self._present))))
        self._present, self._size = [], 0

    def _read(self) -> None:
        start, sizes = self._blocks.pop()
        if self._file is None:
            return
        self._file.seek(start)
        block, at = self._file.read(sum(sizes)), 0
        for size in sizes:
            self._present.append((block[at : at + _ID], block[at + _ID : at + size]))
            at += size
