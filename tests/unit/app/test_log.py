"""Reading the ledger back as a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.app.log import read_log
from custody.errors import UsageError
from tests.unit.app.history import History


def test_newest_first_of_one_model_or_of_all(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record_data()
    run = history.run(history.first)
    history.record(run)
    history.promote(run)
    kinds = [entry.kind for entry in read_log(history.project)]
    assert kinds == ["promotion", "register", "run", "data"]
    assert [entry.kind for entry in read_log(history.project, "churn", 2)] == ["promotion", "register"]


def test_nothing_recorded_is_no_fault(tmp_path: Path) -> None:
    assert read_log(History(tmp_path).project) == ()


def test_an_unknown_model_is_named_with_the_nearest(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    with pytest.raises(UsageError, match="'chrun'") as caught:
        read_log(history.project, "chrun")
    assert caught.value.help == ("custody log churn",)
