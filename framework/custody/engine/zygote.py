"""The child of the step server: an interpreter that preloads heavy libraries, stays single-threaded, forks a step each.

Run as `python -P -m custody.engine.zygote CONTROL PARENT [MODULE ...]`: a socket's number, the parent's process id,
the modules to import beforehand. Imports the standard library alone. What is said, on three sockets:

1. control: one byte for each step, with the step's two other sockets and what it prints to attached; its end ends
   everything.
2. result: the request to the step, the answer from the step; one frame each.
3. report: `{pid}` when the step has started, `{status, cpu, memory, oom}` when it has ended, both from here; any
   byte from the parent, or the end of it, kills the step with all of its process group.

A frame is a length of 8 bytes, big-endian, and that many bytes of JSON.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

LINUX = sys.platform == "linux"
HEADER = 8
ERROR_LENGTH = 500
"""Characters of an error in a record."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ERROR_SENT = 1 << 16
"""Characters of an error that are told: secrets are masked in it before it is cut, lest half of one be left."""
_BROKEN = 70
_LEAVING = 1.0
"""Seconds for all descendants to be gone."""
_OOM_SCORE = "500"
"""The kernel that runs short of memory kills the step, not the apply."""


def pack(value: Mapping[str, Any]) -> bytes:
    """Return `value` as one frame."""
    body = json.dumps(value, default=_plain).encode()
    return len(body).to_bytes(HEADER, "big") + body


def unpack(data: bytes | bytearray) -> tuple[dict[str, Any], int] | None:
    """Return the first frame in `data` and its length with the header; None where it is not complete yet."""
    end = HEADER + int.from_bytes(data[:HEADER], "big")
    if len(data) < HEADER or len(data) < end:
        return None
    return json.loads(data[HEADER:end]), end


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Have the kernel send `signum` when the thread that made this process ends; leave if `parent` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(_BROKEN)


def one_line(error: BaseException, length: int = ERROR_LENGTH) -> str:
    """Return an exception as one line of at most `length`: its type and text, or a CustodyError's message as it is."""
    from custody.errors import CustodyError

    kind = type(error).__name__
    text = error.message if isinstance(error, CustodyError) else f"{kind}: {error}" if str(error) else kind
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


@dataclass(slots=True)
class _Live:
    report: socket.socket
    oom: int
    condemned: bool = False


class Zygote:
    """Forks steps on request, reports their ends, and takes all of them along when its parent goes."""

    def __init__(self, control: socket.socket, parent: int) -> None:
        self._control = control
        self._parent = parent
        self._live: dict[int, _Live] = {}
        self._wake, self._woken = socket.socketpair()

    def guard(self) -> None:
        """Handle signals; the parent's death is noticed from here on, also while modules are being imported."""
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        die_with_parent(self._parent, signal.SIGTERM)

    def serve(self) -> None:
        """Fork steps until the parent closes its end of the control socket."""
        while True:
            reports = {live.report.fileno(): pid for pid, live in self._live.items() if not live.condemned}
            poll = select.poll()
            for number in (self._control.fileno(), self._wake.fileno(), *reports):
                poll.register(number, select.POLLIN)
            ready = {number for number, _ in poll.poll()}
            if self._wake.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            for number in ready & reports.keys():
                self._heard(reports[number])
            self._reap()
            if self._control.fileno() in ready and not self._fork():
                self.end()

    def end(self) -> NoReturn:
        """Kill every step with its descendants and leave."""
        for pid in self._live:
            _kill_group(pid)
        deadline = time.monotonic() + _LEAVING
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < deadline:
                _kill_children()  # again and again: what a dead child leaves behind comes to us
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.002)
        os._exit(0)

    def _terminated(self, _signum: int, _frame: object) -> None:
        # The kernel also sends this when a *thread* of the parent ends that had started us; the parent lives on then.
        if os.getppid() != self._parent:
            self.end()

    def _heard(self, pid: int) -> None:
        self._live[pid].condemned = True  # not polled again: after its end the socket stays readable for ever
        _kill_group(pid)

    def _fork(self) -> bool:
        data, numbers, _flags, _address = socket.recv_fds(self._control, 1, 3)
        if not data:
            return False
        result, report = (socket.socket(fileno=number) for number in numbers[:2])
        output = numbers[2]
        for sock in (result, report):
            sock.set_inheritable(False)
        oom, zygote = _oom_kills(), os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _send(report, {"pid": 0})
            _send(report, {"error": f"cannot start a process: {error.strerror}"})
            result.close()
            report.close()
            os.close(output)
            return True
        if pid == 0:
            self._leave(report)
            run_step(result, output, zygote)
        result.close()
        os.close(output)
        self._live[pid] = _Live(report, oom)
        _send(report, {"pid": pid})
        return True

    def _leave(self, report: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        for sock in (self._control, self._wake, self._woken, report, *(live.report for live in self._live.values())):
            sock.close()

    def _reap(self) -> None:
        while (pid := _ended_child()) is not None:
            if pid in self._live:
                _kill_group(pid)  # before the process is reaped, so that its number cannot mean another group
            self._report(*os.wait4(pid, 0))

    def _report(self, pid: int, status: int, usage: resource.struct_rusage) -> None:
        live = self._live.pop(pid, None)
        if not self._live:
            _kill_children()  # what left its step's process group
        if live is None:
            return  # such a one
        end = {
            "status": os.waitstatus_to_exitcode(status),
            "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss * (1024 if LINUX else 1),
            "oom": _oom_kills() > live.oom,
        }
        _send(live.report, end)
        live.report.close()


def run_step(result: socket.socket, output: int, zygote: int) -> NoReturn:
    """Be the step: read the request, call its entry, answer, leave; print to `output`. Nothing returns from here."""
    code = _BROKEN
    try:
        os.setsid()
        die_with_parent(zygote)
        _print_to(output)
        request = _receive(result)
        _confine(request)
        code, answer = _call(request)
        if answer is not None:
            result.sendall(pack(answer))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the frames of the process that was forked
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _print_to(output: int) -> None:
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable(sys.stderr, all_threads=False)


def _confine(request: Mapping[str, Any]) -> None:
    if LINUX:
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if request["memory"] is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = _address_space() + request["memory"]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    gc.enable()


def _call(request: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
    """Return the exit code and the answer; no answer where the step asked for an exit code of its own."""
    try:
        module, _, name = request["entry"].partition(":")
        value = getattr(importlib.import_module(module), name)(request["payload"])
        answer = {"result": _json_object(value, request["entry"])}
    except SystemExit as error:
        return _exit_code(error), None
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is how the step ended
        answer = _failure(error)
    atexit._run_exitfuncs()  # noqa: SLF001 - os._exit would skip them, and temporary folders would stay
    return 0, answer


def _json_object(value: Any, entry: str) -> dict[str, Any]:
    plain = json.loads(json.dumps(value, default=_plain))
    if not isinstance(plain, dict):
        raise TypeError(f"{entry} returned {type(value).__name__}, not a JSON object")
    return plain


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _failure(error: BaseException) -> dict[str, Any]:
    from custody.errors import CustodyError

    resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[1],) * 2)
    with contextlib.suppress(Exception):  # the step may have closed what it prints to
        traceback.print_exception(error)
    answer: dict[str, Any] = {"error": one_line(error, _ERROR_SENT), "memory": isinstance(error, MemoryError)}
    if isinstance(error, CustodyError):
        answer["kind"] = {
            "type": type(error).__name__,
            "code": error.code,
            "exit_code": error.exit_code,
            "help": list(error.help),
        }
    return answer


def _receive(sock: socket.socket) -> dict[str, Any]:
    data = bytearray()
    while (frame := unpack(data)) is None:
        more = sock.recv(1 << 16)
        if not more:
            os._exit(_BROKEN)  # the parent gave up before it had asked
        data += more
    return frame[0]


def _send(sock: socket.socket, value: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(pack(value))


def _plain(value: Any) -> Any:
    """Make JSON of the mappings, tuples and numbers that `json` does not know."""
    if hasattr(value, "items"):
        return dict(value.items())
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # by its own number too: it may not have made its group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _kill_children() -> None:
    with contextlib.suppress(OSError, ValueError):
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            _kill_group(int(pid))


def _ended_child() -> int | None:
    """Return a child that has ended and is not reaped yet."""
    with contextlib.suppress(ChildProcessError):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended.si_pid if ended else None
    return None


def _oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _address_space() -> int:
    """Return the bytes of address space that this process has; a limit counts from there."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 0


def _preload(modules: list[str]) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # a step that needs it will say so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def main(arguments: list[str]) -> None:
    """Import the modules named, then fork steps until the parent goes."""
    control, parent, *modules = arguments
    zygote = Zygote(socket.socket(fileno=int(control)), int(parent))
    zygote.guard()
    gc.disable()
    _preload(modules)
    zygote.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
