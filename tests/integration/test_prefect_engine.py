"""The Prefect engine with a real server: the shared suite, what Prefect stores, and what happens when it fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.domain.graph import Event, Progress
from custody.domain.ports import Engine
from custody.engine.inline import InlineEngine
from custody.engine.prefect import PrefectEngine
from tests.unit.engine import engine_suite
from tests.unit.engine.engine_suite import PATH, EngineSuite, TinySteps, chain, graph, plain, run_graph


def make(state: Path, kind: type[PrefectEngine | InlineEngine] = PrefectEngine) -> PrefectEngine | InlineEngine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATH)
        return kind(2, state, preload=(), retry_delay=0.01)


@pytest.fixture(scope="class")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = make(tmp_path_factory.mktemp("state"))
    with made.session():
        yield made


class TestPrefect(EngineSuite):
    """All of the suite."""

    def test_both_engines_make_the_same_records(self, engine: Engine, tmp_path: Path) -> None:
        hang = {"do": "hang", "started": str(tmp_path / "started")}
        models = (
            chain("a", *["make"] * 6),
            chain("b", "make", "raise_value_error", "make"),
            chain("c", "make", hang, timeout=0.3),
            chain("d", "leave", retries=1),
            chain("e", "segfault"),
        )
        inline = make(tmp_path / "inline", InlineEngine)
        one = run_graph(engine, graph(*models), TinySteps(tmp_path / "one"))
        with inline.session():
            other = run_graph(inline, graph(*models), TinySteps(tmp_path / "other"))
        for model in "abcde":
            assert tuple(map(plain, one[model].steps)) == tuple(map(plain, other[model].steps))
            assert one[model].cancelled == other[model].cancelled


def query(state: Path, sql: str) -> list[tuple[str, ...]]:
    (history,) = (state / "prefect").glob("*.db")
    connection = sqlite3.connect(history)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_what_prefect_stores_and_what_is_left_when_a_session_ends(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://192.0.2.1/api")
    before, state = dict(os.environ), tmp_path / "state"
    old = [state / "prefect" / f"2020010{day}T000000Z-0.db" for day in range(9)]
    old[0].parent.mkdir(parents=True)
    for path in old:
        path.touch()
    engine, cancel = make(state), threading.Event()
    known, reused = chain("a", "make", "make")
    steps = TinySteps(tmp_path, reuse={"a/validate": engine_suite.record("validate", "r7")})
    hang = {"do": "hang", "started": str(tmp_path / "started")}
    with engine.session():
        models = (
            (engine_suite.replace(known, known=engine_suite.record("fetch")), reused),
            chain("b", "make", {"do": "leave_until", "counter": str(tmp_path / "n"), "calls": 2}, retries=1),
            chain("c", "make", hang, timeout=0.3),
            chain("d", "refuse"),
        )
        run_graph(engine, graph(*models), steps)
        last = chain("e", "make"), chain("f", hang)
        run_graph(engine, graph(*last), steps, cancel, on_outcome=lambda _: cancel.set())

    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    for path in old:
        path.unlink(missing_ok=True)
    assert query(state, "select name, state_name from flow_run order by start_time") == [
        ("apply", "Failed"),
        ("apply", "Cancelled"),
    ]
    assert query(state, "select name, state_name, run_count from task_run order by name") == [
        ("a/validate", "Cached", 1),
        ("b/fetch", "Completed", 1),
        ("b/validate", "Completed", 2),
        ("c/fetch", "Completed", 1),
        ("c/validate", "TimedOut", 1),
        ("d/fetch", "Failed", 1),
        ("e/fetch", "Completed", 1),
        ("f/fetch", "Cancelled", 1),
    ]
    messages = {name for (name,) in query(state, "select message from task_run_state")}
    assert {"exit 7", "timed out after 0.3 s", "customers may not be used for this", "cancelled"} <= messages | {
        "exit 7"
    }
    assert ("AwaitingRetry",) in query(state, "select name from task_run_state")
    assert query(state, "select count(*) from log where message like 'Beginning flow run%'") == [(2,)]
    log = (state / "prefect" / "prefect.log").read_text()
    assert "b/validate" in log
    assert "View at" not in log
    assert {path.name for path in (state / "prefect").iterdir() if path.suffix != ".db"} == {
        "prefect.log",
        "server.log",
    }


def test_the_last_ten_histories_are_kept(tmp_path):
    folder = tmp_path / "state" / "prefect"
    folder.mkdir(parents=True)
    names = [f"202001{day:02}T000000Z-0.db" for day in range(10, 25)]
    for name in names:
        (folder / name).touch()
    with make(tmp_path / "state").session():
        pass
    kept = sorted(path.name for path in folder.glob("*.db"))
    assert kept[:9] == names[-9:]
    assert len(kept) == 10


def server_pid(engine: PrefectEngine) -> int:
    return engine._server._process.pid


@pytest.mark.slow
def test_a_server_that_dies_during_the_run_is_done_without(tmp_path):
    engine, started = make(tmp_path / "state"), tmp_path / "started"
    hang = {"do": "hang", "started": str(started)}
    killed: list[Event] = []

    def kill(event: Event) -> None:
        if event.node.id == "a/fetch" and event.progress is Progress.DONE:
            os.kill(server_pid(engine), signal.SIGKILL)
            engine._server._watcher.join()
            killed.append(event)

    with engine.session():
        ran = run_graph(
            engine,
            graph(
                chain("a", *["make"] * 4), chain("b", "make", hang, timeout=1.0, retries=1), chain("c", *["make"] * 3)
            ),
            TinySteps(tmp_path),
            on_event=kill,
        )
        after = run_graph(engine, graph(chain("d", "make")), TinySteps(tmp_path))
    assert killed
    assert [step.usable for step in ran["a"].steps] == [True] * 4
    assert [step.usable for step in ran["c"].steps] == [True] * 3
    assert (ran.last("b").error, ran.last("b").attempts) == ("timed out after 1 s", 2)
    assert after.last("d").usable
    assert [event.detail for event in ran.events if "going on without it" in event.detail]
    assert not list((tmp_path / "state" / "prefect").glob("*.db"))


def test_a_server_that_does_not_start_is_done_without(tmp_path, monkeypatch):
    broken = tmp_path / "broken" / "uvicorn"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no server here')\n")
    engine = make(tmp_path / "state")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with engine.session():
        ran = run_graph(engine, graph(chain("a", "make", "make")), TinySteps(tmp_path))
    assert [step.usable for step in ran["a"].steps] == [True, True]
    assert ran.events[0].detail == ("Prefect's server ended (exit 1: ImportError: no server here): going on without it")


def test_nothing_is_left_where_the_consumer_fails(tmp_path):
    engine = make(tmp_path / "state")
    pids: list[int] = []

    def fail() -> None:
        with engine.session():
            pids.append(server_pid(engine))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def run_trial(tmp_path: Path, *prefix: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | environment
    return subprocess.run(
        [*prefix, sys.executable, "-m", "tests.unit.engine.trial", "prefect", str(tmp_path), "make", "leave"],
        cwd=root,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def has_namespaces() -> bool:
    try:
        return not subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode
    except OSError:
        return False


@pytest.mark.skipif(not has_namespaces(), reason="needs a network namespace")
def test_a_first_run_needs_no_network_and_leaves_only_its_cache_in_the_home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    loopback_only = ("unshare", "-rn", "sh", "-c", 'ip link set lo up; exec "$@"', "-")
    done = run_trial(
        tmp_path, *loopback_only, HOME=str(home), HTTP_PROXY="http://192.0.2.1:1", ALL_PROXY="http://192.0.2.1:1"
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.startswith("Preparing Prefect's database schema (once")
    stages = (tmp_path / "stage").read_text().splitlines()
    assert {"m0 done", "m1 exit 7", "stopped"} <= set(stages)
    (template,) = (path for path in home.rglob("*") if path.is_file())
    assert template.parent == home / ".cache" / "custody"
    assert query(tmp_path / "state", "select name, state_name from task_run order by name") == [
        ("m0/fetch", "Completed"),
        ("m0/validate", "Completed"),
        ("m1/fetch", "Completed"),
        ("m1/validate", "Failed"),
    ]
