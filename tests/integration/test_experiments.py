"""Experiments on a real repository: trying combinations, finding runs, putting them side by side."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clones import copied
from tests.integration.repository import Repository


@pytest.fixture(scope="module")
def tried(applied: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """An applied project with two trials of `risk`."""
    made = copied(applied, tmp_path_factory.mktemp("tried"))
    for done in (
        made.custody("try", "risk", "--set", "train.max_depth=5"),
        made.custody("try", "risk", "--set", "train.max_depth=1", "--set", "prepare.scale=false"),
    ):
        assert done.code == 0, done.err
    return made


def runs(project: Repository, *arguments: str) -> list[dict[str, Any]]:
    done = project.here("runs", "--json", *arguments)
    assert done.code == 0, done.out
    found: list[dict[str, Any]] = done.json["runs"]
    return found


def ids(project: Repository) -> list[str]:
    """The run of `risk` in production, then its trials, oldest first."""
    found = runs(project, "risk")
    return [run["run"] for run in reversed(found)]


def test_runs_and_trials_are_found_and_told_apart(tried: Repository) -> None:
    found = runs(tried, "--where", "train.max_depth >= 3", "--sort", "train.max_depth")
    assert [(run["kind"], run["params"]["train.max_depth"]) for run in found] == [("run", 3), ("trial", 5)]
    production = found[0]
    assert (production["version"], production["stages"]) == ("v1", ["production"])
    assert production["metrics"]["roc_auc"] == pytest.approx(tried.run_json("risk")["metrics"]["roc_auc"], rel=1e-5)
    assert [run["model"] for run in runs(tried, "--where", "stage = production and rmse is not null")] == ["debt"]
    assert [run["kind"] for run in runs(tried, "risk", "--trials", "--limit", "1")] == ["trial"]
    best = [run["metrics"]["roc_auc"] for run in runs(tried, "risk", "--sort", "roc_auc")]
    assert best == sorted(best, reverse=True)
    assert best == [run["metrics"]["roc_auc"] for run in runs(tried, "risk", "--sort", "roc_auc", "--desc")]


def test_the_table_shows_what_varies(tried: Repository) -> None:
    done = tried.here("runs", "risk", "--sort", "roc_auc", "-n", "2")
    head, *rows = done.out.splitlines()
    assert "train.max_depth" in head
    assert "train.uses" not in head
    assert len(rows) == 2
    assert "--limit 0" in done.err
    assert "v1 production" in tried.here("runs").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "roc_acu > 0.8"], "did you mean roc_auc?"),
        (["--sort", "train.max_dept"], "did you mean train.max_depth?"),
        (["--where", "roc_auc > 0.8 amd f1 > 0"], "^^^"),
        (["chrun"], "no run of 'chrun'"),
        (["--limit", "many"], "no count"),
    ],
)
def test_slips_of_the_pen_are_said(tried: Repository, arguments: list[str], said: str) -> None:
    done = tried.here("runs", *arguments)
    assert done.code == 64
    assert said in done.err
    assert "E610" in tried.here("runs", "--json", "--where", "roc_acu > 1").out


def test_nothing_is_recorded_yet(tmp_path: Path) -> None:
    made = Repository.create(tmp_path)
    done = made.here("runs", "--where", "roc_auc > 0.8")
    assert (done.code, done.out.strip()) == (0, "No run matches.")


def test_runs_are_compared_by_what_is_stored_of_them(tried: Repository) -> None:
    production, deep, stump = ids(tried)
    done = tried.here("compare", "risk@production", deep[:8], stump, "--json")
    assert done.code == 0, done.err
    one, two, three = done.json["runs"]
    assert [run["run"] for run in (one, two, three)] == [production, deep, stump]
    assert [run["kind"] for run in (one, two, three)] == ["run", "trial", "trial"]
    differ = {row["name"]: row["values"] for row in done.json["differences"] if row["section"] == "parameters"}
    assert differ == {"train.max_depth": [3, 5, 1], "prepare.scale": [None, None, False]}
    assert one["against_first"] is None
    [metric] = [item for item in two["against_first"]["metrics"] if item["metric"] == "roc_auc"]
    assert metric["before"] == one["metrics"]["roc_auc"]["value"]
    assert metric["interval"][0] <= metric["change"] <= metric["interval"][1]
    assert one["metrics"]["roc_auc"]["low"] <= one["metrics"]["roc_auc"]["value"] <= one["metrics"]["roc_auc"]["high"]
    assert two["against_first"]["flips"]["rows"] == 100
    assert {item["column"] for item in two["against_first"]["slices"]} == {"gender"}
    text = tried.here("compare", "risk", deep).out
    assert "train.max_depth" in text
    assert "Predictions that flip" in text


def test_a_run_is_equal_to_itself(tried: Repository) -> None:
    done = tried.here("compare", "risk@v1", "risk@production")
    assert "They are equal in parameters" in done.out
    assert set(re.findall(r"better|worse|no clear", done.out)) == set()


def test_runs_of_other_models_are_compared_without_intervals(tried: Repository) -> None:
    done = tried.here("compare", "risk", "debt")
    assert done.code == 0, done.err
    assert "no intervals: other classes; not paired" in done.out


@pytest.mark.parametrize("targets", [["risk"], ["risk"] * 9, ["risk", "nothing"], ["risk@v7", "risk"]])
def test_what_cannot_be_compared_is_said(tried: Repository, targets: list[str]) -> None:
    done = tried.here("compare", *targets)
    assert done.code == 64
    assert "custody runs" in done.err or "custody log" in done.err


class Page(HTMLParser):
    """Counts the tags of a page and collects what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "action"} or name[:2] == "on"]
        if tag not in {"meta", "path", "circle", "rect", "polyline"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(tried: Repository, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = tried.here("compare", *ids(tried), "--html", str(file))
    assert done.code == 0, done.err
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.loads == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 10 + 3
    assert "url(" not in text
    assert "//" not in re.sub(r"&#39;|&amp;", "", text)
    assert tried.here("compare", *ids(tried), "--html", str(file)).code == 0
    assert file.read_text(encoding="utf-8") == text


def test_a_page_that_cannot_be_written_is_said(tried: Repository, tmp_path: Path) -> None:
    done = tried.here("compare", "risk", "risk", "--html", str(tmp_path / "none" / "page.html"))
    assert done.code == 64
    assert "cannot be written" in done.err


def test_without_stored_predictions_the_values_are_shown(tried: Repository, tmp_path: Path) -> None:
    project = copied(tried, tmp_path)
    evaluation = project.run_json("risk")["steps"]["evaluate"]["output"]["extra"]["predictions"]["object"]
    stored = project.root / ".mlops" / "store" / "sha256" / evaluation[:2] / evaluation[2:]
    stored.chmod(0o644)
    stored.unlink()
    done = project.here("compare", *ids(project)[:2], "--html", str(tmp_path / "page.html"))
    assert done.code == 0, done.err
    assert "the stored predictions are not here" in done.out
    assert "roc_auc" in done.out
