"""What a step prints: taken from a pipe, masked, and kept in a file of bounded size, its beginning and its end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from custody.core.masking import Mask, MaskedStream

HEAD = TAIL = 2 << 20
"""Bytes that are kept of the beginning and of the end of what one attempt prints."""
_PIECE = 1 << 16
_REST = 1 << 24
"""Bytes that are read after the end of a step: a pipe holds less, unless somebody still prints."""


class StepLog:
    """The log of one attempt at a step. `theirs` is the end of the pipe that the step's process gets.

    A process that the step left behind may hold it open: what is in the pipe when the step has ended is the rest.
    """

    def __init__(self, path: Path, mask: Mask, *, anew: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if anew else 0)
        self._file = os.open(path, flags, 0o600)
        self._ours, self.theirs = os.pipe()
        os.set_blocking(self._ours, False)
        self._mask = mask
        self._stream = MaskedStream(mask)
        self._room = HEAD
        self._tail = bytearray()
        self._left_out = 0
        self.open = True
        """Whether more may come."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.started()
        for number in (self._ours, self._file):
            os.close(number)

    def fileno(self) -> int:
        """Return the end of the pipe that is read here, for `select`."""
        return self._ours

    def started(self) -> None:
        """Give up the step's end of the pipe: its process has it, or there is none."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def take(self) -> int:
        """Take in a piece of what was printed, and return its bytes; 0 where there is none for now."""
        try:
            data = os.read(self._ours, _PIECE)
        except BlockingIOError:
            return 0
        self.open = bool(data)
        if self._room > 0:
            self._write(self._stream.feed(data))
        else:
            self._keep(data)
        return len(data)

    def rest(self) -> None:
        """Take in what is left after the end of the step, and finish the file."""
        taken = 0
        while taken < _REST and (more := self.take()):
            taken += more
        self._shorten()
        if not self._left_out:
            self._write(self._stream.feed(bytes(self._tail)) + self._stream.end())
            return
        # Half a secret may end what was kept of the beginning, and begin what is kept of the end: both are dropped.
        tail = self._mask.data(bytes(self._tail))
        start = tail.find(b"\n", 0, self._mask.reach) + 1 or self._mask.reach
        left_out = self._left_out + self._stream.held + start
        self._write(f"\n[… {left_out:,} bytes left out …]\n".encode() + tail[start:])

    def _keep(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            self._shorten()

    def _shorten(self) -> None:
        if len(self._tail) > TAIL:
            self._left_out += len(self._tail) - TAIL
            del self._tail[:-TAIL]

    def _write(self, data: bytes) -> None:
        self._room -= len(data)
        with contextlib.suppress(OSError):  # a full disk: the step goes on, and what it stores will say so
            while data:
                data = data[os.write(self._file, data) :]
