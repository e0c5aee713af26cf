"""The journal of predictions: append-only segments on disk, synced before anybody is answered.

A writer holds the lock of its segment as long as it is open, so that a segment whose lock is free belongs to nobody and
may be sealed, however its writer ended. A segment holds the predictions of one run; it is closed at a size, at an age,
or when the next run takes over. Removing a segment says that its predictions are sealed.
"""

from __future__ import annotations

import fcntl
import os
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from custody.domain.serving import Prediction, Promoted
from custody.errors import StoreError
from custody.serving.frames import Segment, entry, header, read_segment

SUFFIX = ".segment"
FOLDER = "journal"
SIZE = 16 << 20
"""Bytes at which a segment is closed."""
AGE = 3600.0
"""Seconds after which a segment is closed that holds anything."""
_GROUP = 512
"""So many acknowledgements wait for one sync at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a segment is closed: at `size` bytes, or `age` seconds after it was opened."""

    size: int = SIZE
    age: float = AGE


class Journal:
    """Keeps the predictions of one model; used by any number of threads.

    One thread writes: what waits is written together and synced once, so that the cost of a sync is shared by all who
    wait for it.
    """

    def __init__(self, folder: Path, limits: Limits = Limits()) -> None:
        """Keep segments in `folder`, which is made. Raises StoreError where it cannot be."""
        self._folder = folder
        self._limits = limits
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._open: _Open | None = None
        self._ended = False
        self._ending = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._thread = threading.Thread(target=self._write_all, name=f"journal {folder.name}", daemon=True)
        self._thread.start()

    def append(self, promoted: Promoted, predictions: Sequence[Prediction]) -> Future[None]:
        """Keep predictions; the future is done when they are on disk, or holds the StoreError that kept them off."""
        waiting = _Waiting(promoted, entry(predictions))
        with self._ending:
            if not self._ended:
                self._queue.put(waiting)
                return waiting.done
        waiting.done.set_exception(StoreError("the journal is closed"))
        return waiting.done

    def close(self) -> None:
        """Write what waits and close the segment. Harmless when repeated."""
        with self._ending:
            if not self._ended:
                self._ended = True
                self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        while True:
            group, ended = self._group()
            while group:
                run = group[0].promoted
                same = [item for item in group if item.promoted == run]
                group = [item for item in group if item.promoted != run]
                self._keep(run, same)
            self._rotate(force=ended)
            if ended:
                return

    def _group(self) -> tuple[list[_Waiting], bool]:
        """Wait for something to be written, at most until the segment is old; return all that waits, and the end."""
        try:
            first = self._queue.get(timeout=self._open.left(self._limits) if self._open else None)
        except queue.Empty:
            return [], False
        group: list[_Waiting] = []
        while first is not None:
            group.append(first)
            if len(group) >= _GROUP or self._queue.empty():
                return group, False
            first = self._queue.get()
        return group, True

    def _keep(self, promoted: Promoted, group: Sequence[_Waiting]) -> None:
        try:
            if self._open is None or self._open.promoted != promoted:
                self._rotate(force=True)
                self._open = _Open(self._folder, promoted)
            self._open.write(b"".join(item.data for item in group))
        except OSError as error:
            self._rotate(force=True)
            for item in group:
                item.done.set_exception(_unwritable(self._folder, error))
            return
        for item in group:
            item.done.set_result(None)

    def _rotate(self, *, force: bool = False) -> None:
        segment = self._open
        if segment is None or not (force or segment.full(self._limits)):
            return
        self._open = None
        segment.close()


@dataclass(slots=True)
class _Waiting:
    promoted: Promoted
    data: bytes
    done: Future[None]

    def __init__(self, promoted: Promoted, data: bytes) -> None:
        self.promoted, self.data, self.done = promoted, data, Future()
        # who gives up waiting takes nothing back: it may be written already
        self.done.set_running_or_notify_cancel()


class _Open:
    """The segment that is written; its lock is held until it is closed."""

    def __init__(self, folder: Path, promoted: Promoted) -> None:
        self.promoted = promoted
        self._began = time.monotonic()
        self._size = 0
        self._file = _created(folder)
        try:
            self.write(header(promoted))
            sync_folder(folder)
        except OSError:
            os.close(self._file)
            raise

    def write(self, data: bytes) -> None:
        """Append and sync; what could only be written in part is cut off again."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def full(self, limits: Limits) -> bool:
        return self._size >= limits.size or self.left(limits) <= 0

    def left(self, limits: Limits) -> float:
        """Return the seconds until it is old, 0 where it is."""
        return max(0.0, self._began + limits.age - time.monotonic())

    def close(self) -> None:
        os.close(self._file)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    message = f"the journal {folder} cannot be written to: {error.strerror}"
    return StoreError(message, code="store.unwritable", help=(f"df -h {folder}", f"ls -ld {folder}"))


def _created(folder: Path) -> int:
    """Make a new segment and lock it; raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_APPEND
    while True:
        file = os.open(folder / f"{time.time_ns() // 1000:016d}-{secrets.token_hex(4)}{SUFFIX}", flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            os.close(file)
            raise
        if os.fstat(file).st_nlink:
            return file
        os.close(file)  # a sealer was quicker than the lock, and removed what held nothing yet


def folders(root: Path) -> Iterator[Path]:
    """Yield the journals below `root`, one a model, in order of name."""
    with suppress(FileNotFoundError):
        yield from sorted(path for path in root.iterdir() if path.is_dir())


def segments(folder: Path) -> tuple[Path, ...]:
    """Return the segments of a journal, those that are written to included, oldest first."""
    return tuple(sorted(folder.glob(f"*{SUFFIX}")))


def read(path: Path) -> Segment | None:
    """Return what a segment holds now; None where it holds nothing or is gone. Raises FrameError for what is none."""
    try:
        return read_segment(path.read_bytes())
    except FileNotFoundError:
        return None


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Give whether the segment is ours while the context lasts: its writer has ended, and nobody else seals it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # who held the lock before may have sealed and removed it meanwhile
            ours = path.exists()
        except BlockingIOError:
            ours = False
        yield ours
    finally:
        os.close(file)


def remove(path: Path) -> None:
    """Remove a segment whose predictions are sealed, durably."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Keep a segment that is damaged, or whose end is no frame, beside the journal; return where."""
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    sync_folder(path.parent)
    return aside


def sync_folder(folder: Path) -> None:
    """Make names that were added to or removed from a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
