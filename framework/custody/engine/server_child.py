"""The process that holds Prefect's server: its database in memory, its life bound to the parent's.

Run as `python -P -m custody.engine.server_child LISTEN LIFE READY PARENT HISTORY [TEMPLATE]`: a listening socket, a
pipe of which the parent holds the writing end, a pipe to say when it is ready, the parent's process id (0: do not
watch it), where the database is saved at the end, the schema's template.

Life ends in two ways: one byte from the parent means stop and save; the end of the pipe means that the parent is
dead, and then nothing is saved.
"""

from __future__ import annotations

import gc
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DEAD = 1.0
"""Seconds to be gone after the parent died, or after it asked to stop."""
_STOPPING = 15.0
_USED = {"/admin", "/flows", "/flow_runs", "/task_runs", "/logs", "/events"}


class _Life:
    """Watches the pipe from the parent, from before the first import on."""

    def __init__(self, descriptor: int) -> None:
        self.asked = False
        self._descriptor = descriptor
        self._stop: Callable[[], None] | None = None
        self._ended = False
        threading.Thread(target=self._watch, daemon=True).start()

    def bind(self, stop: Callable[[], None]) -> None:
        """Have `stop` called at the end."""
        self._stop = stop
        if self._ended:
            stop()

    def _watch(self) -> None:
        self.asked = os.read(self._descriptor, 1) == b"s"
        self._ended = True
        if self._stop is not None:
            self._stop()
        threading.Event().wait(_STOPPING if self.asked else _DEAD)
        os._exit(0)


def main(arguments: list[str]) -> None:
    """Serve until the parent says stop, or is gone."""
    listen, life_descriptor, ready, parent = map(int, arguments[:4])
    history, template = Path(arguments[4]), Path(arguments[5]) if len(arguments) > 5 else None  # noqa: PLR2004
    life = _Life(life_descriptor)
    if parent:
        from custody.engine.zygote import die_with_parent

        die_with_parent(parent)
    gc.disable()  # 0.5 s of the start are collections that find nothing
    from custody.engine.template import open_database

    keep = open_database(template)
    server = _server(lambda: _say_ready(ready))
    life.bind(lambda: setattr(server, "should_exit", True))
    server.run(sockets=[socket.socket(fileno=listen)])
    if life.asked:
        _save(keep, history)
    os._exit(0)


def _server(ready: Callable[[], None]) -> Any:
    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    app = create_app(ephemeral=True, final=True)
    _put_first(app)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def _put_first(app: Any) -> None:
    """Let requests find what a flow needs before all else: FastAPI prepares every router that one passes by."""
    for mount in app.routes:
        if getattr(mount, "path", None) == "/api":
            mount.app.router.routes.sort(
                key=lambda route: getattr(getattr(route, "original_router", None), "prefix", None) not in _USED
            )


def _say_ready(descriptor: int) -> None:
    gc.freeze()
    gc.enable()
    os.write(descriptor, b"ok\n")


def _save(keep: sqlite3.Connection, history: Path) -> None:
    part = history.with_suffix(".part")
    part.unlink(missing_ok=True)
    keep.execute("vacuum into ?", (str(part),))
    part.replace(history)


if __name__ == "__main__":
    main(sys.argv[1:])
