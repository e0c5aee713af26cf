"""Pointing a stage to a version, a run, to what passes by itself, or to nothing: by an edit that apply makes so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clones import copied
from tests.integration.repository import Repository

MODEL = "models/risk/model.yaml"


@pytest.fixture(scope="module")
def thrice(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose model `risk` has two versions and, last, a run that did not pass its gates."""
    made = Repository.create(tmp_path_factory.mktemp("thrice"))
    made.write(MODEL, (made.root / MODEL).read_text() + "# who may see it: risk, audit\n")
    made.commit("Say who")
    assert made.apply("--target", "risk").code == 0
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    assert made.apply("--target", "risk").code == 0
    made.write("models/risk/gates.yaml", "metrics:\n  roc_auc: {min: 0.99}\n")
    made.edit("models/risk/pipeline.yaml", "max_depth: 4", "max_depth: 1")
    assert made.apply("--target", "risk").code == 4
    made.git("revert", "--no-edit", "HEAD")
    return made


@pytest.fixture
def made(thrice: Repository, tmp_path: Path) -> Iterator[Repository]:
    return copied(thrice, tmp_path)


def stages(made: Repository) -> dict[str, str]:
    (found,) = made.here("status", "risk", "--json").json["models"]
    return {name: stage["version"] for name, stage in found["stages"].items()}


def applied(made: Repository, message: str) -> dict[str, str]:
    """Commit the edit, apply it, and return the stages; nothing is left to do then."""
    made.commit(message)
    done = made.apply("--target", "risk")
    assert done.code == 0, done.err
    assert "risk" not in made.plan()
    return stages(made)


def test_every_form_of_a_stage_works_through_apply(made: Repository) -> None:
    head, runs = made.head(), made.here("runs", "risk", "--json").json["runs"]
    first = next(item["run"] for item in runs if item["version"] == "v1")
    done = made.here("promote", "risk", "canary", "--to", "v1")
    assert done.code == 0, done.err
    assert "-stages: {production: auto}\n+stages: {canary: v1, production: auto}" in done.out
    assert "note: canary is a new stage of risk" in done.err
    assert f"undo: git checkout -- {MODEL}" in done.err
    assert "# who may see it: risk, audit" in (made.root / MODEL).read_text()
    assert made.head() == head, "the ledger is left alone until the apply"
    assert applied(made, "Try v1 as a canary") == {"canary": "v1", "production": "v2"}
    assert "promote risk: canary → v1" in made.subjects(head)

    done = made.here("promote", "risk", "--run", first[:8])
    assert done.code == 0, done.err
    assert first in (made.root / MODEL).read_text()
    assert applied(made, "Pin the first run") == {"canary": "v1", "production": "v1"}

    assert made.here("promote", "risk", "canary", "--to", "none").code == 0
    assert applied(made, "End the canary") == {"production": "v1"}

    assert made.here("promote", "risk", "--to", "auto").code == 0
    assert applied(made, "Go on by itself") == {"production": "v2"}
    assert made.ran("risk"), "and all that without a run"
    assert len(made.here("runs", "risk", "--json").json["runs"]) == len(runs)

    assert made.here("promote", "risk").code == 0
    again = made.here("promote", "risk")
    assert f"{MODEL} points production to v2 already" in again.out


def test_what_failed_or_is_not_there_is_refused(made: Repository) -> None:
    rejected = made.here("runs", "risk", "--where", "status = rejected", "--json").json["runs"][0]["run"]
    for arguments, code, words in (
        (("risk", "--run", rejected[:10]), 4, "did not pass its gates"),
        (("risk", "--run", rejected[:10]), 4, "FAIL roc_auc.min"),
        (("risk", "--to", "v3"), 64, "risk has no version 'v3'"),
        (("risk", "--to", "v3"), 64, "there are: v1, v2"),
        (("risk", "--to", "auot"), 64, "did you mean auto?"),
        (("rsk",), 64, "custody promote risk"),
        (("debt",), 64, "nothing is recorded of 'debt'"),
        (("risk", "Production"), 64, "cannot stand in a spec"),
        (("risk", "--to", "v1", "--run", "ab"), 64, "not allowed with"),
    ):
        done = made.here("promote", *arguments)
        assert (done.code, words in done.err) == (code, True), done.err
    assert made.git("status", "--porcelain") == ""


def test_a_held_stage_is_released_first(made: Repository) -> None:
    done = made.here("rollback", "risk", "--now", "--reason", "wrong labels", "--json")
    held = done.json["hold"]["record"][:8]
    refused = made.here("promote", "risk", "--to", "v2")
    assert refused.code == 4
    assert f"production of risk is held by {held}: wrong labels" in refused.err
    assert f"custody rollback risk --release {held}" in refused.err
    assert made.git("status", "--porcelain") == ""
    assert made.here("promote", "risk", "canary", "--to", "v2").code == 0, "another stage is free"
    assert made.here("promote", "risk", "--to", "v1").code == 0, "what it is held at ends the hold"
    assert applied(made, "Stay with v1") == {"canary": "v2", "production": "v1"}
    (found,) = made.here("status", "risk", "--json").json["models"]
    assert found["holds"] == []


def test_a_version_that_fails_the_gates_of_today_is_refused(made: Repository) -> None:
    made.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.99")
    assert made.apply("--target", "risk").code == 4
    done = made.here("promote", "risk", "--to", "v2")
    assert done.code == 4
    assert "risk v2 did not pass its gates: it was rejected" in done.err
