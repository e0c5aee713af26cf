"""Windows of live data and of outcomes: judged in order, recorded once, told as they were when they could be judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Cancel
from typing import Any

import pytest

from custody.app.apply import ApplyOptions, apply
from custody.app.monitor import monitor
from custody.app.monitored import MonitorOptions, Sweep
from custody.app.project import open_project
from custody.core.due import Asked, parse_span
from custody.domain.graph import Event
from custody.domain.monitoring import Health
from tests.integration.repository import Repository, Result, loans

MONITORS = """\
every: month
min_rows: 20
live: {uses: file, with: {path: "live/*.csv"}, time: day, id: id, prediction: said}
outcomes:
  {uses: file, with: {path: outcomes.csv}, join: id, delay: 10d, accuracy: {min: 0.3}, bias: false, slices: [gender]}
"""
YEAR = "2024-01..2024-12"


def live(rows: int = 1200, seed: int = 2) -> str:
    """Return rows of 2024, a hundred a month, with what came of them and a model that is mostly right."""
    header, *lines = loans(rows, seed).replace(",2025-", ",2024-").splitlines()
    wrong = {"true": "false", "false": "true"}
    said = [line.rpartition(",")[2] for line in lines]
    told = [
        f"{line},{wrong[value] if number % 5 == 0 else value}"
        for number, (line, value) in enumerate(zip(lines, said, strict=True))
    ]
    return "\n".join([f"{header},said", *told]) + "\n"


def columns(text: str, *names: str) -> str:
    """Return some columns of a CSV."""
    lines = [line.split(",") for line in text.splitlines()]
    places = [lines[0].index(name) for name in names]
    return "\n".join(",".join(line[place] for place in places) for line in lines) + "\n"


def spoilt(text: str, column: str, change: Callable[[int, str], str]) -> str:
    """Return a CSV with the values of a column changed, by their line."""
    lines = [line.split(",") for line in text.splitlines()]
    place = lines[0].index(column)
    for number, line in enumerate(lines[1:]):
        line[place] = change(number, line[place])
    return "\n".join(map(",".join, lines)) + "\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose model was promoted at the end of 2023, and January judged."""
    files = {"live/2024.csv": live(), "outcomes.csv": columns(live(), "id", "defaulted")}
    repository = Repository.create(tmp_path_factory.mktemp("monitor"), {"models/risk/monitors.yaml": MONITORS, **files})
    project = open_project(repository.root)
    project.clock = lambda: datetime(2023, 12, 31, 12, tzinfo=UTC)
    apply(project, ApplyOptions(engine="inline"), lambda _: None, Cancel())
    sweep(repository, "2024-02-02")
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """A copy of its own of that repository."""
    import shutil

    shutil.copytree(made.root, tmp_path / "project", symlinks=True)
    return replace(made, root=tmp_path / "project")


def sweep(
    repository: Repository,
    now: str,
    span: str | None = None,
    heard: Callable[[Event], None] = lambda _: None,
    **options: Any,
) -> Sweep:
    """Judge what is due at a time; `heard` is called with what the steps tell."""
    project = open_project(repository.root)
    project.clock = lambda: datetime.fromisoformat(now).replace(tzinfo=UTC)
    if span:
        start, end = parse_span(span, UTC)
        options["asked"] = Asked(start=start, end=end)
    return monitor(project, MonitorOptions(engine="inline", **options), heard, Cancel())


def judged(found: Sweep) -> list[tuple[str, str, str]]:
    return [(item.window.name, item.what, str(item.health)) for item in found.judged]


def windows(repository: Repository) -> list[str]:
    listed = repository.git("ls-tree", "-r", "--name-only", "mlops/ledger", "monitoring/risk")
    return [path.removeprefix("monitoring/risk/") for path in listed.splitlines()]


def window(repository: Repository, path: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(repository.git("show", f"mlops/ledger:monitoring/risk/{path}"))
    return value


def replayed(repository: Repository, *arguments: str) -> Result:
    return repository.here("monitor", "risk", "--replay", YEAR, "--engine", "inline", *arguments)


def test_a_reference_is_fitted_once_though_no_window_is_due(repository: Repository) -> None:
    repository.edit("models/risk/monitors.yaml", "min_rows: 20", "min_rows: 21")
    before, steps = repository.head(), []
    for _ in range(2):
        found = sweep(repository, "2024-02-03", heard=lambda event: steps.append(event.node.step))
        assert found.judged == ()
    assert set(steps) == {"reference"}
    assert steps.count("reference") == 2, "it began and ended, once"
    assert repository.subjects(before) == ["monitor: risk, what windows are compared with"]
    assert repository.here("verify").code == 0


def test_missed_windows_are_caught_up_in_order_and_recorded_once(repository: Repository) -> None:
    before = repository.head()
    first = sweep(repository, "2024-04-02")
    assert [(name, what) for name, what, _ in judged(first)] == [
        ("2024-02", "inputs"),
        ("2024-02", "outcomes"),
        ("2024-03", "inputs"),
        ("2024-03", "outcomes"),
    ]
    assert first.models[0].judged[0].prediction
    assert repository.subjects(before) == ["monitor: risk, 2 months, 2024-02 to 2024-03: ok"]
    head = repository.head()
    again = sweep(repository, "2024-04-02")
    assert (judged(again), again.record, repository.head()) == ([], None, head)
    assert [(name, what) for name, what, _ in judged(sweep(repository, "2024-05-02"))] == [
        ("2024-04", "inputs"),
        ("2024-04", "outcomes"),
    ]
    for path in windows(repository):
        assert "example.org" not in repository.git("show", f"mlops/ledger:monitoring/risk/{path}")
    assert repository.here("verify").code == 0


def test_a_replay_says_what_would_have_been_said_then(repository: Repository) -> None:
    before = windows(repository)
    dry = sweep(repository, "2025-03-01", YEAR, dry_run=True)
    assert (len(dry.judged), windows(repository)) == (22, before)
    course = [sweep(repository, now) for now in ("2024-05-03", "2024-11-12")]
    then = {(item.window.name, item.what): item for one in course for item in one.judged}
    assert len(then) == 18
    for item in dry.judged:
        if (item.window.name, item.what) in then:
            assert then[item.window.name, item.what].to_dict() == item.to_dict()


def test_a_fault_of_the_data_is_found_in_its_window_and_named(repository: Repository) -> None:
    text = live()
    text = spoilt(text, "income", lambda line, value: "" if 300 <= line < 400 and line % 2 else value)
    text = spoilt(text, "debt", lambda line, value: "much" if 600 <= line < 700 and line % 3 == 0 else value)
    text = spoilt(text, "job", lambda line, value: "pilot" if 800 <= line < 900 and line % 3 == 0 else value)
    repository.write("live/2024.csv", text)
    found = sweep(repository, "2025-03-01", YEAR, dry_run=True)
    named = {
        item.window.name: {(signal.monitor, signal.column) for signal in item.signals}
        for item in found.judged
        if item.what == "inputs"
    }
    assert ("nulls", "income") in named["2024-04"]
    assert ("text_number", "debt") in named["2024-07"]
    assert ("categories", "job") in named["2024-09"]
    assert not any(signals for name, signals in named.items() if name < "2024-04")


def test_a_stale_feed_is_no_data_and_never_ok(repository: Repository) -> None:
    text = "\n".join(live().splitlines()[:330]) + "\n"
    repository.write("live/2024.csv", text)
    found = sweep(repository, "2024-07-02")
    states = {name: health for name, what, health in judged(found) if what == "inputs"}
    assert states["2024-06"] in {Health.NO_DATA, Health.ALERT}
    assert states["2024-05"] in {Health.NO_DATA, Health.ALERT}
    assert {"freshness", "volume"} & {signal.monitor for item in found.judged for signal in item.signals}


def test_late_outcomes_make_a_revision_and_the_same_ones_none(repository: Repository) -> None:
    whole = columns(live(), "id", "defaulted")
    repository.write("outcomes.csv", "\n".join(whole.splitlines()[:130]) + "\n")
    first = sweep(repository, "2024-04-02")
    assert [item.window.name for item in first.models[0].waiting] == ["2024-03"]
    path = "2024-02/2024-02.outcomes.json"
    assert window(repository, path)["joined"] < 1
    assert any(signal.monitor == "outcomes_missing" for item in first.judged for signal in item.signals)
    repository.write("outcomes.csv", whole)
    again = sweep(repository, "2024-04-03")
    assert ("2024-02", "outcomes", "ok") in judged(again)
    assert (window(repository, path)["revision"], window(repository, path)["joined"]) == (2, 1.0)
    assert judged(sweep(repository, "2024-04-03")) == []


def test_rows_that_do_not_say_what_the_model_said_are_scored_with_it(repository: Repository) -> None:
    repository.edit("models/risk/monitors.yaml", ", prediction: said", "")
    found = sweep(repository, "2024-04-02")
    first = next(item for item in found.judged if item.window.name == "2024-02" and item.what == "outcomes")
    assert first.measures["accuracy"][0] > 0.6
    assert found.judged[0].prediction


def test_performance_is_estimated_before_outcomes_come_and_not_of_faulty_data(repository: Repository) -> None:
    repository.edit("models/risk/monitors.yaml", "slices: [gender]", "estimate: true")
    repository.edit("models/risk/monitors.yaml", ", prediction: said", "")
    repository.write("outcomes.csv", "id,defaulted\n")
    repository.commit("Estimate performance")
    text = spoilt(live(), "income", lambda line, value: "" if 100 <= line < 200 else value)
    repository.write("live/2024.csv", text)
    found = sweep(repository, "2024-03-02", "2024-01..2024-02", dry_run=True)
    one, two = (item for item in found.judged if item.what == "inputs")
    value, low, high, rows = one.measures["estimated_accuracy"]
    assert 0.6 < low < value < high < 1
    assert rows == 100
    assert two.measures == {}
    assert "nothing is estimated while the data are at fault" in two.notes


def test_sealed_predictions_are_watched_where_no_source_is_named(repository: Repository) -> None:
    header, *lines = (line.split(",") for line in live(240).splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    told = [
        {
            "id": f"p{row['id']}",
            "time": f"{row['day']}T12:00:00Z",
            "prediction": row["said"] == "true",
            "key": int(row["id"]),
        }
        | {"income": float(row["income"] or 50), "debt": float(row["debt"]), "job": row["job"]}
        for row in rows
    ]
    repository.write("log.jsonl", "".join(f"{json.dumps(row)}\n" for row in told))
    done = repository.here("log-predictions", "risk", "log.jsonl", "--version", "v1")
    assert done.code == 0, done.err
    text = MONITORS.replace(MONITORS.splitlines()[2], "").replace("join: id", "join: id, every: month")
    repository.write("models/risk/monitors.yaml", text)
    repository.commit("Watch what is kept")
    found = sweep(repository, "2025-03-01", "2024-02..2024-03", dry_run=True)
    assert [(item.window.name, item.what, item.rows) for item in found.judged if item.what == "inputs"] == [
        ("2024-02", "inputs", 20),
        ("2024-03", "inputs", 20),
    ]
    assert found.judged[0].prediction
    assert not any(signal.metric == "unknown" for item in found.judged for signal in item.signals)
    assert {item.joined for item in found.judged if item.what == "outcomes"} == {1.0}


def test_the_page_of_a_model_needs_nothing_else_and_takes_names_as_text(repository: Repository) -> None:
    text = spoilt(live(), "job", lambda line, value: "<b>x</b>" if 200 <= line < 300 else value)
    repository.write("live/2024.csv", text)
    sweep(repository, "2024-05-02")
    written = repository.here("monitor", "--html", "pages")
    assert written.code == 0, written.err
    page = (repository.root / "pages" / "risk.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("<svg") >= 3
    assert "2024-03" in page
    assert repository.here("monitor", "show", "risk").out.count("2024-0") >= 8
    assert repository.here("monitor", "show", "debt").code == 64


def test_the_command_says_what_it_found_and_what_is_wrong_with_a_question(repository: Repository) -> None:
    found = replayed(repository, "--dry-run", "--json")
    assert (found.code, found.json["dry_run"], found.json["record"]) == (0, True, None)
    assert len(found.json["models"][0]["judged"]) == 22
    assert repository.here("monitor", "debt").code == 64
    assert repository.here("monitor", "rusk").err.count("risk") == 1
    assert "FROM..TO" in repository.here("monitor", "--replay", "2024").err
    assert repository.here("monitor", "--window", "yesterday").code == 64
    repository.git("rm", "-q", "live/2024.csv")
    repository.commit("Lose the feed")
    lost = replayed(repository)
    assert (lost.code, "live/*.csv is not there" in lost.err) == (1, True)
