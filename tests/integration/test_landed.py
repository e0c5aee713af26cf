"""A change cannot open data by itself: the stricter of its spec and of what has landed says what may travel in Git."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.clones import deeper
from tests.integration.repository import CONFIG, DATASET, Repository
from tests.integration.test_share import clone
from tests.integration.test_store import STORE, on_branch, shared_project

DATASET_YAML = "datasets/loans/dataset.yaml"
CONFIDENTIAL = DATASET.replace("purposes:", "classification: confidential\npurposes:")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A shared project whose data are confidential on main, applied, and a change that calls them internal."""
    made = shared_project(tmp_path_factory.mktemp("landed"), {DATASET_YAML: CONFIDENTIAL})
    assert made.apply().code == 0
    made.git("switch", "-q", "-c", "open")
    made.edit(DATASET_YAML, "classification: confidential", "classification: internal")
    deeper(made)
    made.commit("Deeper trees")
    made.git("push", "-q", "origin", "open")
    made.git("switch", "-q", "main")
    return made


@pytest.fixture
def ann(opened: Repository, tmp_path: Path) -> Repository:
    """A copy of the project and its host, to be changed at will."""
    top = opened.root.parents[1]
    shutil.copytree(top, tmp_path / "copy", symlinks=True)
    made = Repository(tmp_path / "copy" / "ann" / "project", tmp_path / "copy" / "ann" / "home")
    made.git("remote", "set-url", "origin", (tmp_path / "copy" / "host.git").as_uri())
    return made


def job(ann: Repository, folder: Path, *options: str) -> Repository:
    """Return a clone in which the branch of the change is checked out."""
    return clone(ann, folder, "--branch", "open", *options)


def refused(repository: Repository, **environment: str) -> str:
    """Try the commit, look that nothing of it is on the host's store, and return the line that says so."""
    repository.environment.update(environment)
    done = repository.custody("try", "--commit", "risk")
    assert done.code == 0, done.err + done.out
    assert "1 trial recorded" in done.out
    assert repository.git("ls-remote", "origin", STORE) == ""
    [line] = [line for line in done.out.splitlines() if "mlops/store" in line]
    return line


def test_a_change_that_lowers_the_classification_shares_nothing_until_it_is_merged(
    ann: Repository, tmp_path: Path
) -> None:
    said = refused(job(ann, tmp_path / "pull"))
    assert said == "not in mlops/store: risk (loans is confidential on main)"
    again = clone(ann, tmp_path / "again", "--branch", "open")
    assert again.custody("sync").code == 0
    assert again.git("ls-remote", "origin", STORE) == ""

    merger = clone(ann, tmp_path / "main")
    merger.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from ann/open", "origin/open")
    merger.git("push", "-q", "origin", "main")
    done = merger.apply("--json")
    assert done.code == 0, done.err + done.out
    assert done.json["left_out"] == []
    assert merger.run_json("risk")["artifact"] in on_branch(merger)


def test_a_change_cannot_name_another_branch_as_the_protected_one(ann: Repository, tmp_path: Path) -> None:
    pull = job(ann, tmp_path / "pull")
    pull.edit(".mlops/config.yaml", "branch: main", "branch: open")
    assert "(loans is confidential on origin/HEAD)" in refused(pull)
    pull.git("remote", "set-head", "origin", "--delete")
    deeper(pull, 7)
    pull.edit("models/risk/pipeline.yaml", "max_depth: 6", "max_depth: 7")
    assert "(loans is confidential on main)" in refused(pull, GITHUB_ACTIONS="true", GITHUB_BASE_REF="main")


def test_the_same_data_by_another_name_stay(ann: Repository, tmp_path: Path) -> None:
    pull = job(ann, tmp_path / "pull")
    pull.git("mv", "datasets/loans", "datasets/credits")
    pull.edit("models/risk/data.yaml", "loans@v1", "credits@v1")
    pull.edit("models/debt/data.yaml", "loans@v1", "credits@v1")
    assert "its data are loans@v1, and loans is confidential on main" in refused(pull)


def test_without_the_protected_branch_the_records_decide(ann: Repository, tmp_path: Path) -> None:
    pull = job(ann, tmp_path / "pull", "--single-branch")
    assert pull.custody("sync").code == 0
    assert "(loans is confidential in the ledger)" in refused(pull)


def test_data_of_which_nothing_has_landed_are_decided_by_their_spec(tmp_path: Path) -> None:
    made = Repository.create(tmp_path / "ann", {".mlops/config.yaml": CONFIG + "remote: origin\n"})
    empty = made.git("commit-tree", "-m", "Begin", made.git("mktree", "--missing"))
    host = tmp_path / "host.git"
    made.git("init", "-q", "--bare", "-b", "main", str(host))
    made.git("remote", "add", "origin", host.as_uri())
    made.git("push", "-q", "origin", f"{empty}:refs/heads/main", "main:refs/heads/first")
    made.git("switch", "-q", "-c", "first")
    made.git("branch", "-q", "-f", "main", empty)
    done = made.custody("sync")
    assert done.code == 0, done.err
    done = made.custody("try", "--commit", "risk")
    assert done.code == 0, done.err + done.out
    assert "mlops/store" not in done.out
    assert on_branch(made)
