from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.ledger.spool import Spool


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(0, 700_000), max_size=12), in_memory=st.booleans())
def test_what_is_added_comes_back_the_other_way_round(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], *, in_memory: bool
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    added = [(f"{number:040x}", bytes([number]) * size) for number, size in enumerate(sizes)]
    with Spool(None if in_memory else folder) as spool:
        for commit, data in added:
            spool.add(commit, data)
        assert list(spool.oldest_first()) == added[::-1]
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with Spool(tmp_path / "gone") as spool, pytest.raises(OSError, match="gone"):
        spool.add("f" * 40, bytes(2 * 2**20))
