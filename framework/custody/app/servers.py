"""The servers at work on this clone: each worker tells of itself in a file of the common Git directory.

`<common>/custody/servers/<id>.json` says where it answers and with what; its lock file is held as long as it lives, so
that what a killed one left is recognised and removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from custody.domain.serving import Promoted
from custody.ledger.locks import FOLDER, try_lock

_SERVERS = "servers"
Serving = Mapping[str, Mapping[str, str]]
"""What answers, by model: `{stage, version, run}`; models for which nothing does are absent."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that answers at `address`, the place `where`; those of one server have its id."""

    server: str
    pid: int
    address: str
    where: str
    serving: Serving

    def to_dict(self) -> dict[str, Any]:
        serving = {model: dict(item) for model, item in self.serving.items()}
        facts = {"server": self.server, "pid": self.pid, "address": self.address, "where": self.where}
        return facts | {"serving": serving}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; raises KeyError, TypeError or ValueError for anything else."""
        serving = {str(model): dict(item) for model, item in value["serving"].items()}
        return cls(str(value["server"]), int(value["pid"]), str(value["address"]), str(value["where"]), serving)


class Announcement:
    """What this process tells of itself."""

    def __init__(self, common_dir: Path, server: str, address: str, where: str) -> None:
        """Begin to tell. Raises OSError where nothing can be written there."""
        folder = common_dir / FOLDER / _SERVERS
        folder.mkdir(parents=True, exist_ok=True)
        self._server, self._address, self._where = server, address, where
        self._path = folder / f"{server}-{os.getpid()}-{secrets.token_hex(4)}.json"
        self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def tell(self, serving: Mapping[str, Promoted | None], stages: Mapping[str, str]) -> None:
        """Say what answers from now on; `stages` are those that are followed, by model."""
        told = {
            model: {"stage": stages.get(model, ""), "version": item.version, "run": item.run}
            for model, item in serving.items()
            if item
        }
        aside = self._path.with_suffix(".new")
        worker = Worker(self._server, os.getpid(), self._address, self._where, told)
        aside.write_text(json.dumps(worker.to_dict()), encoding="utf-8")
        aside.replace(self._path)

    def close(self) -> None:
        """Tell nothing any more. Harmless when repeated."""
        for path in (self._path, self._path.with_suffix(".lock")):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._lock)


def workers(common_dir: Path, server: str | None = None) -> tuple[Worker, ...]:
    """Return the workers that are alive, of one server or of all; what dead ones left is removed."""
    found = []
    for path in sorted((common_dir / FOLDER / _SERVERS).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            worker = Worker.from_dict(json.loads(path.read_bytes()))
            if _dead(path.with_suffix(".lock")):
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
            elif server in {None, worker.server}:
                found.append(worker)
    return tuple(found)


def _dead(lock: Path) -> bool:
    try:
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return try_lock(file)
    finally:
        os.close(file)
