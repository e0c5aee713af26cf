from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.repository import Repository


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Repository]:
    """Make a project; files given by path replace or add to the usual ones."""
    return lambda **files: Repository.create(tmp_path, files.get("files"))


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose two models are trained, recorded and in production; copy it, or take back what you do."""
    made = Repository.create(tmp_path_factory.mktemp("applied"))
    done = made.apply()
    assert done.code == 0, done.err
    return made


@pytest.fixture
def settled(applied: Repository) -> Iterator[Repository]:
    """The applied project; whatever a test did is taken back, in the specs and on the ledger."""
    before, ledger, notes = applied.git("rev-parse", "HEAD", "mlops/ledger", "refs/notes/mlops").split()
    yield applied
    applied.git("reset", "-q", "--hard", before)
    applied.git("update-ref", "refs/heads/mlops/ledger", ledger)
    applied.git("update-ref", "refs/notes/mlops", notes)
