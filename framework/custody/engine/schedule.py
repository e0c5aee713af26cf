"""What both engines share: which node is next, what one attempt at it is, and when a model has ended.

An engine says how a piece of `Work` is launched; the wave decides when, and keeps all outcomes. Two sides meet in one
queue: the scheduling loop, in a thread of its own, and the consumer, in whose thread all progress is reported.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import islice

from custody.core.keys import step_key
from custody.domain.graph import Event, Graph, Node, Outcome, Progress, Ref, StepRecord, StepStatus
from custody.domain.ports import Ending, ProcessEnd, Steps, Task
from custody.engine.process import POLL, StepServer
from custody.errors import CustodyError

RETRY_DELAY = 1.0
"""Seconds between two attempts at a step."""

Launch = Callable[["Work"], None]


class Work:
    """One node being worked on: begun once, attempted up to `retries` times more, ended once.

    After the last attempt either `record` is set, or `fault` where custody itself failed, or neither where it was
    cancelled before it began.
    """

    def __init__(self, node: Node, upstream: Mapping[str, Ref], wave: Wave) -> None:
        self.node = node
        self.record: StepRecord | None = None
        self.fault: BaseException | None = None
        self.error = ""
        self.wave = wave
        self._upstream = upstream
        self._task: Task | None = None
        self._attempts = 0
        self._started = time.monotonic()

    def attempt(self) -> bool:
        """Make one attempt, in the calling thread; whether another one is due. Never raises an Exception."""
        try:
            return self._attempt()
        except CustodyError as error:
            self.record = self._lost(error.message)
        except Exception as error:  # noqa: BLE001 - a bug; raised again where the outcomes are consumed
            self.fault = error
        return False

    def _attempt(self) -> bool:
        wave, node = self.wave, self.node
        if self._task is None:
            if wave.cancelled():
                return False
            begun = wave.steps.begin(node, self._upstream)
            if isinstance(begun, StepRecord):
                self.record = begun
                return False
            self._task = begun
            wave.report(Event(node, Progress.STARTED))
        end = self._run(self._task)
        if self._is_due(end):
            self.error = end.error or str(end.ending)
            detail = f"{self.error}; attempt {self._attempts + 1} of {node.retries + 1}"
            wave.report(Event(node, Progress.RETRYING, detail, end.seconds))
            return True
        self.record = wave.steps.end(node, self._task, end)
        self.error = self.record.error or ""
        return False

    def _run(self, task: Task) -> ProcessEnd:
        if self.wave.cancelled():
            return ProcessEnd(Ending.CANCELLED, error="cancelled", attempts=max(1, self._attempts))
        self._attempts += 1
        return self.wave.server.run(
            task,
            timeout=self.node.timeout,
            memory=self.node.memory,
            cancelled=self.wave.cancelled,
            attempt=self._attempts,
        )

    def _is_due(self, end: ProcessEnd) -> bool:
        final = end.ending in {Ending.DONE, Ending.CANCELLED}
        return not final and self._attempts <= self.node.retries

    def _lost(self, error: str) -> StepRecord:
        """Record a step of which custody could not fetch the inputs or keep the result."""
        upstream = {role: ref.digest for role, ref in self._upstream.items()}
        key = step_key(self.node.step, self.node.inputs, upstream)
        seconds = time.monotonic() - self._started
        return StepRecord(
            self.node.step,
            StepStatus.FAILED,
            key,
            self.node.inputs,
            upstream,
            error=self.wave.server.mask.text(" ".join(error.split())),
            seconds=round(seconds, 6),
            attempts=max(1, self._attempts),
        )


@dataclass(frozen=True, slots=True)
class _Fault:
    error: BaseException


class Wave:
    """One graph being run."""

    def __init__(
        self,
        graph: Graph,
        steps: Steps,
        progress: Callable[[Event], None],
        cancel: threading.Event,
        server: StepServer,
    ) -> None:
        self.graph = graph
        self.steps = steps
        self.server = server
        self._progress = progress
        self._cancel = cancel
        self._closed = threading.Event()
        self._claim = threading.Lock()
        self._note = ""
        self._models = _by_model(graph)
        self._left = set(self._models)
        self._records: dict[str, StepRecord] = {}
        self._launched: set[str] = set()
        self._running: set[str] = set()
        self._broken: set[str] = set()
        self._since: dict[str, float] = {}
        self._done: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[Event | Outcome | _Fault] = queue.SimpleQueue()

    @property
    def to_run(self) -> bool:
        """Whether any node is not known beforehand."""
        return any(node.known is None for node in self.graph.nodes)

    @property
    def broken(self) -> tuple[str, ...]:
        """The models of which a step did not end well."""
        return tuple(sorted(self._broken))

    def outcomes(self) -> Iterator[Outcome]:
        """Report the progress and yield the outcomes as they come; raises where custody itself failed."""
        left = len(self._models)
        while left:
            item = self._out.get()
            if isinstance(item, Event):
                self._progress(item)
            elif isinstance(item, Outcome):
                left -= 1
                yield item
            else:
                raise item.error

    def cancelled(self) -> bool:
        """Whether running steps are to be killed and no new ones started."""
        return self._cancel.is_set() or self._closed.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the cancellation."""
        end = time.monotonic() + seconds
        while not self.cancelled() and (left := end - time.monotonic()) > 0:
            self._cancel.wait(min(POLL, left))

    def close(self) -> None:
        """Cancel what is still going on, because nobody waits for it any more."""
        self._closed.set()

    def note(self, text: str) -> None:
        """Have the next started step say `text`."""
        self._note = text

    def report(self, event: Event) -> None:
        """Hand an event to the consumer, from any thread."""
        if self._note and event.progress in {Progress.STARTED, Progress.RETRYING}:
            event = replace(event, detail="; ".join(filter(None, (event.detail, self._note))))
            self._note = ""
        self._out.put(event)

    def done(self, work: Work) -> None:
        """Say that the last attempt at `work` is over, from any thread."""
        self._done.put(work)

    def run(self, jobs: int, launch: Launch) -> bool:
        """Run all nodes, at most `jobs` at a time, and return when all outcomes are there, or what went wrong.

        Only the first caller does so; the answer is whether this one was.
        """
        if not self._claim.acquire(blocking=False):
            return False
        try:
            self._run(jobs, launch)
        except Exception as error:  # noqa: BLE001 - a bug; raised again where the outcomes are consumed
            self._closed.set()
            self._out.put(_Fault(error))
        return True

    def _run(self, jobs: int, launch: Launch) -> None:
        for node in self.graph.nodes:
            if node.known is not None:
                self._begin(node)
                self._settle(node, node.known, Progress.REUSED)
        while True:
            for node in tuple(islice(self._ready(), jobs - len(self._running))):
                self._begin(node)
                self._running.add(node.id)
                launch(Work(node, self._upstream(node), self))
            self._end_models()
            if not self._running:
                return
            work = self._done.get()
            self._running.remove(work.node.id)
            if work.fault is not None:
                raise work.fault
            if work.record is not None:
                self._settle(work.node, work.record, Progress(work.record.status))

    def _begin(self, node: Node) -> None:
        self._launched.add(node.id)
        self._since.setdefault(node.model, time.monotonic())

    def _settle(self, node: Node, record: StepRecord, progress: Progress) -> None:
        self._records[node.id] = record
        if not record.usable:
            self._broken.add(node.model)
        self.report(Event(node, progress, record.error or "", record.seconds))

    def _ready(self) -> Iterator[Node]:
        for node in self.graph.nodes:
            if (
                node.id not in self._launched
                and node.model not in self._broken
                and all(needed in self._records for needed in node.upstream.values())
                and not self.cancelled()
            ):
                yield node

    def _upstream(self, node: Node) -> dict[str, Ref]:
        outputs = {role: self._records[needed].output for role, needed in node.upstream.items()}
        return {role: output.ref for role, output in outputs.items() if output is not None}

    def _end_models(self) -> None:
        """Hand over the outcome of every model of which nothing runs and nothing more will be started."""
        going_on = {node.model for node in self._ready()}
        for model in self._models:
            nodes = self._models[model]
            if model not in self._left or model in going_on or any(node in self._running for node in nodes):
                continue
            self._left.remove(model)
            records = tuple(self._records[node] for node in nodes if node in self._records)
            failed = any(record.status in {StepStatus.FAILED, StepStatus.TIMED_OUT} for record in records)
            complete = len(records) == len(nodes) and model not in self._broken
            seconds = time.monotonic() - self._since.get(model, time.monotonic())
            self._out.put(Outcome(model, records, not (failed or complete), round(seconds, 6)))


def _by_model(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the ids of each model's nodes; raises ValueError where the graph is not what it says it is."""
    seen: dict[str, str] = {}
    for node in graph.nodes:
        if node.id in seen or any(seen.get(needed) != node.model for needed in node.upstream.values()):
            raise ValueError(f"node {node.id} stands before what it needs, or needs another model's")
        seen[node.id] = node.model
    return {model: tuple(node for node in seen if seen[node] == model) for model in graph.models}


class Pool:
    """Launches work in threads of this process, with the retries that Prefect would make."""

    def __init__(self, jobs: int, retry_delay: float) -> None:
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="custody-step")
        self._retry_delay = retry_delay

    def launch(self, work: Work) -> None:
        """Make all attempts at `work` in another thread."""
        self._threads.submit(copy_context().run, self._work, work)

    def close(self) -> None:
        """Wait until all work has ended."""
        self._threads.shutdown()

    def _work(self, work: Work) -> None:
        while work.attempt():
            work.wave.pause(self._retry_delay)
        work.wave.done(work)
