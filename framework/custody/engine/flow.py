"""The one Prefect flow that every wave runs as, and its one task; nothing is generated.

Importing this imports Prefect: only `custody.engine.prefect` does, in a session, with the settings in place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import prefect.flow_engine
import prefect.task_engine  # noqa: F401 - both are needed for the first run, and loaded while the server starts
from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from custody.domain.graph import StepRecord, StepStatus
from custody.engine.schedule import Pool, Wave, Work

_DRAIN = 5.0
_LOG_BYTES = 5_000_000


@dataclass(slots=True)
class Run:
    """One wave under Prefect. Where Prefect fails, `pool` does the work; what was begun under it goes on."""

    wave: Wave
    jobs: int
    pool: Pool
    retry_delay: float
    alive: Callable[[], bool]
    count: Callable[[], None]
    """Called for each task that Prefect was given."""
    _works: dict[str, Work] = field(default_factory=dict)

    def launch(self, work: Work) -> None:
        """Submit the work as a task of the flow that this is called from."""
        if not self.alive():
            self.pool.launch(work)
            return
        node = work.node
        self._works[node.id] = work
        made = _task_for(node.step, node.retries, self.retry_delay)
        future = made.submit(node.model, node.step, node.id)
        self.count()
        future.add_done_callback(lambda _: self._done(work))

    def work(self, node: str) -> Work:
        return self._works[node]

    def _done(self, work: Work) -> None:
        begun = work.record is not None or work.fault is not None or self.wave.cancelled()
        if begun:
            self.wave.done(work)
        else:
            self.pool.launch(work)  # Prefect itself failed, not the step


_RUN: ContextVar[Run] = ContextVar("custody_run")


@task(task_run_name="{model}/{step}", cache_policy=NO_CACHE, persist_result=False)
def run_step(model: str, step: str, node: str) -> State[Any]:  # noqa: ARG001 - the names of the task run
    """Make one attempt at the step and end in the state that it came to; Prefect retries a failed one."""
    work = _RUN.get().work(node)
    if work.attempt():
        return Failed(message=work.error)
    if work.record is None:
        return Cancelled(message="not begun") if work.fault is None else Failed(message=f"in custody: {work.fault!r}")
    return _state(work.record)


def _state(record: StepRecord) -> State[Any]:
    match record.status:
        case StepStatus.DONE:
            return Completed()
        case StepStatus.REUSED:
            return Completed(name="Cached", message=f"reused from {record.source}")
        case StepStatus.CANCELLED:
            return Cancelled(message=record.error)
        case StepStatus.TIMED_OUT:
            return Failed(name="TimedOut", message=record.error)
        case _:
            return Failed(message=record.error)


@flow(name="custody", persist_result=False, validate_parameters=False)
def run_wave() -> State[Any]:
    """Run all nodes of the wave, each as a task that is submitted when those before it have ended.

    A parameter would have Prefect import FastAPI to encode it: a quarter of a second on the way to the first task.
    """
    run = _RUN.get()
    run.wave.run(run.jobs, run.launch)
    if run.wave.cancelled():
        return Cancelled(message="cancelled")
    broken = run.wave.broken
    return Failed(message=f"not done: {', '.join(broken)}") if broken else Completed()


def execute(run: Run, title: str, url: str, auth: str) -> None:
    """Run the wave as a flow run called `title`, in the calling thread, against the server at `url`."""
    settings = {
        PREFECT_API_URL: url,
        PREFECT_API_AUTH_STRING: auth,
        PREFECT_API_KEY: None,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
        # Else every flow run waits for a thread that sleeps in steps of a second.
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    _RUN.set(run)
    # A server on this machine that cannot be reached is dead: trying again for long would only delay the exit.
    EventsWorker.set_client_override(PrefectEventsClient, api_url=url, reconnection_attempts=2)
    runner: Any = ThreadPoolTaskRunner(max_workers=run.jobs)
    made = run_wave.with_options(flow_run_name=title, task_runner=runner)
    with temporary_settings(updates=settings):
        made(return_state=True)


def drain() -> None:
    """Send the events and log lines that wait in this process; without it, leaving the process takes seconds."""
    EventsWorker.drain_all(timeout=_DRAIN)
    APILogWorker.drain_all(timeout=_DRAIN)
    EventsWorker.set_client_override(None)


def be_silent() -> None:
    """Say nothing on the terminal of log lines that a dead server does not take any more."""
    logging.raiseExceptions = False


def log_to(path: Path) -> None:
    """Have Prefect write to the file at `path`, and nothing to the terminal; the last call counts."""
    _be_quiet()
    logger = logging.getLogger("prefect")
    for handler in [handler for handler in logger.handlers if isinstance(handler, RotatingFileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    line = "%(asctime)s %(levelname)s %(name)s %(task_run_name)s %(message)s"
    handler.setFormatter(logging.Formatter(line, defaults={"task_run_name": "-"}))
    # The address of a page that is gone after the run, and that was never there: this server has no pages.
    handler.addFilter(lambda record: not record.getMessage().startswith("View at "))
    logger.addHandler(handler)


@cache
def _be_quiet() -> None:
    setup_logging()
    for name in ("", *(name for name in logging.root.manager.loggerDict if name.split(".")[0] == "prefect")):
        logger = logging.getLogger(name)
        for handler in logger.handlers[:]:
            if isinstance(handler, PrefectConsoleHandler) or (name and isinstance(handler, logging.StreamHandler)):
                logger.removeHandler(handler)
                logger.propagate = True  # to the file
    # Prefect's own workers log under the bare names of their classes, which Python would print.
    for worker in (EventsWorker, APILogWorker):
        logging.getLogger(worker.__name__).parent = logging.getLogger("prefect")


@cache
def _task_for(step: str, retries: int, delay: float) -> Task[[str, str, str], State[Any]]:
    return run_step.with_options(name=step, retries=retries, retry_delay_seconds=delay)
