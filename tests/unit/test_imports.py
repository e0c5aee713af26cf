"""What a command imports: start-up stays fast, and nothing heavy is loaded before a step has to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.app.history import History

HEAVY = ("prefect", "sklearn", "pandas", "pyarrow", "duckdb", "skops", "scipy", "rich")
ALSO_NOT_FOR_HELP = ("pygit2", "jsonschema", "git", "yaml", "numpy", "jinja2", "sqlite3")
SCRIPT = """
import json, sys
from custody.cli.main import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump([code, sorted(sys.modules)], file)
"""


def imported(history: History, *arguments: str) -> set[str]:
    """Run a command in a process of its own and return the top-level modules that it had loaded at its end."""
    report = history.home / "report.json"
    environ = {"PATH": os.environ["PATH"], "HOME": str(history.home), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(report), *arguments],
        cwd=history.root,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(report.read_text())
    assert code == 0, done.stderr
    return {name.partition(".")[0] for name in modules} | set(modules)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("imports"))
    run = made.run(made.first)
    made.record(run)
    made.promote(run)
    return made


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check"], ["plan"], ["status"], ["trace", "churn"], ["log"], ["runs"], ["show", "churn"], ["find"]],
    ids=lambda value: value[0],
)
def test_nothing_heavy(history: History, arguments: list[str]) -> None:
    assert not imported(history, *arguments) & set(HEAVY)


def test_check_and_status_need_no_numbers(history: History) -> None:
    assert not {name for verb in ("check", "status", "incident") for name in imported(history, verb)} & {"numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plan", "--help"], ["apply", "--help"]])
def test_help_imports_next_to_nothing(history: History, arguments: list[str]) -> None:
    found = imported(history, *arguments)
    assert not found & {*HEAVY, *ALSO_NOT_FOR_HELP}
    assert not {name for name in found if name.startswith(("custody.git", "custody.spec", "custody.ledger"))}


def test_the_test_can_fail(history: History) -> None:
    """A command that does need a library shows up: the measurement works."""
    assert {"pygit2", "yaml"} <= imported(history, "plan")
    assert Path(history.root).is_dir()
