"""Three clones that share at once: nothing is lost, nothing lands twice, one wins each race of decisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.git.repositories import git
from tests.unit.ledger.clones import BRANCH, check_shared, clone, make_server, race


@pytest.mark.heavy
def test_three_clones_at_once(tmp_path: Path) -> None:
    server = make_server(tmp_path / "server.git")
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        clone(server, path).close()
    said = race(paths, rounds=6, think=0.2)
    assert not [line for line in said if line.startswith("gave up")]
    ledger = check_shared(server)
    entries = list(ledger.entries())
    recorded = [entry.id for entry in entries]
    assert {line.split()[1] for line in said} <= set(recorded)
    assert len([entry for entry in entries if entry.kind == "run"]) == 18
    for model in ledger.state().models.values():
        shown = git(server, "log", "--format=%(trailers:key=Record,valueonly)", BRANCH, "--", f"models/{model.name}")
        assert len(set(shown.split())) == model.records
