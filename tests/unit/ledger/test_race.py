from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.git.repositories import commit
from tests.unit.ledger.checks import check_ledger
from tests.unit.ledger.material import a_run, open_ledger, run_record

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("writers", "count"), [(3, 6), pytest.param(8, 50, marks=pytest.mark.slow)])
def test_writers_that_race_lose_nothing(repository: Path, writers: int, count: int) -> None:
    target = commit(repository)
    command = [sys.executable, "-m", "tests.unit.ledger.writers", str(repository)]
    running = [
        subprocess.Popen([*command, f"w{number}", str(count), target], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for number in range(writers)
    ]
    acknowledged = [line for process in running for line in process.communicate()[0].split()]
    assert [process.returncode for process in running] == [0] * writers
    assert len(acknowledged) == writers * (count + 2 * (count // 5))
    ledger = check_ledger(repository, acknowledged, [target])
    assert len(list(ledger.entries())) == len(acknowledged)


def test_threads_that_race_lose_nothing(repository: Path) -> None:
    ledger = open_ledger(repository)
    failures: list[Exception] = []

    def work(name: int) -> None:
        try:
            for number in range(6):
                ledger.append(run_record(a_run(f"run-{name}-{number}")))
                assert ledger.state().models["churn"].run is not None
                assert ledger.step(a_run(f"run-{name}-{number}").steps["train"].key) is not None
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check_ledger(repository, [f"record-of-run-{name}-{number}" for name in range(4) for number in range(6)])
