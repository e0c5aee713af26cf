"""The engine that runs a graph as a Prefect flow under a server of our own; the same records as the inline one.

Nothing of Prefect is imported or started before a session. Where its server dies, the rest is done without it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import ModuleType

from custody.domain.graph import Event, Graph, Outcome
from custody.domain.ports import Steps
from custody.engine.inline import run_inline
from custody.engine.process import POLL, StepServer
from custody.engine.schedule import RETRY_DELAY, Pool, Wave
from custody.engine.server import PrefectServer
from custody.engine.zygote import LINUX, one_line

_FLOW_END = 10.0
"""Seconds that Prefect may take to store the end of a flow run."""


class PrefectEngine:
    """Runs up to `jobs` steps at a time as tasks of one flow run a graph; history and logs in `state_dir/prefect`.

    `say` gets a line where the start takes longer than usual. `flow` is what the flow runs are called.
    """

    name = "prefect"

    def __init__(
        self,
        jobs: int,
        state_dir: Path,
        *,
        preload: tuple[str, ...] = (),
        fork: bool = LINUX,
        retry_delay: float = RETRY_DELAY,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.flow = "apply"
        self._jobs = max(1, jobs)
        self._home = state_dir.resolve() / "prefect"
        self._retry_delay = retry_delay
        self._say = say
        self._steps = StepServer(state_dir / "steps.log", preload=preload, fork=fork)
        self._server: PrefectServer | None = None
        self._submitted = 0
        self._imported: Future[ModuleType] = Future()

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Start Prefect's server and load the libraries in the background; on exit store the history and stop."""
        with contextlib.ExitStack() as stack:
            self._server = server = PrefectServer(self._home, self._say)
            # First what takes longest; on the way out it comes last, after all that talks to it.
            server.start()
            stack.callback(server.stop)
            stack.enter_context(self._steps)
            stack.enter_context(_environment(_settings(self._home)))
            loader = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="custody-import"))
            self._submitted = 0
            self._imported = loader.submit(copy_context().run, _load, self._home)
            stack.callback(self._finish, server)
            yield

    def execute(
        self, graph: Graph, steps: Steps, progress: Callable[[Event], None], cancel: threading.Event
    ) -> Iterator[Outcome]:
        """Run the graph; see `custody.domain.ports.Engine`. Progress is reported in the consumer's thread."""
        server = self._server
        if server is None:
            raise RuntimeError("an engine executes inside its session")
        wave = Wave(graph, steps, progress, cancel, self._steps)
        if not wave.to_run or not server.alive():
            yield from run_inline(wave, self._jobs, self._retry_delay)
            return
        pool = Pool(self._jobs, self._retry_delay)
        server.on_end(partial(self._go_on_without, wave, pool))
        # A daemon: where the server has died, Prefect tries for a minute to tell it the end of the flow.
        thread = threading.Thread(
            target=copy_context().run, args=(self._run, wave, pool, server), name="custody-flow", daemon=True
        )
        thread.start()
        try:
            yield from wave.outcomes()
        finally:
            wave.close()
            _join(thread, server)
            pool.close()

    def _run(self, wave: Wave, pool: Pool, server: PrefectServer) -> None:
        """Run the wave as a flow, and what is left of it without Prefect where Prefect fails."""
        try:
            flow = self._imported.result()
            run = flow.Run(wave, self._jobs, pool, self._retry_delay, server.alive, self._count)
            flow.execute(run, self.flow, server.url, server.auth)
        except Exception as error:  # noqa: BLE001 - whatever Prefect raises, the steps are to be run
            wave.note(f"Prefect failed ({one_line(error)}): going on without it")
        wave.run(self._jobs, pool.launch)

    def _go_on_without(self, wave: Wave, pool: Pool, reason: str) -> None:
        wave.note(f"Prefect's server ended ({reason}): going on without it")
        self._imported.add_done_callback(lambda imported: imported.result().be_silent())
        wave.run(self._jobs, pool.launch)

    def _count(self) -> None:
        self._submitted += 1

    def _finish(self, server: PrefectServer) -> None:
        """Let the server have all that was sent to it, before it is stopped."""
        if not self._submitted:
            return
        flow = self._imported.result()
        flow.drain()
        server.settle(self._submitted)


def _load(home: Path) -> ModuleType:
    collecting = gc.isenabled()
    gc.disable()  # a tenth of the time that importing Prefect takes are collections that find nothing
    try:
        from custody.engine import flow
    finally:
        if collecting:
            gc.enable()
    flow.log_to(home / "prefect.log")
    return flow


def _join(thread: threading.Thread, server: PrefectServer) -> None:
    end = time.monotonic() + _FLOW_END
    while thread.is_alive() and server.alive() and time.monotonic() < end:
        thread.join(POLL)


def _settings(home: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "DO_NOT_TRACK": "1",
        # Its server is on this machine, whatever proxies the user needs to leave it.
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1"))),
        "no_proxy": ",".join(filter(None, (os.environ.get("no_proxy"), "127.0.0.1"))),
    }


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Give this process our settings of Prefect instead of the user's, which mean another server."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("PREFECT_"):
            del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
