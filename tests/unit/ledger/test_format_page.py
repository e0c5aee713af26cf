"""The commands of docs/ledger-format.md work on a ledger."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import commit, git
from tests.unit.ledger.material import a_run, open_ledger, promotion_record, register_record, run_record

PAGE = Path(__file__).resolve().parents[3] / "docs/ledger-format.md"
COMMANDS = re.findall(r"^\$ git (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def a_ledger(repository: Path) -> GitLedger:
    source = commit(repository, "max_depth: 6")
    ledger = open_ledger(repository)
    run = a_run("run-1")
    ledger.append(run_record(run, trailers=(("Run", run.id), ("Code", source)), notes=((source, "run-1 passed"),)))
    ledger.decide("churn", lambda _: register_record(run, "v1"))
    ledger.decide("churn", lambda _: promotion_record(run, "v1", None))
    return ledger


def test_every_command_of_the_page_says_something(repository: Path) -> None:
    a_ledger(repository)
    assert len(COMMANDS) >= 14
    silent = [command for command in COMMANDS if not git(repository, *shlex.split(command)).strip()]
    assert silent == ["fsck --full --strict"]


def test_what_the_page_promises_is_there(repository: Path) -> None:
    ledger = a_ledger(repository)
    shown = {command: git(repository, *shlex.split(command)) for command in COMMANDS}
    (kinds,) = (text for command, text in shown.items() if "key=Kind" in command)
    assert [line.split()[2] for line in kinds.splitlines()[:3]] == ["promotion", "register", "run"]
    (first,) = (text for command, text in shown.items() if "max-parents=0" in command)
    assert "Project: 6f1c" in first
    (code,) = (text for command, text in shown.items() if "key=Code" in command)
    assert code.strip() == git(repository, "rev-parse", "main").strip()
    (upto,) = (text for command, text in shown.items() if "%B refs/notes" in command)
    entries = list(ledger.entries())
    assert f"Ledger: {entries[-1].commit}" in upto
    page = PAGE.read_text(encoding="utf-8")
    for entry in entries:
        assert all(f"`{key}`" in page for key, _ in entry.trailers)
