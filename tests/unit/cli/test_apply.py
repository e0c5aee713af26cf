"""The apply verb: exit codes, signals, and the note for callers that lose the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from custody.app.apply_result import Applied, AppliedModel
from custody.cli.args.apply import exit_code
from custody.cli.args.plan import exit_code as plan_exit_code
from custody.cli.last import outcome
from custody.cli.live import shown
from custody.cli.output import Output
from custody.domain.graph import Event, Node, Progress
from custody.domain.plan import Category, Change, Plan
from custody.domain.record import RunStatus
from custody.errors import LockedError

EMPTY = Plan("7c1e90d", (), None, None, None)
DONE = AppliedModel("a", Category.NEW, run_status=RunStatus.PASSED)
MOVED = AppliedModel("b", Category.RETIRE)
REJECTED = AppliedModel("c", Category.REGATE, run_status=RunStatus.REJECTED)
BLOCKED = AppliedModel("d", Category.BLOCKED)
FAILED = AppliedModel("e", Category.NEW, run_status=RunStatus.FAILED)
CRASHED = AppliedModel("f", Category.NEW, run_status=RunStatus.CRASHED)
STOPPED = AppliedModel("g", Category.NEW, run_status=RunStatus.INTERRUPTED)


@pytest.mark.parametrize(
    ("models", "signals", "code"),
    [
        ((), [], 0),
        ((DONE, MOVED), [], 0),
        ((FAILED,), [], 1),
        ((FAILED, CRASHED), [], 1),
        ((FAILED, DONE), [], 7),
        ((FAILED, REJECTED), [], 7),
        ((FAILED, MOVED), [], 7),
        ((REJECTED,), [], 4),
        ((BLOCKED, DONE), [], 4),
        ((FAILED, BLOCKED), [], 7),
        ((DONE, STOPPED), [signal.SIGINT], 130),
        ((FAILED, STOPPED), [signal.SIGTERM, signal.SIGINT], 143),
        ((STOPPED,), [], 130),
    ],
)
def test_exit_codes(models: tuple[AppliedModel, ...], signals: list[int], code: int) -> None:
    assert exit_code(Applied(EMPTY, models), signals) == code


def test_an_interrupt_before_anything_ran() -> None:
    assert exit_code(Applied(EMPTY, (), cancelled=True), [signal.SIGTERM]) == 143


def test_exit_codes_of_a_plan() -> None:
    new = Plan("1", (Change("a", Category.NEW),), None, None, None)
    blocked = Plan("1", (Change("a", Category.BLOCKED), Change("b", Category.NEW)), None, None, None)
    held = Plan("1", (Change("a", Category.HELD),), None, None, None)
    assert [plan_exit_code(plan, detailed=False) for plan in (EMPTY, new, held, blocked)] == [0, 0, 0, 4]
    assert [plan_exit_code(plan, detailed=True) for plan in (EMPTY, new, held, blocked)] == [0, 2, 0, 4]


WAITER = """
import sys
from threading import Event
from custody.cli.args.apply import interruptible
cancel = Event()
with interruptible(cancel) as signals:
    print("ready", flush=True)
    cancel.wait()
    print("cancelled", *map(int, signals), flush=True)
    if "wait" in sys.argv:
        Event().wait()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_cancels_and_the_second_kills(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITER, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"cancelled {int(number)}\n"
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == code
    assert "Stopping" in errors
    assert "Killed" in errors


def test_handlers_are_restored() -> None:
    from threading import Event as Cancel

    from custody.cli.args.apply import interruptible

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruptible(Cancel()):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_note_is_written_however_it_ends(tmp_path: Path) -> None:
    def read() -> dict[str, object]:
        found: dict[str, object] = json.loads((tmp_path / "state/last.json").read_text())
        return found

    with outcome(tmp_path / "state", "apply") as last:
        last.exit_code = 7
        last.facts["models"] = {"churn": "failed"}
    assert (read()["exit_code"], read()["verb"], read()["models"]) == (7, "apply", {"churn": "failed"})
    with pytest.raises(LockedError), outcome(tmp_path / "state", "apply"):
        raise LockedError("busy", code="E402")
    assert (read()["exit_code"], read()["error"]) == (6, {"code": "E402", "message": "busy"})
    with pytest.raises(ZeroDivisionError), outcome(tmp_path / "state", "plan"):
        _ = 1 // 0
    assert read()["exit_code"] == 3
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["last.json"]


def test_a_folder_that_cannot_be_written_does_not_fail_an_apply(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with outcome(tmp_path / "state", "apply") as last:
        last.exit_code = 0
    assert (tmp_path / "state").read_text() == "in the way"


def test_progress_without_a_terminal_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    event = Event(Node("n", "churn", "train", {}, {}), Progress.DONE, seconds=1.0)
    with shown(Output()) as show:
        show(event)
    assert capsys.readouterr().err.endswith("Z  churn                 train     done in 1.0 s\n")
    with shown(Output(quiet=True)) as show:
        show(event)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_board_that_leaves_nothing_behind() -> None:
    script = (
        "from custody.cli.live import shown\n"
        "from custody.cli.output import Output\n"
        "from custody.domain.graph import Event, Node, Progress\n"
        "with shown(Output(terminal=True)) as show:\n"
        "    show(Event(Node('n', 'churn[red]', 'train', {}, {}), Progress.STARTED))\n"
        "print('after')\n"
    )
    parent, child = os.openpty()
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=child, stderr=child, env=environ)
    os.close(child)
    seen = b""
    try:
        while piece := os.read(parent, 4096):
            seen += piece
    except OSError:
        pass
    finally:
        os.close(parent)
    assert process.wait() == 0
    assert b"churn[red]  train" in seen
    assert seen.rstrip().endswith(b"after")
