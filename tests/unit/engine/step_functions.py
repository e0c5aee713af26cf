"""Tiny real functions that run in step processes."""
# ruff: noqa: ARG001, T201

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from custody.digest import digest
from custody.errors import RefusedError


def answer(payload):
    return {"got": payload, "pid": os.getpid(), "session": os.getsid(0)}


def raise_value_error(payload):
    print("before it raises")
    raise ValueError("two\nlines")


def refuse(payload):
    raise RefusedError("customers may not be used for this", code="P101", help=("custody show customers",))


def hang(payload):
    print("hanging", flush=True)
    Path(payload["started"]).write_text("started")
    threading.Event().wait()


def hold_the_gil(payload):
    """A loop in C that never lets another thread of the process run: backtracking for longer than the universe."""
    Path(payload["started"]).touch()
    re.match(r"(a+)+$", "a" * 64 + "b")


def leave(payload):
    print("leaving")
    os._exit(7)


def leave_until(payload):
    """Exit with 7 until it has been called often enough."""
    counter = Path(payload["counter"])
    calls = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(calls))
    print("call", calls)
    if calls < payload["calls"]:
        sys.stdout.flush()
        os._exit(7)
    return make(payload)


def exit_politely(payload):
    sys.exit(3)


def exit_without_result(payload):
    os._exit(0)


def segfault(payload):
    print("about to crash")
    ctypes.string_at(0)


def allocate(payload):
    return {"n": len(bytearray(payload["bytes"]))}


def be_large(payload):
    return {"text": "x" * payload["bytes"]}


def return_a_list(payload):
    return [1, 2]


def return_an_object(payload):
    return {"o": object()}


def threads(payload):
    return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} | {
        "hash": hash("custody"),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def modules(payload):
    return {"loaded": [name for name in payload["names"] if name in sys.modules]}


def leave_processes_behind(payload):
    """Start one process in the step's group and one that leaves it."""
    pids = [
        subprocess.Popen(
            [sys.executable, "-c", "import threading; threading.Event().wait()"], start_new_session=new
        ).pid
        for new in (False, True)
    ]
    if payload.get("hang"):
        Path(payload["started"]).write_text(" ".join(map(str, [*pids, os.getpid()])))
        threading.Event().wait()
    return {"pids": pids}


def hang_with_processes(payload):
    return leave_processes_behind({**payload, "hang": True})


def signals(payload):
    return {
        "int": signal.getsignal(signal.SIGINT) == signal.SIG_DFL,
        "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    }


def wait_for(payload):
    while not Path(payload["path"]).exists():
        time.sleep(0.01)
    return make(payload)


def say_pid_and_hang(payload):
    Path(payload["path"]).write_text(str(os.getpid()))
    threading.Event().wait()


def make(payload):
    """Make an output that depends on the step and on what was before it."""
    made = digest([payload["step"], payload["upstream"]])
    facts = {"text": "x" * payload["bytes"]} if "bytes" in payload else {}
    return {"ref": {"kind": payload["step"], "digest": made, "object": made}, "facts": facts}


def work(payload):
    end = time.process_time() + payload["cpu"]
    while time.process_time() < end:
        pass
    return make({"upstream": {}, **payload})


def print_much(payload):
    """Print `size` bytes in lines, or in one line, between a first and a last one; a secret again and again."""
    line = ("x" * 80 + " s3cr3t-value ").encode() + (b"" if payload.get("one_line") else b"\n")
    block = line * 700
    os.write(1, b"the first line\n")
    for _ in range(payload["size"] // len(block)):
        os.write(1, block)
    os.write(2, b"\nthe last line\n")
    return {}


def print_in_pieces(payload):
    for piece in payload["pieces"]:
        os.write(1, piece.encode())
        time.sleep(payload.get("pause", 0))
    return {"facts": {"warnings": payload["pieces"]}}


def raise_text(payload):
    raise ValueError(payload["text"])


def close_streams(payload):
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)
    if payload.get("fail"):
        raise ValueError("nobody hears")
    return {"done": True}


def spoil(payload):
    """Change the environment, the folder and the modules of this process."""
    before = {"folder": str(Path.cwd()), "variable": os.environ.get("CUSTODY_SPOILT")}
    os.environ["CUSTODY_SPOILT"] = "yes"
    os.environ.pop("HOME", None)
    os.chdir("/")
    sys.modules["json"] = None
    return before
