"""What is in use: declared, recorded and live; what runs where; which models match; retired and brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clones import clone, copied, hosted
from tests.integration.repository import Repository


@pytest.fixture
def made(applied: Repository, tmp_path: Path) -> Iterator[Repository]:
    return copied(applied, tmp_path)


def status(made: Repository, model: str = "risk") -> dict[str, Any]:
    (found,) = made.here("status", model, "--json").json["models"]
    return dict(found)


def deeper(made: Repository, depth: int) -> None:
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", f"max_depth: {depth}")
    done = made.apply("--target", "risk")
    assert done.code == 0, done.err


def test_what_runs_where_is_told_and_compared(made: Repository) -> None:
    head = made.head()
    done = made.here("deployed", "risk", "v1", "--where", "eu", "--note", "by hand")
    assert done.code == 0, done.err
    assert "production of risk at eu is v1 now; production points to v1: current" in done.out
    assert "undo: custody deployed risk none --where eu" in done.err
    assert made.subjects(head) == ["deployed risk: production at eu is v1: by hand"]
    again = made.here("deployed", "risk", "v1", "--where", "eu")
    assert "is v1 already" in again.out
    assert len(made.subjects(head)) == 1, "what is recorded already is not recorded again"
    run = status(made)["live"][0]["run"]
    commit = made.git(
        "log", "-1", "--format=%H", f"--grep=^Run: {run}$", "--grep=^Kind: run$", "--all-match", "mlops/ledger"
    )
    assert "production at eu: deployed, by hand" in made.git("notes", "--ref=mlops", "show", commit)
    assert made.plan() == {}, "a fact asks for nothing"

    deeper(made, 4)
    found = status(made)
    assert [(item["where"], item["version"], item["standing"]) for item in found["live"]] == [("eu", "v1", "behind")]
    assert found["sync"] == "in sync"
    assert "eu v1 (behind)" in made.here("status").out
    assert made.here("deployed", "risk", "v2", "--where", "eu").code == 0
    assert status(made)["live"][0]["standing"] == "current"
    assert made.here("deployed", "risk", "none", "--where", "eu").code == 0
    assert status(made)["live"] == []
    verified = made.here("verify")
    assert verified.code == 0, verified.out


def test_what_cannot_be_running_there_is_refused(made: Repository) -> None:
    head, artifact = made.head(), made.run_json("risk")["artifact"]
    for arguments, code, words in (
        (("v9", "--where", "eu"), 64, "risk has no version 'v9'"),
        (("v1", "--where", "a b"), 64, "cannot be the name of a place"),
        (("v1", "--where", "none"), 64, "cannot be the name of a place"),
        (("v1", "--where", "eu", "--stage", "X"), 64, "cannot be a stage"),
        (("v1", "--where", "eu", "--artifact", "sha256:12"), 64, "is no digest"),
        (("v1", "--where", "eu", "--artifact", f"sha256:{'0' * 64}"), 4, f"sha256:{artifact}"),
        (("none", "--where", "eu"), 64, "nothing of risk is recorded to run at eu"),
    ):
        done = made.here("deployed", "risk", *arguments)
        assert (done.code, words in done.err) == (code, True), done.err
    assert made.here("deployed", "rsik", "v1", "--where", "eu").code == 64
    assert made.head() == head
    done = made.here(
        "deployed", "risk", "v1", "--where", "eu", "--artifact", f"sha256:{artifact}", "--note", "none", "--json"
    )
    assert (done.code, done.json["artifact"], done.json["note"]) == (0, artifact, None)
    assert made.here("verify").code == 0


def test_facts_of_two_clones_merge_in_the_order_in_which_they_land(made: Repository, tmp_path: Path) -> None:
    host = hosted(made, tmp_path)
    made.edit(".mlops/config.yaml", "ledger: mlops/ledger\n", "ledger: mlops/ledger\nremote: origin\n")
    made.git("push", "-q", "origin", "main")
    other = clone(made, host, tmp_path / "other")
    assert other.custody("sync").code == 0
    other.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere")
    late = other.custody("deployed", "risk", "v1", "--where", "eu", "--note", "late")
    assert late.code == 7, late.err
    assert "custody sync" in late.err
    assert made.custody("deployed", "risk", "v1", "--where", "eu", "--note", "first").code == 0
    assert made.custody("deployed", "risk", "v1", "--where", "us").code == 0
    other.git("remote", "set-url", "origin", f"file://{host}")
    assert other.custody("sync").code == 0
    assert made.custody("sync").code == 0
    for one in (made, other):
        live = {item["where"]: item["note"] for item in status(one)["live"]}
        assert live == {"us": None, "eu": "late"}
    assert made.here("verify").code == 0


def test_status_says_what_is_declared_recorded_and_replaced_by_what(made: Repository) -> None:
    deeper(made, 4)
    table, _, details = made.here("status", "risk").out.partition("\n\n")
    assert table.splitlines()[0].split() == [
        "model",
        "state",
        "stage",
        "declared",
        "recorded",
        "data",
        "last",
        "change",
    ]
    assert table.splitlines()[1].split()[:5] == ["risk", "in", "sync", "production", "auto"]
    assert "v2" in table
    assert max(map(len, table.splitlines())) <= 120
    assert "replaced by v2 by Ann: promote risk: production → v2 (was v1)" in details
    found = status(made)
    assert found["pinned"] == {"production": "auto"}
    assert [(left["stage"], left["version"], left["replaced_by"]) for left in found["left"]] == [
        ("production", "v1", "v2")
    ]
    assert found["last"]["by"].startswith("Ann")
    assert found["data_age_seconds"] >= 0
    assert found["data_at"]


def test_retired_and_brought_back(made: Repository) -> None:
    made.git("rm", "-q", "-r", "models/debt")
    commit = made.commit("Retire debt")
    shown = made.here("plan").out
    assert "x debt" in shown
    assert "its directory is gone; records and versions stay" in shown
    head = made.head()
    assert made.apply().code == 0
    assert made.subjects(head) == ["retire debt: its directory is gone"]
    found = status(made, "debt")
    assert (found["sync"], found["stages"], found["retired"]) == ("retired", {}, True)
    assert [(left["version"], left["replaced_by"]) for left in found["left"]] == [("v1", None)]
    assert "debt: retired on" in made.here("status").out
    assert "by Ann" in made.here("status").out
    assert made.plan() == {}
    made.git("revert", "--no-edit", commit)
    change = made.plan()["debt"]
    assert (change["category"], change["reasons"][0]["code"]) == ("new", "model.returned")
    assert all(step["do"] == "reuse" for step in change["steps"])
    assert made.apply().code == 0
    found = status(made, "debt")
    assert (found["sync"], found["stages"]["production"]["version"]) == ("in sync", "v2")
    assert made.plan() == {}


def test_find(made: Repository) -> None:
    def names(*arguments: str) -> list[str]:
        done = made.here("find", *arguments, "--json")
        assert done.code == 0, done.err
        return [item["model"] for item in done.json["models"]]

    assert names() == ["debt", "risk"]
    assert names("--owner", "risk") == ["debt", "risk"]
    assert names("--dataset", "loans@v1", "--column", "gender") == ["risk"]
    assert names("--dataset", "loans@v2", "--column", "gender") == []
    assert names("--column", "defaulted") == ["risk"]
    assert names("--column", "day") == ["debt", "risk"]
    assert names("--purpose", "scoring", "--state", "production") == ["debt", "risk"]
    assert names("--state", "retired") == []
    text = made.here("find", "--column", "gender").out
    assert (
        "risk   risk   scoring  loans@v1  production, passed, declared  declared, production v1, last run  slice"
        in text
    )
    nothing = made.here("find", "--column", "gendr")
    assert (nothing.code, nothing.out) == (0, "")
    assert "None of 2 models matches; did you mean --column gender?" in nothing.err
    wrong = made.here("find", "--state", "prodution")
    assert (wrong.code, "did you mean production?" in wrong.err) == (64, True)
    made.edit("models/risk/model.yaml", "owner: risk", "owner: credit")
    assert names("--owner", "credit") == ["risk"], "as it is declared"
    assert names("--owner", "risk") == ["debt", "risk"], "and as it serves"
    made.git("rm", "-q", "-r", "models/debt")
    made.commit("Retire debt")
    assert names("--state", "undeclared") == ["debt"]
