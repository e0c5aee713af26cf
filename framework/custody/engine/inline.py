"""The engine without Prefect: the same graph, the same step processes, the same records."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from pathlib import Path

from custody.domain.graph import Event, Graph, Outcome
from custody.domain.ports import Steps
from custody.engine.process import StepServer
from custody.engine.schedule import RETRY_DELAY, Pool, Wave
from custody.engine.zygote import LINUX


class InlineEngine:
    """Runs up to `jobs` steps at a time; its log goes below `state_dir`."""

    name = "inline"

    def __init__(
        self,
        jobs: int,
        state_dir: Path,
        *,
        preload: tuple[str, ...] = (),
        fork: bool = LINUX,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        self._jobs = max(1, jobs)
        self._server = StepServer(state_dir / "steps.log", preload=preload, fork=fork)
        self._retry_delay = retry_delay

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Start loading the libraries of the steps; on exit kill what still runs."""
        with self._server:
            yield

    def execute(
        self, graph: Graph, steps: Steps, progress: Callable[[Event], None], cancel: threading.Event
    ) -> Iterator[Outcome]:
        """Run the graph; see `custody.domain.ports.Engine`. Progress is reported in the consumer's thread."""
        wave = Wave(graph, steps, progress, cancel, self._server)
        yield from run_inline(wave, self._jobs, self._retry_delay)


def run_inline(wave: Wave, jobs: int, retry_delay: float) -> Iterator[Outcome]:
    """Run `wave` in threads of this process and yield its outcomes."""
    pool = Pool(jobs, retry_delay)
    run = partial(wave.run, jobs, pool.launch)
    thread = threading.Thread(target=copy_context().run, args=(run,), name="custody-wave")
    thread.start()
    try:
        yield from wave.outcomes()
    finally:
        wave.close()
        thread.join()
        pool.close()
