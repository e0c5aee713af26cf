"""The inline engine: the shared suite, with forked and with fresh step processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from custody.domain.ports import Engine
from custody.engine.inline import InlineEngine
from tests.unit.engine.engine_suite import PATH, EngineSuite


@pytest.fixture(scope="module", params=[True, False], ids=["fork", "fresh"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATH)
        made = InlineEngine(2, tmp_path_factory.mktemp("state"), preload=(), fork=request.param, retry_delay=0.01)
    with made.session():
        yield made


class TestInline(EngineSuite):
    """All of the suite."""
