"""Intents: a file for each run that is at work, so that a run whose process died is recorded by the next command.

`custody/intents/<run id>.jsonl` in the common Git directory: a line for the header, then one for each step that began
or ended. Its writer holds a lock on it; where the lock is free, the process is dead.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.domain.graph import StepRecord
from custody.errors import LedgerError
from custody.ledger.locks import FOLDER, try_lock

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SUFFIX, _NEW = ".jsonl", ".new"
_LEFT_OVER = 60.0
"""Seconds after which a file without a header was left by a dead process."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """What is known of a run whose process died: `last_started` is the step that had begun and not ended."""

    run_id: str
    header: Mapping[str, Any]
    steps: tuple[StepRecord, ...]
    last_started: str | None


class Intent:
    """The intent of one run, open for writing; any thread may write. Each line is on disk when its call returns."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle: int | None = handle
        self._lock = threading.Lock()

    def started(self, step: str) -> None:
        """Note that a step begins."""
        self.write({"started": step})

    def step(self, record: StepRecord) -> None:
        """Note the end of a step."""
        self.write({"step": record.step, "record": record.to_dict()})

    def close(self) -> None:
        """Remove the intent: its run is recorded. Closing twice is the same as once."""
        with self._lock:
            if self._handle is not None:
                self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let go of the intent and leave it to the next command, which finds an abandoned run."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def write(self, value: Mapping[str, Any]) -> None:
        """Append one line. Raises LedgerError where it cannot be written."""
        data = (json.dumps(value, ensure_ascii=False) + "\n").encode()
        with self._lock:
            if self._handle is None:
                raise LedgerError("the intent of the run is closed")
            try:
                while data:
                    data = data[os.write(self._handle, data) :]
                os.fsync(self._handle)
            except OSError as error:
                raise _refused(self._path, error) from error


class Intents:
    """All intents of one repository."""

    def __init__(self, common_dir: Path) -> None:
        self._folder = common_dir / FOLDER / "intents"

    def open(self, run_id: str, header: Mapping[str, Any]) -> Intent:
        """Begin the intent of a run; `header` is a JSON object. Raises LedgerError where it cannot be written.

        The file gets its name when it is locked and holds its header: until then it is nobody's to find.
        """
        path = self._path(run_id)
        if _alive(path):
            raise LedgerError(f"the run {run_id} is already at work")
        new = path.with_suffix(_NEW)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _refused(path, error) from error
        intent = Intent(path, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            intent.write({"header": dict(header)})
            new.rename(path)
            _sync(self._folder)
        except OSError as error:
            os.close(handle)
            raise _refused(path, error) from error
        except LedgerError:
            os.close(handle)
            raise
        return intent

    def abandoned(self) -> list[Abandoned]:
        """Return the runs whose process is dead, in order of their ids."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with suppress(OSError):
                if not _alive(path):
                    found.append(_parse(path.stem, path.read_bytes()))
        self._sweep()
        return found

    def remove(self, run_id: str) -> None:
        """Remove the intent of a dead run, once it is recorded; nothing where there is none."""
        with suppress(OSError):
            self._path(run_id).unlink()

    def _path(self, run_id: str) -> Path:
        if not _RUN.fullmatch(run_id):
            raise LedgerError(f"{run_id!r} cannot be the id of a run")
        return self._folder / f"{run_id}{_SUFFIX}"

    def _sweep(self) -> None:
        """Remove what was left of intents whose process died before they had a header."""
        for path in self._folder.glob(f"*{_NEW}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFT_OVER and not _alive(path):
                    path.unlink()


def _alive(path: Path) -> bool:
    """Whether the file is there and its writer lives."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)


def _parse(run_id: str, data: bytes) -> Abandoned:
    """Read an intent; a line that is not whole or not understood counts as not written."""
    header: Mapping[str, Any] = {}
    steps: dict[str, StepRecord] = {}
    begun: dict[str, None] = {}
    for line in data.split(b"\n"):
        try:
            match json.loads(line):
                case {"header": dict() as value}:
                    header = value
                case {"started": str() as step}:
                    begun[step] = None
                case {"step": str() as step, "record": dict() as value}:
                    steps[step] = StepRecord.from_dict(step, value)
                    begun.pop(step, None)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return Abandoned(run_id, header, tuple(steps.values()), next(reversed(begun), None))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the intent of a run cannot be written: {error.strerror}: {path}", help=(f"df -h {path.parent.parent.parent}",)
    )
