"""Going back to an earlier version: by an edit of the spec, or at once by a hold that later applies respect."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.app.project import open_project
from custody.core.fold import fold
from tests.integration.clones import clone, copied, hosted
from tests.integration.repository import Repository


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose model `risk` has two versions, v2 in production."""
    made = Repository.create(tmp_path_factory.mktemp("twice"))
    assert made.apply().code == 0
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    assert made.apply().code == 0
    return made


@pytest.fixture
def made(twice: Repository, tmp_path: Path) -> Iterator[Repository]:
    return copied(twice, tmp_path)


def production(made: Repository) -> tuple[str, list[str]]:
    """Return the version in production and the open holds."""
    found = next(item for item in made.custody("status", "--json").json["models"] if item["model"] == "risk")
    return found["stages"]["production"]["version"], [hold["record"] for hold in found["holds"]]


def hold(made: Repository, *arguments: str) -> str:
    done = made.custody("rollback", "risk", "--now", "--reason", "wrong labels", "--json", *arguments)
    assert done.code == 0, done.err + done.out
    return str(done.json["hold"]["record"])


def test_by_the_spec(made: Repository) -> None:
    done = made.custody("rollback", "risk")
    assert done.code == 0
    assert "-stages: {production: auto}\n+stages: {production: v1}" in done.out
    assert 'git commit -m "Roll risk back to v1" models/risk/model.yaml' in done.err
    made.commit("Roll risk back to v1")
    assert made.plan()["risk"]["category"] == "roll back"
    assert made.apply().code == 0
    assert production(made) == ("v1", [])
    assert "points production to v1 already" in made.custody("rollback", "risk", "--to", "v1").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("risk", "--to", "v9"), "risk has no version 'v9'"),
        (("debt",), "debt has no version before v1, which production points to"),
        (("risk", "--stage", "canary"), "canary of risk points to nothing"),
        (("rsk",), "nothing is recorded of 'rsk'"),
        (("risk", "--now"), "--now needs a reason"),
        (("risk", "--now", "--reason", " \t"), "a hold needs a reason"),
        (("risk", "--release", "1a2b"), "production of risk is not held"),
        (("risk", "--release", "1a2b", "--now"), "--release stands alone"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_changes(
    made: Repository, arguments: tuple[str, ...], words: str
) -> None:
    before = made.head()
    done = made.custody("rollback", *arguments)
    assert done.code == 64
    assert words in done.err
    assert made.head() == before
    assert made.git("status", "--porcelain") == ""


def test_a_hold_is_not_undone_by_any_apply(made: Repository) -> None:
    held = hold(made)
    assert production(made) == ("v1", [held])
    assert made.git("status", "--porcelain") == "", "the specs are left alone"
    head = made.head()
    for _ in range(5):
        assert made.apply().code == 0
    assert made.head() == head
    made.edit("models/risk/pipeline.yaml", "max_depth: 4", "max_depth: 5")
    done = made.apply()
    assert done.code == 0
    assert production(made) == ("v1", [held]), "a new run is registered, not promoted"
    assert f"held by {held[:8]}: wrong labels, by Ann <ann@example.org>" in made.custody("plan").out
    assert "v1 (held)" in made.git("show", "mlops/ledger:README.md")


def test_a_hold_ends_when_the_spec_agrees(made: Repository) -> None:
    held = hold(made)
    assert made.custody("rollback", "risk").code == 0, "by default what it is held at, to make that last"
    made.commit("Keep risk at v1")
    assert made.plan()["risk"]["moves"][0]["run"] is not None
    assert made.apply().code == 0
    assert production(made) == ("v1", [])
    assert f"hold {held[:8]} ends" in made.subjects()[-1]
    made.edit("models/risk/model.yaml", "production: v1", "production: auto")
    assert made.apply().code == 0
    assert production(made) == ("v2", [])


def test_a_hold_ends_when_it_is_released(made: Repository) -> None:
    held = hold(made)
    assert made.custody("rollback", "risk", "--release", "ffff").code == 64
    done = made.custody("rollback", "risk", "--release", held[:8])
    assert done.code == 0, done.err
    assert production(made) == ("v1", []), "it stays until the next apply"
    again = made.custody("rollback", "risk", "--release", held[:8])
    assert again.code == 64
    assert f"it ended with {made.head()[:7]}: release risk" in again.err
    assert made.apply().code == 0
    assert production(made) == ("v2", [])


def test_every_tree_is_the_fold_of_its_records(made: Repository) -> None:
    hold(made)
    made.custody("rollback", "risk", "--release", production(made)[1][0])
    ledger = open_project(made.root).ledger
    files: dict[str, bytes] = {}
    for commit in made.git("log", "--reverse", "--format=%H", "mlops/ledger").splitlines()[1:]:
        record = ledger.record(commit)  # type: ignore[attr-defined]
        files.update(fold(files.get, record))
        if "models/risk/stages.json" in files:
            shown = made.git("show", f"{commit}:models/risk/stages.json")
            assert shown == files["models/risk/stages.json"].decode().strip()


@pytest.fixture
def shared(made: Repository, tmp_path: Path) -> tuple[Repository, Repository]:
    """The project on a host, and another clone of it."""
    made.edit(".mlops/config.yaml", "ledger: mlops/ledger\n", "ledger: mlops/ledger\nremote: origin\n")
    host = hosted(made, tmp_path)
    assert made.custody("sync").code == 0
    other = clone(made, host, tmp_path / "other")
    assert other.custody("sync").code == 0
    return made, other


def test_a_hold_that_lands_while_another_clone_applies_is_not_undone_by_any_apply(
    shared: tuple[Repository, Repository], tmp_path: Path
) -> None:
    """The hold is made when the apply begins to push its promotion, which is then decided anew."""
    made, other = shared
    holding = [*other.command("rollback", "risk", "--now", "--reason", "wrong labels")]
    script = tmp_path / "receive-pack"
    script.write_text(
        f"#!/bin/sh\nif [ ! -e {tmp_path}/once ]; then\ntouch {tmp_path}/once\n"
        f"(unset $(git rev-parse --local-env-vars); cd {other.root} && {shlex.join(holding)}) >{tmp_path}/held 2>&1\n"
        'fi\nexec git receive-pack "$@"\n'
    )
    script.chmod(0o755)
    made.git("config", "remote.origin.receivepack", str(script))
    made.edit("models/risk/pipeline.yaml", "max_depth: 4", "max_depth: 5")
    done = made.apply()
    assert done.code == 0, done.err + done.out
    assert "production of risk is v1 now (was v2)" in (tmp_path / "held").read_text()
    version, holds = production(made)
    assert (version, len(holds)) == ("v1", 1), "moved off v2, which it names; the new v3 is not promoted"
    assert "register risk v3" in "\n".join(made.subjects())
    head = made.head()
    for clone_ in (made, other, made, other, made):
        assert clone_.apply().code == 0
    assert made.head() == head
    assert production(other) == ("v1", holds)
    assert made.custody("rollback", "risk", "--to", "v1").code == 0
    made.commit("Keep risk at v1")
    assert made.apply().code == 0
    assert production(made) == ("v1", [])
    made.edit("models/risk/model.yaml", "production: v1", "production: auto")
    assert made.apply().code == 0
    assert production(made) == ("v3", [])


def test_a_hold_that_lands_over_another_run_moves_nothing_and_is_over_when_a_promotion_names_it(
    shared: tuple[Repository, Repository], tmp_path: Path
) -> None:
    """It was made offline, of v2; when it lands, v3 is in production."""
    made, other = shared
    host = tmp_path / "host.git"
    host.rename(tmp_path / "away.git")
    assert other.custody("rollback", "risk", "--now", "--reason", "wrong labels").code == 7
    (tmp_path / "away.git").rename(host)
    made.edit("models/risk/pipeline.yaml", "max_depth: 4", "max_depth: 5")
    assert made.apply().code == 0
    assert production(made) == ("v3", [])
    assert other.custody("sync").code == 0
    for _ in range(5):
        assert made.apply().code == 0
    version, holds = production(made)
    assert (version, len(holds)) == ("v3", 1)
    assert production(other) == (version, holds)
    assert "production is v3, not the v2 that this hold was made for" in made.custody("status").out
    assert made.custody("rollback", "risk", "--release", holds[0]).code == 0
    assert production(made) == ("v3", [])


def test_a_hold_can_be_made_offline(made: Repository, tmp_path: Path) -> None:
    made.edit(".mlops/config.yaml", "ledger: mlops/ledger\n", "ledger: mlops/ledger\nremote: origin\n")
    host = hosted(made, tmp_path)
    assert made.custody("sync").code == 0
    host.rename(tmp_path / "away.git")
    done = made.custody("rollback", "risk", "--now", "--reason", "wrong labels")
    assert done.code == 7
    assert "Not shared yet" in done.err
    assert production(made)[0] == "v1"
    held = production(made)[1][0]
    refused = made.custody("rollback", "risk", "--release", held)
    assert refused.code == 7, "a decision is not made offline"
    assert production(made) == ("v1", [held])
    (tmp_path / "away.git").rename(host)
    assert made.custody("sync").code == 0
    assert made.custody("rollback", "risk", "--release", held).code == 0
