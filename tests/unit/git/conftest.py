from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.git.repositories import make_repository, own_home


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with own_home(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project")
