"""Locks between processes: files that the kernel unlocks when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from custody.errors import LedgerError, LockedError

FOLDER = "custody"
"""Where custody keeps locks, index and intents, in the common Git directory."""
_PAUSE = 0.1


@contextmanager
def file_lock(common_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock `<common_dir>/custody/<name>`, waiting for it: its holders need milliseconds.

    Raises LedgerError where the lock file cannot be made.
    """
    handle = _open(common_dir, name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def apply_lock(common_dir: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the one lock of an apply in this repository; try for `wait` seconds.

    Raises LockedError that names who holds it and since when, LedgerError where the lock file cannot be made.
    """
    with _held(common_dir, "apply.lock", "an apply", wait):
        yield


@contextmanager
def sweep_lock(common_dir: Path) -> Iterator[None]:
    """Hold the one lock of a sweep of monitors in this repository; raises as `apply_lock`."""
    with _held(common_dir, "monitor.lock", "a sweep of monitors", 0.0):
        yield


@contextmanager
def deed_lock(common_dir: Path) -> Iterator[None]:
    """Hold the one lock of what alerts bring about by themselves in this repository; raises as `apply_lock`."""
    with _held(common_dir, "deeds.lock", "what an alert asks for", 0.0):
        yield


@contextmanager
def _held(common_dir: Path, name: str, what: str, wait: float) -> Iterator[None]:
    handle = _open(common_dir, name)
    try:
        deadline = time.monotonic() + wait
        while not try_lock(handle):
            if time.monotonic() >= deadline:
                raise _locked(os.pread(handle, 4096, 0), f"{what} is at work in this repository")
            time.sleep(_PAUSE)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(tz=UTC).isoformat()}
        os.ftruncate(handle, 0)
        with suppress(OSError):  # on a full disk: it says who holds the lock, which holds all the same
            os.pwrite(handle, json.dumps(holder).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file if nobody else has; whether it did."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(common_dir: Path, name: str) -> int:
    path = common_dir / FOLDER / name
    try:
        path.parent.mkdir(exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise LedgerError(
            f"the ledger cannot be written, since its lock file cannot be made: {error.strerror}: {path}",
            help=(f"ls -ld {path.parent}", f"df -h {common_dir}"),
        ) from error


def _locked(content: bytes, what: str) -> LockedError:
    try:
        holder: Any = json.loads(content)
        pid = int(holder["pid"])
        who = f"process {pid} on {holder['host']!s} since {holder['since']!s}"
    except (ValueError, KeyError, TypeError):
        return LockedError(f"{what}: another process")
    return LockedError(f"{what}: {who}", help=(f"ps -p {pid}",))
