"""The step server, with the fork and with a fresh interpreter a step: one suite on both."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.app.steps import PRELOAD
from custody.domain.ports import Ending, ProcessEnd, Task
from custody.engine.process import StepServer
from custody.engine.steplog import HEAD, TAIL
from custody.engine.zygote import LINUX
from tests.unit.engine.engine_suite import PATH

GIB = 1 << 30


@pytest.fixture(scope="module", params=[True, False], ids=["fork", "fresh"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATH)
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        made = StepServer(
            tmp_path_factory.mktemp("zygote") / "steps.log",
            preload=("json", "no_such_module", "sqlite3"),
            fork=request.param,
        )
    with made:
        yield made


@pytest.fixture
def run(server: StepServer, tmp_path: Path):
    def run(function: str, payload: dict | None = None, **options) -> ProcessEnd:
        task = Task(f"step_functions:{function}", payload or {}, tmp_path / "logs" / "step.log", "k", {})
        return server.run(task, **options)

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "step.log"


def gone(pid: int) -> bool:
    """Whether the process has ended; waits for it, as its end is under way."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 5)[0])
    finally:
        os.close(descriptor)


def test_the_result_comes_back_with_what_was_measured(run):
    end = run("answer", {"a": [1, 2.5, None, "é"], "nested": {"b": True}})
    assert end.ending is Ending.DONE
    assert end.error is None
    assert end.result["got"] == {"a": [1, 2.5, None, "é"], "nested": {"b": True}}
    assert end.result["pid"] == end.result["session"] != os.getpid()
    assert end.seconds > 0
    assert end.memory > 1 << 20
    assert end.attempts == 1


def test_cpu_time_is_that_of_the_step(run):
    assert run("work", {"cpu": 0.2, "step": "train"}).cpu >= 0.2


def test_an_exception_becomes_one_line_and_its_traceback_goes_to_the_log(run, log):
    end = run("raise_value_error")
    assert (end.ending, end.error) == (Ending.RAISED, "ValueError: two lines")
    text = log.read_text()
    assert text.startswith("before it raises\n")
    assert "Traceback" in text
    assert "in raise_value_error" in text


def test_an_expected_failure_keeps_its_message_and_its_kind(run):
    end = run("refuse")
    assert (end.ending, end.error) == (Ending.RAISED, "customers may not be used for this")
    assert end.result == {
        "error": {"type": "RefusedError", "code": "P101", "exit_code": 4, "help": ["custody show customers"]}
    }


def test_a_hanging_step_is_killed_at_its_time_out(run, log, tmp_path):
    end = run("hang", {"started": str(tmp_path / "started")}, timeout=0.3)
    assert (end.ending, end.error) == (Ending.TIMED_OUT, "timed out after 0.3 s")
    assert end.seconds >= 0.3
    assert end.result is None
    assert log.read_text() == "hanging\n"


def test_a_loop_that_never_lets_go_of_the_interpreter_is_killed_too(run, tmp_path):
    assert run("hold_the_gil", {"started": str(tmp_path / "started")}, timeout=0.3).ending is Ending.TIMED_OUT


@pytest.mark.parametrize(
    ("function", "ending", "error"),
    [
        ("leave", Ending.EXITED, "exit 7"),
        ("exit_politely", Ending.EXITED, "exit 3"),
        ("exit_without_result", Ending.EXITED, "exit 0 without a result"),
        ("segfault", Ending.KILLED, "SIGSEGV"),
        ("return_a_list", Ending.RAISED, "TypeError: step_functions:return_a_list returned list, not a JSON object"),
        ("return_an_object", Ending.RAISED, "TypeError: object is not JSON"),
        (
            "no_such_function",
            Ending.RAISED,
            "AttributeError: module 'step_functions' has no attribute 'no_such_function'",
        ),
    ],
)
def test_however_a_step_ends_it_is_named(run, function, ending, error):
    end = run(function)
    assert (end.ending, end.error, end.result) == (ending, error, None)


def test_what_was_printed_before_a_crash_is_in_the_log_with_the_place_of_the_crash(run, log):
    run("segfault")
    assert log.read_text().startswith("about to crash\n")
    assert "in segfault" in log.read_text()


def test_a_module_that_is_not_there_fails_the_step(server, tmp_path):
    end = server.run(Task("no_such_module:f", {}, tmp_path / "l", "k", {}))
    assert (end.ending, end.error) == (Ending.RAISED, "ModuleNotFoundError: No module named 'no_such_module'")


@pytest.mark.skipif(not LINUX, reason="the limit is Linux's")
def test_memory_beyond_the_limit_fails_and_below_it_does_not(run):
    end = run("allocate", {"bytes": 2 * GIB}, memory=GIB)
    assert (end.ending, end.error) == (Ending.OUT_OF_MEMORY, "out of memory")
    assert run("allocate", {"bytes": GIB // 8}, memory=GIB).result == {"n": GIB // 8}


def test_results_and_requests_may_be_larger_than_any_pipe(run):
    assert len(run("be_large", {"bytes": 5_000_000}).result["text"]) == 5_000_000
    assert len(run("answer", {"text": "y" * 5_000_000}).result["got"]["text"]) == 5_000_000


def test_cancelling_kills_the_step(run, tmp_path):
    started = tmp_path / "started"
    end = run("hang", {"started": str(started)}, cancelled=started.exists)
    assert (end.ending, end.error, end.result) == (Ending.CANCELLED, "cancelled", None)


def test_cancelled_before_it_starts(run):
    assert run("answer", cancelled=lambda: True).ending in {Ending.CANCELLED, Ending.DONE}


def test_steps_run_side_by_side(server, tmp_path):
    started = [tmp_path / "a", tmp_path / "b"]

    def both() -> bool:
        return all(path.exists() for path in started)

    ends: list[ProcessEnd] = []

    def one(path: Path) -> None:
        task = Task("step_functions:hang", {"started": str(path)}, path.with_suffix(".log"), "k", {})
        ends.append(server.run(task, cancelled=both, timeout=60))

    workers = [threading.Thread(target=one, args=(path,)) for path in started]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [end.ending for end in ends] == [Ending.CANCELLED, Ending.CANCELLED]


def test_one_thread_and_a_fixed_hash_in_every_step(run):
    first, second = run("threads").result, run("threads").result
    assert first == second
    assert first["OMP_NUM_THREADS"] == first["OPENBLAS_NUM_THREADS"] == first["MKL_NUM_THREADS"] == "1"
    assert first["threads"] == 1


def test_a_step_starts_with_default_signals(run):
    assert run("signals").result == {"int": True, "term": True}


def test_later_attempts_are_appended_to_the_log_and_a_first_one_starts_it_anew(run, log):
    run("leave")
    assert run("leave", attempt=2).attempts == 2
    assert log.read_text() == "leaving\nleaving\n"
    run("leave")
    assert log.read_text() == "leaving\n"


@pytest.mark.skipif(not LINUX, reason="descendants are adopted on Linux")
def test_no_process_of_a_step_outlives_it(run):
    pids = run("leave_processes_behind").result["pids"]
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(not LINUX, reason="descendants are adopted on Linux")
def test_no_process_of_a_killed_step_outlives_it(run, tmp_path):
    started = tmp_path / "started"
    run(
        "leave_processes_behind",
        {"hang": True, "started": str(started)},
        cancelled=lambda: started.exists() and started.stat().st_size > 0,
    )
    assert all(gone(int(pid)) for pid in started.read_text().split())


def test_modules_are_loaded_beforehand_and_one_that_cannot_be_is_no_error(server, run):
    loaded = run("modules", {"names": ["sqlite3", "no_such_module"]}).result["loaded"]
    assert loaded == (["sqlite3"] if server._fork else [])


def test_the_numeric_libraries_leave_one_thread_in_the_process_that_forks(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", PATH)
    with StepServer(tmp_path / "steps.log", preload=PRELOAD, fork=True) as server:
        end = server.run(Task("step_functions:modules", {"names": ["sklearn", "pyarrow"]}, tmp_path / "l", "k", {}))
        assert end.result == {"loaded": ["sklearn", "pyarrow"]}
        assert len(list(Path(f"/proc/{server._shared._process.pid}/task").iterdir())) == 1


def test_a_step_server_that_was_killed_fails_its_steps_and_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", PATH)
    started = tmp_path / "started"
    with StepServer(tmp_path / "steps.log", preload=(), fork=True) as server:
        first = server._shared._process

        def kill_when_started() -> bool:
            if started.exists() and first.poll() is None:
                first.kill()
            return False

        end = server.run(
            Task("step_functions:hang", {"started": str(started)}, tmp_path / "l", "k", {}), cancelled=kill_when_started
        )
        assert (end.ending, end.error) == (Ending.KILLED, "the step server ended")
        assert server.run(Task("step_functions:answer", {}, tmp_path / "l", "k", {})).ending is Ending.DONE


def test_closing_ends_the_process_that_forks(tmp_path):
    server = StepServer(tmp_path / "steps.log", preload=(), fork=True)
    server.start()
    process: subprocess.Popen[bytes] = server._shared._process
    server.close()
    server.close()
    assert process.returncode == 0


def test_a_terminal_s_interrupt_does_not_reach_it(tmp_path):
    with StepServer(tmp_path / "steps.log", preload=(), fork=True) as server:
        assert os.getsid(server._shared._process.pid) != os.getsid(0)
        server.run(Task("json:dumps", {}, tmp_path / "l", "k", {}))
        server._shared._process.send_signal(signal.SIGINT)
        server._shared._process.send_signal(signal.SIGTERM)
        assert server.run(Task("os:getcwd", {}, tmp_path / "l", "k", {})).ending is Ending.RAISED


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepServer]:
    """A server in an environment with secrets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATH)
        patch.setenv("DEPLOY_TOKEN", "s3cr3t-value")
        made = StepServer(tmp_path_factory.mktemp("keeper") / "steps.log", preload=(), fork=True)
    with made:
        yield made


def test_secrets_are_masked_in_log_error_and_warnings(keeper, log):
    def run(function: str, payload: dict) -> ProcessEnd:
        return keeper.run(Task(f"step_functions:{function}", payload, log, "k", {}))

    pieces = ["token s3cr", "3t-va", "lue here", "\nczNjcjN0L", "XZhbHVl\n", "half of one: s3cr3t"]
    end = run("print_in_pieces", {"pieces": pieces, "pause": 0.01})
    assert log.read_text() == "token *** here\n***\nhalf of one: s3cr3t"
    end = run("print_in_pieces", {"pieces": ["s3cr3t-value"]})
    assert end.result["facts"]["warnings"] == ["***"]
    end = run("raise_text", {"text": "x" * 470 + " s3cr3t-value " + "y" * 90})
    assert "s3cr3t" not in end.error
    assert len(end.error) == 500
    assert "s3cr3t" not in log.read_text()


@pytest.mark.parametrize("one_line", [False, True])
def test_a_log_is_bounded_and_keeps_its_beginning_and_its_end(keeper, log, one_line):
    size = 32 << 20
    task = Task("step_functions:print_much", {"size": size, "one_line": one_line}, log, "k", {})
    assert keeper.run(task).ending is Ending.DONE
    text = log.read_text()
    assert len(text) < HEAD + TAIL + (1 << 17)
    assert text.startswith("the first line\n")
    assert text.endswith("\nthe last line\n")
    assert "cr3t" not in text
    assert "t-va" not in text
    left_out = int(re.search(r"\[… ([\d,]+) bytes left out …\]", text)[1].replace(",", ""))
    assert size / 2 < left_out < size


@pytest.mark.slow
def test_a_gigabyte_is_printed_without_being_kept(keeper, log):
    task = Task("step_functions:print_much", {"size": 1 << 30}, log, "k", {})
    assert keeper.run(task, timeout=120).ending is Ending.DONE
    assert log.stat().st_size < 10 << 20


def test_a_step_may_close_what_it_prints_to(run):
    assert run("close_streams").result == {"done": True}
    assert run("close_streams", {"fail": True}).error == "ValueError: nobody hears"


def test_what_a_step_does_to_its_process_ends_with_it(run):
    first = run("spoil").result
    assert run("spoil").result == first
    assert first["variable"] is None


def test_a_log_that_cannot_be_written_fails_the_step(server, tmp_path):
    (tmp_path / "log").mkdir()
    end = server.run(Task("step_functions:answer", {}, tmp_path / "log", "k", {}))
    assert (end.ending, end.error) == (
        Ending.KILLED,
        f"its log cannot be written: Is a directory: {tmp_path / 'log'}",
    )
