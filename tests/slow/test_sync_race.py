"""Six clones that think now and then: nobody gives up, nothing is lost, and few merges are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.git.repositories import git
from tests.unit.ledger.clones import BRANCH, check_shared, clone, make_server, race

pytestmark = pytest.mark.slow


def test_six_clones_at_once(tmp_path: Path) -> None:
    server = make_server(tmp_path / "server.git")
    paths = [tmp_path / name for name in "abcdef"]
    for path in paths:
        clone(server, path).close()
    said = race(paths, rounds=20, think=2.0)
    assert not [line for line in said if line.startswith("gave up")]
    ledger = check_shared(server)
    entries = list(ledger.entries())
    recorded = {entry.id for entry in entries}
    assert {line.split()[1] for line in said} <= recorded
    assert len([entry for entry in entries if entry.kind == "run"]) == 120
    merges = int(git(server, "rev-list", "--merges", "--count", BRANCH))
    assert merges <= 0.4 * len(entries)
    for model in ledger.state().models.values():
        shown = git(server, "log", "--format=%(trailers:key=Record,valueonly)", BRANCH, "--", f"models/{model.name}")
        assert len(set(shown.split())) == model.records
