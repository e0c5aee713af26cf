"""An edit of monitors.yaml is planned with its reasons, recorded without a step, and then there is nothing to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from custody.app.plan import prepare
from custody.app.project import open_project
from custody.app.quick import quick_plan
from custody.app.recognise import recognise
from custody.cli.views.plan import to_json
from custody.ledger.head import state_at_head
from tests.integration.clones import copied
from tests.integration.repository import Repository

FILE = "models/risk/monitors.yaml"
WATCHED = """\
every: week
drift: {features: {limit: auto, ignore: [job]}}
outcomes: {uses: file, with: {path: outcomes.csv}, join: id, delay: 30d, bias: auto}
"""


def watch(made: Repository, text: str = WATCHED) -> None:
    made.write(FILE, text)
    made.commit("Watch risk")


def recorded(made: Repository) -> list[str]:
    """Apply, and return the subjects of what it recorded; afterwards nothing is to be done, however it is planned."""
    before = made.head()
    done = made.here("apply")
    assert done.code == 0, done.err
    assert made.plan() == {}
    shutil.rmtree(made.root / ".mlops/state")
    plans = [quick_plan(open_project(made.root)), prepare(open_project(made.root), None).plan]
    assert len({json.dumps(to_json(plan, "1")) for plan in plans}) == 1
    project = open_project(made.root)
    seen = recognise(project, None, state_at_head(project.worktree.repository, project.config)[0])
    assert seen
    assert set(seen.models) == {"debt", "risk"}
    return made.subjects(before)


def test_monitors_are_recorded_without_a_step(applied: Repository, tmp_path: Path) -> None:
    settled = copied(applied, tmp_path)
    run = settled.run_json("risk")
    watch(settled)
    change = settled.plan()["risk"]
    assert (change["category"], {step["do"] for step in change["steps"]}) == ("monitor", {"reuse"})
    (reason,) = change["reasons"]
    assert (reason["code"], reason["place"]) == ("monitors.added", f"{FILE}:1:1")
    assert recorded(settled) == ["monitors risk: nothing → every week, drift, outcomes"]
    now = settled.run_json("risk")
    assert now.pop("monitors")["outcomes"]["delay"] == "30d"
    assert {**now, "basis": None} == {**run, "basis": None}
    spec = settled.git("show", "mlops/ledger:models/risk/spec.yaml")
    assert spec.endswith('    join: id\n    delay: "30d"\n    bias: auto')

    settled.edit(FILE, "bias: auto", "bias: 40")
    change = settled.plan()["risk"]
    assert change["category"] == "monitor"
    (reason,) = change["reasons"]
    told = tuple(reason[name] for name in ("code", "subject", "before", "after", "place"))
    assert told == ("monitor.changed", "outcomes.bias", "auto", 40, f"{FILE}:3:80")
    assert "m risk  monitor  outcomes.bias auto → 40  models/risk/monitors.yaml:3:80" in settled.here("plan").out
    assert "outcomes.bias auto → 40" in settled.here("plan", "--base", "HEAD~1").out
    comment = settled.here("comment", "--base", "HEAD~1").out
    assert "outcomes.bias auto → 40" in comment
    assert "watched so from the merge on" in comment
    assert recorded(settled) == ["monitors risk: outcomes.bias auto → 40"]
    assert settled.here("verify").code == 0

    settled.edit(FILE, "every: week", "every:   week   # Mondays")
    assert settled.plan() == {}
    settled.git("rm", "-q", FILE)
    settled.commit("Do not watch risk")
    assert settled.plan()["risk"]["reasons"][0]["code"] == "monitors.removed"
    assert recorded(settled) == ["monitors risk: every week, drift, outcomes → nothing"]
    assert "monitors" not in settled.run_json("risk")
    assert settled.here("verify").code == 0


def test_monitors_are_recorded_with_what_else_changed(settled: Repository) -> None:
    settled.edit("models/risk/model.yaml", "owner: risk", "owner: collections")
    watch(settled)
    assert {item["code"] for item in settled.plan()["risk"]["reasons"]} == {"metadata.changed", "monitors.added"}
    assert recorded(settled)[0].startswith("monitors risk: owner risk → collections, ")
    settled.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.56")
    settled.edit(FILE, "delay: 30d", "delay: 40d")
    assert settled.plan()["risk"]["category"] == "re-gate"
    assert [subject.split(":")[0] for subject in recorded(settled)] == ["judge risk"]
    settled.edit("models/risk/model.yaml", "production: auto", "production: none")
    settled.edit(FILE, "delay: 40d", "delay: 50d")
    assert settled.plan()["risk"]["category"] == "roll back"
    assert [subject.split(":")[0] for subject in recorded(settled)] == ["monitors risk", "roll back risk"]
    assert settled.run_json("risk")["monitors"]["outcomes"]["delay"] == "50d"


def test_an_edit_of_a_profile_is_planned_where_it_is_watched(settled: Repository) -> None:
    profile = ".mlops/profiles/watched/monitors.yaml"
    settled.write(profile, "every: day\nquality: {nulls: 0.2}\n")
    settled.edit("models/risk/model.yaml", "owner: risk", "profile: watched\nowner: risk")
    assert recorded(settled) == ["monitors risk: nothing → every day, quality"]
    settled.edit(profile, "nulls: 0.2", "nulls: 0.3")
    assert settled.plan()["risk"]["reasons"][0]["place"] == f"{profile}:2:18"
    assert recorded(settled) == ["monitors risk: quality.nulls 0.2 → 0.3"]
    settled.write(FILE, "quality: {nulls: 0.3}\n")
    settled.commit("Say the same in the model")
    assert settled.plan() == {}


def test_what_is_watched_against_another_dataset_is_read_each_time(settled: Repository) -> None:
    for path in ("dataset.yaml", "versions/v1.yaml"):
        text = (settled.root / "datasets/loans" / path).read_text(encoding="utf-8")
        settled.write(f"datasets/older/{path}", text)
    watch(settled, "every: week\ndrift: {reference: [older@v1]}\n")
    assert settled.here("apply").code == 0
    assert settled.plan() == {}
    settled.git("rm", "-rq", "datasets/older")
    settled.commit("Remove older")
    refused = settled.here("plan")
    assert refused.code == 1
    assert 'there is no dataset "older"' in refused.err
