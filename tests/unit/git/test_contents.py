"""The branch of small content: what a commit of it holds, and what is read back from it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from custody.git.contents import ContentBranch, blob_id, find_blob, join_contents, landed_ref
from custody.git.objects import Person, Repository, open_repository
from custody.git.refs import move_ref
from tests.unit.git.repositories import git, make_repository

ANN = Person("Ann", "ann@example.org", datetime(2026, 11, 24, tzinfo=UTC))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    make_repository(tmp_path / "r")
    return open_repository(tmp_path / "r", durable=False)


def named(*contents: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(data).hexdigest(): data for data in contents}


def test_commits_add_up_in_a_layout_that_anybody_can_check(repository: Repository) -> None:
    first = join_contents(repository, None, named(b"one", b"two"), ANN)
    second = join_contents(repository, first, named(b"two", b"three"), ANN)
    assert second is not None
    paths = git(repository.git_dir, "ls-tree", "-r", "--name-only", second).splitlines()
    assert {path.replace("sha256/", "").replace("/", "") for path in paths} == set(named(b"one", b"two", b"three"))
    assert all(len(path.split("/")[1]) == 2 for path in paths)
    assert git(repository.git_dir, "rev-list", "--count", second).strip() == "2"


def test_nothing_new_makes_no_commit(repository: Repository) -> None:
    first = join_contents(repository, None, named(b"one"), ANN)
    assert join_contents(repository, first, named(b"one"), ANN) == first
    assert join_contents(repository, None, {}, ANN) is None


def test_a_blob_has_the_id_that_git_gives_it(repository: Repository) -> None:
    for data in (b"", b"x", b"\0" * 1000):
        assert blob_id(data) == repository.write_blob(data)


def test_only_what_hashes_to_its_name_is_read(repository: Repository) -> None:
    (good,), (bad,), (absent,) = named(b"good"), named(b"bad"), named(b"absent")
    head = join_contents(repository, None, {good: b"good", bad: b"something else"}, ANN)
    assert head is not None
    move_ref(repository, landed_ref("origin"), None, head, "test")
    branch = ContentBranch(repository, "origin")
    assert dict(branch.read([good, bad, absent, "../../etc", "refs"])) == {good: b"good"}
    mended = join_contents(repository, head, {bad: b"bad"}, ANN)
    assert find_blob(repository, mended, bad) == blob_id(b"bad")


def test_without_the_branch_nothing_is_found(repository: Repository) -> None:
    assert dict(ContentBranch(repository, "origin").read(named(b"one"))) == {}
