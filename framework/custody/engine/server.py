"""Prefect's server as a supervised child: started in the background, ours alone, gone when we are gone.

One server for each session, on a port and with a password of its own; nothing is shared with another one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from custody.engine.process import name_exit
from custody.engine.template import MAKING, is_made, server_environment, template_path

START_DEADLINE = 120.0
"""Seconds after which a server that has not answered is given up."""
KEPT = 10
"""How many databases of earlier sessions are kept."""

_STOP_GRACE = 12.0
_SETTLE_DEADLINE = 5.0
_SETTLE_STEP = 0.05
_TERMINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
_OFF = (
    "TRIGGERS",
    "SCHEDULER",
    "LATE_RUNS",
    "FOREMAN",
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
)
"""The services that nothing inside one session needs; the recorder of task runs and of events stay on."""


class PrefectServer:
    """The child and what is known of it. `home` is Prefect's home: history, logs."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self.history = home / f"{started}-{secrets.token_hex(4)}.db"
        self.auth = f"custody:{secrets.token_urlsafe(24)}"
        self.url = ""
        self._home = home
        self._say = say
        self._lock = threading.Lock()
        self._on_end: list[Callable[[str], None]] = []
        self._ended: str | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the child and return at once; requests sent before it is ready wait in the socket's queue."""
        self._home.mkdir(parents=True, exist_ok=True)
        template = template_path()
        if template is None or not is_made(template):
            self._say(MAKING)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        life, self._life = os.pipe()
        self._ready, ready = os.pipe()
        watched = threading.current_thread() is threading.main_thread()  # else the kernel would take the thread for us
        numbers = [listener.fileno(), life, ready, os.getpid() if watched else 0]
        arguments = [*map(str, numbers), str(self.history), *([str(template)] if template else [])]
        # No copy of these may stay here: the listening socket's would turn "the child is dead" into silence.
        with listener, open(life, "rb"), open(ready, "wb"), self._log.open("wb") as log:  # noqa: PTH123
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "custody.engine.server_child", *arguments],
                pass_fds=numbers[:3],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._home,
                env=self._environment(),
            )
        self._watcher = threading.Thread(target=self._watch, name="custody-prefect-server", daemon=True)
        self._watcher.start()

    def alive(self) -> bool:
        """Whether the child runs, ready or not."""
        return self._ended is None

    def on_end(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the reason, from another thread, when the child ends unasked; at once where it has."""
        with self._lock:
            self._on_end.append(tell)
            ended = self._ended
        if ended is not None:
            tell(ended)

    def settle(self, tasks: int) -> bool:
        """Wait until the server has stored the ends of `tasks` task runs; whether it has."""
        end = time.monotonic() + _SETTLE_DEADLINE
        while self.alive() and time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                if self._count() >= tasks:
                    return True
            time.sleep(_SETTLE_STEP)
        return tasks == 0

    def stop(self) -> None:
        """Have the database saved and the child end; kill it where it does not."""
        self._stopping = True
        with contextlib.suppress(OSError):
            os.write(self._life, b"s")
        os.close(self._life)
        try:
            self._process.wait(_STOP_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._watcher.join()
        saved = sorted(self._home.glob("*.db"), key=lambda path: path.name, reverse=True)
        for old in saved[KEPT:]:
            old.unlink(missing_ok=True)

    @property
    def _log(self) -> Path:
        return self._home / "server.log"

    def _environment(self) -> dict[str, str]:
        return server_environment(self._home) | {
            "PREFECT_SERVER_API_AUTH_STRING": self.auth,
            "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
            "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _OFF},
        }

    def _watch(self) -> None:
        readable, _, _ = select.select([self._ready], [], [], START_DEADLINE)
        late = not readable
        if late:
            self._process.kill()
        code = self._process.wait()
        os.close(self._ready)
        if self._stopping:
            return
        reason = f"not ready after {START_DEADLINE:g} s" if late else name_exit(code)
        lines = self._log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        with self._lock:
            self._ended = f"{reason}: {last}" if last and not late else reason
            waiting = tuple(self._on_end)
        for tell in waiting:
            tell(self._ended)

    def _count(self) -> int:
        token = base64.b64encode(self.auth.encode()).decode()
        query = {"task_runs": {"state": {"type": {"any_": _TERMINAL}}}}
        request = urllib.request.Request(  # noqa: S310 - always our own http address
            f"{self.url}/task_runs/count",
            json.dumps(query).encode(),
            {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        # Without the user's proxies: the server is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SETTLE_DEADLINE) as answer:
            return int(json.loads(answer.read()))
