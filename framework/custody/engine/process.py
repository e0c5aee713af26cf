"""The parent's side of the step server: runs one piece of work in a process of its own and tells how it ended.

What a step does (raise, exit, crash, hang, eat memory, print, start processes) never reaches the caller but as a
`ProcessEnd`. The protocol is in `custody.engine.zygote`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from custody.core.masking import Mask
from custody.domain.ports import Ending, ProcessEnd, Task
from custody.engine.steplog import StepLog
from custody.engine.zygote import ERROR_LENGTH, LINUX, pack, unpack

SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the one thread that importing pyarrow starts
    "PYTHONHASHSEED": "0",
}
POLL = 0.1
"""Seconds between two looks at the clock and at the cancellation while a step runs."""

_RESULT_LIMIT = 1 << 28
_GRACE = 10.0
"""Seconds that a killed process may take to be gone before its end is reported without it."""


class StepServer:
    """Runs steps, any number at a time, from any thread.

    With `fork` they are forked from one preloaded interpreter (15 ms a step); without, each gets a fresh one: for
    systems where forking after the numeric libraries were loaded is unsafe. Both speak the same protocol.
    """

    def __init__(self, log: Path, *, preload: tuple[str, ...] = (), fork: bool = LINUX) -> None:
        self._log = log
        self._preload = preload
        self._fork = fork
        self._environment = {**os.environ, **SINGLE_THREADED}
        self.mask = Mask.of(os.environ)
        """What no log, error or warning of a step may show."""
        self._lock = threading.Lock()
        self._shared: _Zygote | None = None
        self._closed = False

    def start(self) -> None:
        """Start preloading in the background."""
        with self._lock:
            self._closed = False
            if self._fork:
                self._shared = self._spawn(self._preload)

    def close(self) -> None:
        """Kill what still runs and stop. Harmless when repeated."""
        with self._lock:
            self._closed = True
            if self._shared is not None:
                self._shared.close()
                self._shared = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        task: Task,
        *,
        timeout: float | None = None,
        memory: int | None = None,
        cancelled: Callable[[], bool] = bool,
        attempt: int = 1,
    ) -> ProcessEnd:
        """Call `task.entry` in a process of its own and wait for it to end.

        `timeout` is in seconds from when the process runs; `memory` in bytes, on top of the loaded interpreter.
        The first attempt starts the log anew. Secrets of the environment are masked in the log, in the error and in
        the warnings. Raises nothing for what the step does.
        """
        if self._closed:
            return ProcessEnd(Ending.CANCELLED, error="cancelled", attempts=attempt)
        request = pack(
            {
                "entry": task.entry,
                "payload": task.payload,
                "memory": memory,
            }
        )
        with contextlib.ExitStack() as stack:
            try:
                log = stack.enter_context(StepLog(task.log, self.mask, anew=attempt == 1))
            except OSError as error:
                why = f"its log cannot be written: {error.strerror}: {task.log}"
                return ProcessEnd(Ending.KILLED, error=why, attempts=attempt)
            try:
                result, report = self._ask(stack, log)
            except OSError:
                return ProcessEnd(Ending.KILLED, error="the step server cannot be reached", attempts=attempt)
            finally:
                log.started()
            with result, report:
                end = self._masked(_Conversation(result, report, request, log).hold(timeout, cancelled, attempt))
        if memory is not None and end.error == "SIGABRT" and b"std::bad_alloc" in _tail(task.log):
            return replace(end, ending=Ending.OUT_OF_MEMORY, error="out of memory")
        return end

    def _masked(self, end: ProcessEnd) -> ProcessEnd:
        error = self.mask.text(end.error)[:ERROR_LENGTH] if end.error else end.error
        facts = end.result.get("facts") if end.result else None
        if not isinstance(facts, dict) or "warnings" not in facts:
            return replace(end, error=error)
        warned = {**facts, "warnings": self.mask.json(facts["warnings"])}
        return replace(end, error=error, result={**(end.result or {}), "facts": warned})

    def _ask(self, stack: contextlib.ExitStack, log: StepLog) -> tuple[socket.socket, socket.socket]:
        """Ask a step server for a process; one that was just dying is replaced, since nothing has begun in it."""
        zygote = stack.enter_context(self._zygote())
        try:
            return zygote.ask(log.theirs)
        except OSError:
            zygote.await_end()
        return stack.enter_context(self._zygote()).ask(log.theirs)

    @contextlib.contextmanager
    def _zygote(self) -> Iterator[_Zygote]:
        if not self._fork:
            zygote = self._spawn(())
            try:
                yield zygote
            finally:
                zygote.close()
            return
        with self._lock:
            if self._shared is None or not self._shared.alive():
                # Whatever killed it may lie in what it imported: without that, steps are slower and as right.
                preload = self._preload if self._shared is None else ()
                if self._shared is not None:
                    self._shared.close()
                self._shared = self._spawn(preload)
            shared = self._shared
        yield shared

    def _spawn(self, preload: tuple[str, ...]) -> _Zygote:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        return _Zygote(preload, self._environment, self._log)


class _Zygote:
    """One interpreter that forks steps."""

    def __init__(self, preload: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        number = str(theirs.fileno())
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "custody.engine.zygote", number, str(os.getpid()), *preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )

    def ask(self, output: int) -> tuple[socket.socket, socket.socket]:
        """Ask for a process that prints to `output`, and return the sockets to it and to its warden.

        Raises OSError where there is none.
        """
        result, result_theirs = socket.socketpair()
        report, report_theirs = socket.socketpair()
        with result_theirs, report_theirs:
            try:
                with self._lock:
                    numbers = [result_theirs.fileno(), report_theirs.fileno(), output]
                    socket.send_fds(self._control, [b"s"], numbers)
            except OSError:
                result.close()
                report.close()
                raise
        return result, report

    def alive(self) -> bool:
        return self._process.poll() is None

    def await_end(self) -> None:
        """Wait until a process that is about to end has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # else a thread that still reads would keep it open
        self._control.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Conversation:
    """Sends the request while it reads the answer, of any size, and what is printed; waits for the process to end."""

    def __init__(self, result: socket.socket, report: socket.socket, request: bytes, log: StepLog) -> None:
        self._log = log
        self._result = result
        self._report = report
        self._outgoing = memoryview(request)
        self._answer = bytearray()
        self._heard = bytearray()
        self._answering = True
        self._pid: int | None = None
        self._end: dict[str, Any] | None = None
        self._started = time.monotonic()
        self._killed: tuple[Ending, str, float] | None = None
        for sock in (result, report):
            sock.setblocking(False)

    def hold(self, timeout: float | None, cancelled: Callable[[], bool], attempt: int) -> ProcessEnd:
        """Talk until the process has ended; kill it where it takes too long or is not wanted any more."""
        while self._end is None:
            self._turn()
            if self._killed is not None:
                if time.monotonic() > self._killed[2] + _GRACE:
                    self._end = {"status": -signal.SIGKILL}
            elif cancelled():
                self._kill(Ending.CANCELLED, "cancelled")
            elif timeout is not None and self._pid is not None and time.monotonic() > self._started + timeout:
                self._kill(Ending.TIMED_OUT, f"timed out after {timeout:g} s")
            elif len(self._answer) > _RESULT_LIMIT:
                self._kill(Ending.RAISED, f"its result is larger than {_RESULT_LIMIT >> 20} MiB")
        seconds = time.monotonic() - self._started
        while self._answering and self._read():
            pass
        self._log.rest()
        ending, result, error = self._judge(self._end)
        return ProcessEnd(
            ending,
            result,
            error,
            seconds=round(seconds, 6),
            cpu=self._end.get("cpu", 0.0),
            memory=self._end.get("memory", 0),
            attempts=attempt,
        )

    def _turn(self) -> None:
        reading: list[socket.socket | StepLog] = [self._report, *([self._result] if self._answering else [])]
        reading += [self._log] if self._log.open else []
        writing = [self._result] if self._outgoing and self._answering else []
        readable, writable, _ = select.select(reading, writing, [], POLL)
        if writable:
            self._write()
        if self._result in readable:
            self._read()
        if self._log in readable:
            self._log.take()
        if self._report in readable:
            self._listen()

    def _write(self) -> None:
        try:
            sent = self._result.send(self._outgoing[: 1 << 16])
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._outgoing)  # it ended before it had read the request; its status tells why
        self._outgoing = self._outgoing[sent:]

    def _read(self) -> bool:
        """Take in more of the answer; False where there is no more for now."""
        try:
            data = self._result.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._answer += data
        self._answering = bool(data)
        return self._answering

    def _listen(self) -> None:
        try:
            data = self._report.recv(1 << 12)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._heard += data
        while self._end is None and (frame := unpack(self._heard)) is not None:
            value, length = frame
            del self._heard[:length]
            if "pid" in value:
                self._pid = value["pid"]
                self._started = time.monotonic()
            else:
                self._end = value
        if not data and self._end is None:
            self._orphaned()

    def _orphaned(self) -> None:
        """The step server is gone; its steps die with it, what they started is up to us."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
        self._end = {"error": "the step server ended"}

    def _kill(self, ending: Ending, error: str) -> None:
        self._killed = (ending, error, time.monotonic())
        if self._pid is None:
            self._end = {}  # it has not started: closing the sockets takes it back
            return
        with contextlib.suppress(OSError):
            self._report.send(b"k")

    def _judge(self, end: dict[str, Any]) -> tuple[Ending, dict[str, Any] | None, str | None]:
        # A step that came to its end by itself has ended so, even where it was just about to be killed.
        if end.get("status") == 0 and (answered := _answered(self._answer)) is not None:
            return answered
        if self._killed is not None:
            return self._killed[0], None, self._killed[1]
        if "error" in end:
            return Ending.KILLED, None, end["error"]
        status = end["status"]
        if status == -signal.SIGKILL and end["oom"]:
            return Ending.OUT_OF_MEMORY, None, "out of memory: killed by the system"
        if status < 0:
            return Ending.KILLED, None, name_exit(status)
        return Ending.EXITED, None, "exit 0 without a result" if status == 0 else name_exit(status)


def name_exit(status: int) -> str:
    """Name an exit status as a person would: `exit 7`, `SIGSEGV`."""
    if status >= 0:
        return f"exit {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def _tail(log: Path, size: int = 1 << 16) -> bytes:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read()


def _answered(data: bytearray) -> tuple[Ending, dict[str, Any] | None, str | None] | None:
    try:
        frame = unpack(data)
        if frame is None:
            return None
        answer = frame[0]
        if "result" in answer:
            return Ending.DONE, dict(answer["result"]), None
        error = " ".join(answer["error"].split())
        kind = {"error": answer["kind"]} if "kind" in answer else None
        if not answer["memory"]:
            return Ending.RAISED, kind, error
    except (ValueError, TypeError, KeyError, AttributeError):
        return Ending.RAISED, None, "its answer cannot be read"
    return Ending.OUT_OF_MEMORY, None, "out of memory" if error == "MemoryError" else f"out of memory: {error}"
