from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.repository import Repository


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Repository]:
    """Make a project; files given by path replace or add to the usual ones."""
    return lambda **files: Repository.create(tmp_path, files.get("files"))
