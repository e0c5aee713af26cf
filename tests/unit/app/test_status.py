"""Declared beside recorded, read from the files and the ledger of a real repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.app.status import read_status
from custody.domain.plan import Category
from custody.errors import UsageError
from tests.unit.app.history import History, failed


def test_nothing_is_recorded_yet(tmp_path: Path) -> None:
    status = read_status(History(tmp_path).project)
    (churn,) = status.models
    assert (churn.model, churn.declared, churn.stages, churn.last) == ("churn", True, {}, None)
    assert churn.change is not None
    assert churn.change.category is Category.NEW
    assert status.ledger_head is None


def test_what_serves_is_the_run_in_production_and_the_failure_is_named(tmp_path: Path) -> None:
    history = History(tmp_path)
    good = history.run(history.first)
    history.record(good)
    history.promote(good)
    bad = failed(history.run(history.first))
    history.record(bad)
    (churn,) = read_status(history.project).models
    assert churn.serving is not None
    assert churn.serving.id == good.id
    assert churn.stages["production"].version == "v1"
    assert churn.failure is not None
    assert churn.failure.trailer("Run") == bad.id
    history.record(history.run(history.first))
    (churn,) = read_status(history.project).models
    assert churn.failure is None


def test_a_model_whose_directory_is_gone_is_still_listed(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    for path in (history.root / "models/churn").iterdir():
        path.unlink()
    (churn,) = read_status(history.project).models
    assert not churn.declared
    assert churn.change is not None
    assert churn.change.category is Category.RETIRE


def test_specs_with_errors_leave_the_record_readable(tmp_path: Path) -> None:
    history = History(tmp_path)
    run = history.run(history.first)
    history.record(run)
    history.write("models/churn/model.yaml", "ownr: x\n")
    status = read_status(history.project)
    assert "error" in status.problem
    assert status.models[0].change is None
    assert status.models[0].serving is not None


def test_models_can_be_named(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert [item.model for item in read_status(history.project, ("churn",)).models] == ["churn"]
    with pytest.raises(UsageError, match="upsell"):
        read_status(history.project, ("churn", "upsell"))
