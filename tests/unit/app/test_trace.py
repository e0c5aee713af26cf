"""The chain of custody: the people are right, and every printed command runs with plain Git and shows the proof."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from custody.app.authorship import authorship
from custody.app.trace import Fact, Trace, trace
from custody.cli.views import trace as view
from custody.errors import UsageError
from tests.unit.app.history import ANA, BEN, CLEO, DAN, LOGICAL, History, failed, verdict


def flat(facts: tuple[Fact, ...]) -> Iterator[Fact]:
    for fact in facts:
        yield fact
        yield from flat(fact.facts)


def fact(found: Trace, label: str) -> Fact:
    return next(item for item in flat(found.facts) if item.label == label)


def told(tmp_path: Path, inside: str = "") -> tuple[History, str, str]:
    """A branch by Ben, merged by Cleo, then a commit of Dan's that touches nothing of the model."""
    history = History(tmp_path, inside)
    history.record_data()
    first = history.run(history.first)
    history.record(first)
    history.promote(first)
    history.git("checkout", "-q", "-b", "deeper")
    history.write("models/churn/pipeline.yaml", (history.root / "models/churn/pipeline.yaml").read_text() + "# c\n")
    written = history.commit("Regularise less", BEN)
    history.git("checkout", "-q", "main")
    history.write("README.md", "hello\n")
    history.commit("Say hello", DAN)
    merged = history.merge("deeper", CLEO)
    history.write("README.md", "hello again\n")
    head = history.commit("Say it again", DAN)
    second = history.run(head, params={"C": 0.5})
    history.record(second)
    history.promote(second)
    history.judge(second, verdict(0.91, limit=0.85))
    return history, written, merged


@pytest.mark.parametrize("inside", ["", "ml/project"])
def test_every_command_runs_and_shows_its_object(tmp_path: Path, inside: str) -> None:
    history, _, _ = told(tmp_path, inside)
    found = trace(history.open(), "churn")
    facts = list(flat(found.facts))
    commands = {item.command for item in facts if item.command}
    assert len(commands) > 10
    for command in sorted(commands):
        program, *arguments = shlex.split(command)
        assert program == "git"
        assert history.git(*arguments), command
    for item in facts:
        assert item.object, item
        history.git("cat-file", "-e", item.object)


def test_who_wrote_who_merged_who_ran(tmp_path: Path) -> None:
    history, written, merged = told(tmp_path)
    found = trace(history.project, "churn@production")
    assert (fact(found, "wrote").value["who"], fact(found, "wrote").object) == (BEN, written)
    assert (fact(found, "merged").value["who"], fact(found, "merged").object) == (CLEO, merged)
    assert fact(found, "applied").value["subject"] == "Say it again"
    assert "Ben" not in fact(found, "ran").text
    before = trace(history.project, "churn@v1")
    assert fact(before, "wrote").value["who"] == ANA
    assert not [item for item in before.facts if item.label == "merged"]


def test_the_commands_show_what_the_lines_say(tmp_path: Path) -> None:
    history, _, _ = told(tmp_path)
    found = trace(history.project, "churn")

    def output(label: str) -> str:
        return history.git(*shlex.split(str(fact(found, label).command))[1:])

    run = json.loads(output("metrics"))
    assert run["metrics"] == {"accuracy": 0.88, "roc_auc": 0.9123456}
    assert run["verdict"]["gates"][0]["limit"] == 0.85, "the run as it was last judged"
    assert json.loads(output("parameters")) == {"C": 0.5}
    assert json.loads(output("source"))["logical"] == LOGICAL
    assert output("models/churn/steps.py").startswith("from shared import scale")
    assert output("lock file") == "scikit-learn==1.9.1"
    assert "run" in output("notes")
    assert "judge churn" in output("verdict")
    assert "promote churn" in output("promotion")


def test_facts_and_their_order(tmp_path: Path) -> None:
    history, _, _ = told(tmp_path)
    found = trace(history.project, "churn")
    labels = [item.label for item in found.facts]
    assert labels == [
        *(
            "ran",
            "behalf",
            "wrote",
            "merged",
            "applied",
            "notes",
            "spec",
            "code",
            "data",
            "prepare",
            "train",
            "parameters",
        ),
        *("seed", "environment", "steps", "artifact", "metrics", "gates", "history"),
    ]
    assert found.title.startswith("churn · v2 · in production · run ")
    assert fact(found, "code").value == {"absent": ["models/churn/shared.py"]}
    assert [item.label for item in fact(found, "history").facts] == ["run", "register", "promotion", "verdict"]
    assert "1,200 rows" in fact(found, "data").text
    assert "customers.csv" in fact(found, "source").text
    assert json.loads(json.dumps(found.to_dict()))["facts"][0]["label"] == "ran"


def test_a_failed_run(tmp_path: Path) -> None:
    history = History(tmp_path)
    run = failed(history.run(history.first))
    history.record(run)
    found = trace(history.project, run.id[:14])
    assert fact(found, "failed").text.startswith("train: ValueError: Input X contains NaN")
    assert not [item for item in found.facts if item.label in {"artifact", "metrics", "gates"}]


def test_a_commit_traces_all_that_came_of_it(tmp_path: Path) -> None:
    history, _, _ = told(tmp_path)
    found = trace(history.project, history.first[:9])
    assert found.title == f"commit {history.first[:12]} · Add churn"
    assert fact(found, "wrote").value["who"] == ANA
    assert [item.label for item in found.facts] == ["wrote", "notes", "data", "run", "promotion", "run"]
    inner = next(item for item in found.facts if item.label == "run" and item.facts)
    assert inner.facts[0].label == "ran"
    with pytest.raises(UsageError, match="nothing is recorded of commit"):
        trace(history.project, "HEAD~1")
    with pytest.raises(UsageError, match="upsell"):
        trace(history.project, "upsell")


def test_a_data_record_by_its_commit(tmp_path: Path) -> None:
    history = History(tmp_path)
    commit = history.record_data()
    found = trace(history.project, commit[:12])
    assert fact(found, "data").object == commit


def test_a_commit_that_is_not_in_this_clone_is_said(tmp_path: Path) -> None:
    history = History(tmp_path)
    run = replace(history.run(history.first, closure={}, environment={}), code="5" * 40)
    history.record(run)
    found = trace(history.project, run.id)
    assert "not in this clone" in fact(found, "applied").text
    assert fact(found, "applied").command is None


def test_authorship_where_both_sides_changed_is_the_merge_itself(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.git("checkout", "-q", "-b", "side")
    history.write("models/churn/gates.yaml", "metrics:\n  roc_auc: {min: 0.7}\n")
    history.commit("Lower", BEN)
    history.git("checkout", "-q", "main")
    history.write("models/churn/steps.py", "x = 1\n")
    history.commit("Other", DAN)
    merged = history.merge("side", CLEO)
    paths = ("models/churn/gates.yaml", "models/churn/steps.py")
    found = authorship(history.project.worktree, merged, paths)
    assert found.merged is None
    assert found.written.id == merged
    assert authorship(history.project.worktree, merged, paths[:1]).written.author == BEN


def test_a_shallow_clone_says_that_it_does_not_know(tmp_path: Path) -> None:
    history, _, _ = told(tmp_path)
    from custody.git.worktree import open_worktree

    history.git("clone", "-q", "--depth", "1", f"file://{history.top}", str(tmp_path / "shallow"))
    found = authorship(open_worktree(tmp_path / "shallow"), "HEAD", ("models/churn/pipeline.yaml",))
    assert not found.complete


def test_the_tree_as_text(tmp_path: Path) -> None:
    history, _, _ = told(tmp_path)
    lines = view.text(trace(history.project, "churn")).splitlines()
    assert any("roc_auc 0.912346" in line and "$ git show " in line for line in lines)
    assert sum(line.startswith(("├─", "└─", "\x1b")) for line in lines) >= 18
