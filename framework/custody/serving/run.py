"""Running the server in this process until it is told to stop; the home of uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import uvicorn
from starlette.applications import Starlette

from custody.errors import CustodyError

_BACKLOG = 2048
_GRACE = 30
"""Seconds for requests that are being answered when the server is stopped."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises CustodyError where the address is taken or is none."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise CustodyError(
            message, code="serve.address", help=("custody serve MODEL --port 0   takes a free one",)
        ) from error
    listening.set_inheritable(True)
    return listening


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run_server(app: Starlette, listening: socket.socket, ready: Callable[[], None], stop: Event) -> None:
    """Answer on `listening` until `stop` is set; `ready` is called once requests are taken.

    Requests that are being answered then are answered to the end.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE,
    )
    _Server(config, ready, stop).run([listening])


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the command line."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stop: Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._stop = stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.is_set()
