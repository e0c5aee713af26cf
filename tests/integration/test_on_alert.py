"""What an alert brings about by itself: a better model is promoted, a worse one is held off, and guards withhold."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event as Cancel
from typing import Any

import pytest

from custody.app.apply import ApplyOptions, apply
from custody.app.contest import Running
from custody.app.data import Addition, add
from custody.app.incident_files import recorded_incidents
from custody.app.monitor import monitor
from custody.app.monitored import Acted, MonitorOptions, Sweep
from custody.app.on_alert import act
from custody.app.project import Project, open_project
from custody.core.versions import with_recorded
from tests.integration.repository import Repository

MONITORS = """\
every: month
min_rows: 40
live: {uses: file, with: {path: "live/*.csv"}, time: day, id: id}
outcomes: {uses: file, with: {path: outcomes.csv}, join: id, delay: 2d, r2: {min: 0.8}, bias: 20}
on_alert: [notify]
"""
FILES = {
    ".gitignore": ".mlops/store/\n.mlops/state/\n",
    ".mlops/config.yaml": "spec: 1\nid: 5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10\n",
    "datasets/rentals/dataset.yaml": """\
owner: city
purposes: [planning]
source: {uses: file, with: {path: data/rentals.csv}}
key: id
time: day
columns: {id: {type: integer}, day: {type: date}, temp: {type: number, max: 100}, count: {type: number}}
""",
    "models/bikes/model.yaml": "owner: city\npurpose: planning\ntask: regression\ntarget: count\n"
    "stages: {production: auto}\n",
    "models/bikes/data.yaml": "dataset: rentals@latest\nsplit: {by: day, test: 0.1}\nfeatures: [temp]\n",
    "models/bikes/pipeline.yaml": "train: {uses: sklearn.LinearRegression}\nseed: 1\n",
    "models/bikes/gates.yaml": "metrics:\n  rmse: {max: 1000}\n",
    "models/bikes/monitors.yaml": MONITORS,
}
NOW = "2024-03-10"
Row = tuple[str, str, str, str]


def rentals(first: str, days: int, shift: float, start: int = 0) -> list[Row]:
    """Return two rows a day: rentals follow the temperature, `shift` above what they were."""
    rng = random.Random(start)
    rows: list[Row] = []
    for number in range(2 * days):
        day = date.fromisoformat(first) + timedelta(days=number // 2)
        temp = rng.uniform(0, 30)
        rows.append((str(start + number), day.isoformat(), f"{temp:.2f}", f"{10 * temp + shift + rng.gauss(0, 5):.2f}"))
    return rows


LEARNT = rentals("2023-01-01", 365, 0)
LIVE = rentals("2024-01-01", 60, 60, 10_000)


def table(rows: list[Row]) -> str:
    return "id,day,temp,count\n" + "".join(f"{','.join(row)}\n" for row in rows)


def lived(made: Repository, rows: list[Row]) -> None:
    """Put rows where live data and their outcomes are read; nothing of that is committed."""
    made.write("live/rows.csv", "id,day,temp\n" + "".join(f"{','.join(row[:3])}\n" for row in rows))
    made.write("outcomes.csv", "id,count\n" + "".join(f"{row[0]},{row[3]}\n" for row in rows))


def arrived(made: Repository, rows: list[Row]) -> None:
    """Let the source of the dataset hold more rows."""
    made.write("data/rentals.csv", table([*LEARNT, *rows]))


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A model that learnt from 2023; in 2024 the level of what it predicts is another, and an incident is open."""
    folder = tmp_path_factory.mktemp("on_alert")
    made = Repository(folder / "project", folder / "home")
    made.home.mkdir()
    for path, text in {**FILES, "data/rentals.csv": table(LEARNT)}.items():
        made.write(path, text)
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@example.org")
    add(at(made, "2023-12-30"), Addition("rentals", None, "ann"))
    made.commit("Add bikes")
    applied(made)
    lived(made, LIVE)
    assert swept(made).acted == ()
    return made


@pytest.fixture
def made(alarmed: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(alarmed.root, tmp_path / "project", symlinks=True)
    return replace(alarmed, root=tmp_path / "project")


def at(made: Repository, now: str) -> Project:
    project = open_project(made.root)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    project.clock = lambda: moment
    return project


def applied(made: Repository, now: str = "2024-01-01") -> None:
    done = apply(at(made, now), ApplyOptions(engine="inline"), lambda _: None, Cancel())
    assert all(not item.run or item.run.failure is None for item in done.models)


def swept(made: Repository, now: str = NOW) -> Sweep:
    """Judge what is due, and do what the incident asks for."""
    return monitor(at(made, now), MonitorOptions(engine="inline"), lambda _: None, Cancel())


def asks(made: Repository, deed: str) -> None:
    made.edit("models/bikes/monitors.yaml", "[notify]", f"[notify, {deed}]")


def acted(made: Repository, now: str = NOW) -> Acted:
    """Do what the open incident asks for."""
    project = at(made, now)
    spec = with_recorded(project.load_valid(project.worktree.head()), project.ledger.state().datasets)
    (found,) = act(project, spec, Running("inline", 1, lambda _: None, Cancel(), lambda _: None))
    return found


def facts(made: Repository) -> dict[str, Any]:
    (incident,) = recorded_incidents(open_project(made.root).ledger.files)
    return dict(incident.facts)


def subjects(made: Repository, *verbs: str) -> list[str]:
    return [subject for subject in made.subjects() if subject.startswith(verbs)]


def test_guards_withhold_until_a_better_model_can_be_trained(made: Repository) -> None:
    asks(made, "retrain")
    (item,) = swept(made).acted
    assert (item.what, item.withheld, item.new, item.line) == ("retrain", True, True, "there is no new data")
    assert facts(made)["withheld"] == ["retrain of bikes: there is no new data"]
    head = made.head()
    assert not acted(made).new
    assert made.head() == head

    arrived(made, [(*row[:2], "warm", row[3]) for row in LIVE])
    assert acted(made).line.startswith("the new data is refused: ")
    arrived(made, [(*row[:2], "1000", row[3]) for row in LIVE])
    assert acted(made).line.startswith("the new data fails its contract: ")
    assert len(subjects(made, "train", "register", "promote", "hold")) == 3

    arrived(made, LIVE)
    done = acted(made, "2024-03-11")
    assert not done.withheld
    assert "production is v2 now: r2" in done.line
    assert "in 2024-02" in done.line
    made_now = [subject.split(":")[0] for subject in subjects(made, "train", "register", "promote", "hold")[3:]]
    assert made_now == ["train bikes", "register bikes v2", "promote bikes"]
    run = made.run_json("bikes")
    assert (run["status"], {step["status"] for step in run["steps"].values()}) == ("passed", {"reused"})
    (alert,) = [reason for reason in run["reasons"] if reason["code"] == "alert"]
    assert alert["subject"].startswith("incident ")
    assert alert["place"] == "models/bikes/monitors.yaml:5:11"
    assert facts(made)["done"] == [done.line]
    assert "withheld" not in facts(made)
    assert made.plan() == {}
    assert acted(made, "2024-03-12").line == "done once in this incident"
    assert made.here("verify").code == 0


def test_a_model_that_is_no_better_is_held_off(made: Repository) -> None:
    asks(made, "retrain")
    arrived(made, [(*row[:3], f"{-900 + 20 * float(row[2]):.2f}") for row in LIVE])
    done = acted(made)
    assert "it is no better: r2" in done.line
    assert done.line.endswith("; production is held at v1")
    assert subjects(made, "hold")[0].startswith("hold bikes: production → v1 (was v1): incident ")
    applied(made, "2024-03-11")
    assert subjects(made, "register bikes v2")
    assert not subjects(made, "promote bikes: production → v2")
    assert made.plan()["bikes"]["category"] == "held"
    assert acted(made, "2024-03-12").line.startswith("production is held by ")


def test_a_model_whose_gates_fail_goes_nowhere(made: Repository) -> None:
    asks(made, "retrain")
    made.edit("models/bikes/gates.yaml", "max: 1000", "max: 20")
    applied(made)
    arrived(made, LIVE)
    before = made.head()
    assert "its gates fail (rmse.max)" in acted(made).line
    assert not [item for item in made.subjects(before) if item.startswith(("train", "promote", "hold"))]


def test_a_stage_goes_back_to_a_version_that_is_better_where_it_alarms(made: Repository) -> None:
    asks(made, "rollback")
    assert acted(made).line == "there is no earlier version"
    made.edit("models/bikes/pipeline.yaml", "uses: sklearn.LinearRegression", "uses: sklearn.Ridge, with: {alpha: 1}")
    applied(made)
    assert acted(made).line.startswith("v1 is no better: r2")
    made.edit("models/bikes/pipeline.yaml", "sklearn.Ridge, with: {alpha: 1}", "sklearn.Lasso, with: {alpha: 700}")
    applied(made)
    done = acted(made)
    assert done.line.startswith("rollback of bikes: production is held at v2: r2")
    assert subjects(made, "hold")[0].startswith("hold bikes: production → v2 (was v3): incident ")
    assert acted(made).withheld
    assert made.here("verify").code == 0
