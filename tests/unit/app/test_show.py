"""Finding a run by what a person types, and its stored log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from custody.app.show import read_step_log, show
from custody.domain.record import RunStatus
from custody.errors import CustodyError, StoreError, UsageError
from tests.unit.app.history import History, failed, verdict


def test_every_way_to_name_a_run(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, second = history.run(history.first), history.run(history.first)
    commit = history.record(first)
    history.promote(first)
    history.record(second)
    history.promote(second, "staging")
    names = {
        "churn": first,
        "churn@production": first,
        "churn@staging": second,
        "churn@v1": first,
        "churn@v2": second,
        "v2": second,
        second.id: second,
        first.id[:14]: first,
        commit[:10]: first,
    }
    assert {name: show(history.project, name).run.id for name in names} == {name: run.id for name, run in names.items()}
    found = show(history.project, "churn@v1")
    assert (found.version, found.stages) == ("v1", ("production",))
    assert [entry.kind for entry in found.history] == ["run", "register", "promotion"]


def test_a_run_is_shown_as_it_was_last_judged(tmp_path: Path) -> None:
    history = History(tmp_path)
    run = history.run(history.first)
    history.record(run)
    history.judge(run, verdict(0.91, limit=0.95))
    found = show(history.project, run.id)
    assert found.run.status is RunStatus.REJECTED
    assert [entry.kind for entry in found.history] == ["run", "verdict"]
    assert found.holder.kind == "verdict"
    assert found.entry.kind == "run"


def test_without_a_stage_a_model_is_its_last_run(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    last = failed(history.run(history.first))
    history.record(last)
    assert show(history.project, "churn").run.id == last.id


@pytest.mark.parametrize("target", ["upsell", "churn@v9", "churn@canary", "v9", "ffff", "", "zzzz", "churn@"])
def test_what_is_not_there(tmp_path: Path, target: str) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    if target == "churn@":
        assert show(history.project, target).run.model == "churn"
        return
    with pytest.raises(UsageError):
        show(history.project, target)


def test_an_ambiguous_beginning_is_refused_with_the_candidates(tmp_path: Path) -> None:
    history = History(tmp_path)
    runs = [history.run(history.first, id=f"abcdef012345678{digit}") for digit in "09"]
    for run in runs:
        history.record(run)
    with pytest.raises(CustodyError) as caught:
        show(history.project, runs[0].id[:10])
    assert all(any(run.id in line for line in caught.value.because) for run in runs)


def test_the_log_of_the_failed_step(tmp_path: Path) -> None:
    history = History(tmp_path)
    digest = history.project.store.put(b"Traceback\nValueError\n")
    run = failed(history.run(history.first))
    assert run.failure is not None
    run = replace(run, failure=replace(run.failure, log=digest))
    history.record(run)
    found = show(history.project, run.id)
    assert read_step_log(history.project, found) == "Traceback\nValueError\n"
    with pytest.raises(StoreError):
        read_step_log(history.project, found, "split")
    with pytest.raises(UsageError, match="evaluate"):
        read_step_log(history.project, found, "evaluate")
