"""Several processes that do the same: started together, started again where one dies, stopped together."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from threading import Event

from custody.errors import CustodyError

_TICK = 0.1
_PAUSE = 1.0
"""Seconds before one that died is started again."""


def supervise(
    count: int,
    work: Callable[[Callable[[], None]], None],
    ready: Callable[[], None],
    turn: Callable[[], None],
    stop: Event,
) -> None:
    """Run `work` in `count` processes until `stop` is set; `turn` is called in this one meanwhile.

    `work` is given what to call when it is ready; `ready` is called once all are. `stop` is set in each of them by the
    signal that it gets. Raises CustodyError where one ends before it was ready. This process must have no threads.
    """
    reading, writing = os.pipe()
    alive: set[int] = set()
    try:
        alive |= {_start(work, writing) for _ in range(count)}
        _await_ready(count, reading, alive, stop)
        if not stop.is_set():
            ready()
        again = 0.0
        while not stop.wait(_TICK):
            turn()
            _reap(alive)
            if len(alive) < count and time.monotonic() >= again:
                again = time.monotonic() + _PAUSE
                alive.add(_start(work, writing))
    finally:
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in alive:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def _start(work: Callable[[Callable[[], None]], None], writing: int) -> int:
    from custody.engine.zygote import die_with_parent

    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent(parent, signal.SIGTERM)
        work(lambda: _written(writing))
        code = 0
    except CustodyError as error:
        sys.stderr.write(f"{error.message}\n")
    except BaseException:  # noqa: BLE001 - nothing may unwind into the frames of the process that was forked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _written(writing: int) -> None:
    os.write(writing, b"r")


def _await_ready(count: int, reading: int, alive: set[int], stop: Event) -> None:
    heard = 0
    while heard < count and not stop.is_set():
        if select.select([reading], [], [], _TICK)[0]:
            heard += len(os.read(reading, count))
        _reap(alive)
        if len(alive) < count:
            raise CustodyError(
                "a worker ended before it was ready", code="serve.load", help=("custody serve MODEL --workers 1",)
            )


def _reap(alive: set[int]) -> None:
    for pid in tuple(alive):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                alive.discard(pid)
