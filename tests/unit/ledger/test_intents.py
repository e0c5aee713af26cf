from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.errors import LedgerError, LockedError
from custody.ledger.intents import Intents
from custody.ledger.locks import apply_lock, file_lock, try_lock
from tests.unit.ledger.material import a_run

ROOT = Path(__file__).resolve().parents[3]
STEPS = a_run("run-1").steps

_DIES = """
import os, sys
from pathlib import Path
from custody.ledger.intents import Intents
from custody.ledger.locks import apply_lock
from tests.unit.ledger.material import a_run
where = Path(sys.argv[1])
intent = Intents(where).open("run-1", {"model": "churn", "pid": os.getpid()})
intent.started("fetch")
intent.step(a_run("run-1").steps["fetch"])
intent.started("train")
with apply_lock(where):
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(where: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with an intent and the apply lock; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, str(where)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_run_is_abandoned_when_its_process_is_dead(tmp_path: Path) -> None:
    intents = Intents(tmp_path)
    assert intents.abandoned() == []
    with another_process(tmp_path) as process:
        assert intents.abandoned() == []
        with pytest.raises(LedgerError, match="already at work"):
            intents.open("run-1", {})
        with pytest.raises(LockedError, match=f"process {process.pid} on .* since 20") as caught, apply_lock(tmp_path):
            pass
        assert caught.value.exit_code == 6
        assert caught.value.help == (f"ps -p {process.pid}",)
        process.kill()
        process.wait()
        (found,) = intents.abandoned()
    assert found.run_id == "run-1"
    assert found.header == {"model": "churn", "pid": process.pid}
    assert found.steps == (STEPS["fetch"],)
    assert found.last_started == "train"
    with apply_lock(tmp_path):
        intents.remove("run-1")
    assert intents.abandoned() == []
    intents.remove("run-1")


def test_an_intent_that_is_closed_is_gone(tmp_path: Path) -> None:
    intents = Intents(tmp_path)
    intent = intents.open("run-1", {"model": "churn"})
    assert intents.abandoned() == []
    intent.close()
    intent.close()
    assert intents.abandoned() == []
    assert list((tmp_path / "custody/intents").iterdir()) == []
    with pytest.raises(LedgerError, match="closed"):
        intent.started("train")


def test_an_intent_that_is_released_is_left_to_the_next_command(tmp_path: Path) -> None:
    intents = Intents(tmp_path)
    intent = intents.open("run-1", {"model": "churn"})
    intent.release()
    intent.close()
    assert [found.run_id for found in intents.abandoned()] == ["run-1"]
    intents.open("run-1", {"model": "again"}).close()
    assert intents.abandoned() == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "custody").write_text("no folder")
    with pytest.raises(LedgerError, match="intent"):
        Intents(tmp_path).open("run-1", {})
    with pytest.raises(LedgerError, match="lock file"), file_lock(tmp_path, "append.lock"):
        pass
    assert Intents(tmp_path).abandoned() == []


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "a\n", "x" * 200])
def test_ids_that_are_no_file_names_are_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(LedgerError):
        Intents(tmp_path).open(run_id, {})
    with pytest.raises(LedgerError):
        Intents(tmp_path).remove(run_id)


def written(folder: Path) -> bytes:
    """The bytes of an intent with a header, one finished step and one that began."""
    intent = Intents(folder).open("run-1", {"model": "churn"})
    intent.started("fetch")
    intent.step(STEPS["fetch"])
    intent.started("train")
    data = (folder / "custody/intents/run-1.jsonl").read_bytes()
    intent.close()
    return data


def test_any_cut_of_an_intent_is_read(tmp_path: Path) -> None:
    data = written(tmp_path)
    path = tmp_path / "custody/intents/run-1.jsonl"
    for length in range(0, len(data) + 1, 7):
        path.write_bytes(data[:length])
        (found,) = Intents(tmp_path).abandoned()
        whole = data[:length].count(b"\n")
        assert (found.header == {"model": "churn"}) == (whole >= 1 or length >= len(data.split(b"\n")[0]))
        if whole >= 3:
            assert found.steps == (STEPS["fetch"],)


@settings(max_examples=40, deadline=None)
@given(
    st.binary(max_size=80)
    | st.sampled_from([b'{"step": "x", "record": {}}', b'{"started": 7}', b"[1]", b'"x"', b"[" * 9999])
)
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("intent")
    (folder / "custody/intents").mkdir(parents=True)
    (folder / "custody/intents/run-1.jsonl").write_bytes(data)
    (found,) = Intents(folder).abandoned()
    assert found.run_id == "run-1"
    assert found.steps == ()


def test_a_file_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    with file_lock(tmp_path, "append.lock"):
        other = os.open(tmp_path / "custody/append.lock", os.O_RDWR)
        assert not try_lock(other)
    assert try_lock(other)
    os.close(other)


def test_a_lock_that_is_free_again_can_be_taken(tmp_path: Path) -> None:
    for _ in range(2):
        with apply_lock(tmp_path):
            content = (tmp_path / "custody/apply.lock").read_text()
            assert '"pid"' in content
            with pytest.raises(LockedError), apply_lock(tmp_path, wait=0.01):
                pass
        assert (tmp_path / "custody/apply.lock").read_text() == ""
