from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from custody.errors import GitError
from custody.git import snapshot as module
from custody.git.objects import open_repository
from custody.git.snapshot import snapshot
from tests.unit.git.repositories import commit, git, make_repository, write


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = make_repository(tmp_path / "work")
    write(path, ".gitignore", "ignored\n")
    write(path, "run", "#!/bin/sh\n")
    (path / "run").chmod(0o755)
    write(path, "folder/kept", "kept\n")
    write(path, "folder/gone", "gone\n")
    (path / "link").symlink_to("run")
    commit(path)
    return path


def as_git(path: Path) -> str:
    """The tree that `git add -A` would commit, made with an index of its own."""
    variables = {**os.environ, "GIT_INDEX_FILE": str(path / ".git" / "other")}

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=path, env=variables, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("read-tree", "HEAD")
    run("add", "-A")
    return run("write-tree")


def taken(path: Path) -> str:
    """The snapshot; the user's index keeps its bytes."""
    index = (path / ".git" / "index").read_bytes()
    tree = snapshot(open_repository(path, durable=False))
    assert (path / ".git" / "index").read_bytes() == index
    return tree


def test_of_a_clean_tree_it_is_that_of_the_commit(work: Path) -> None:
    write(work, "ignored", "secret\n")
    assert taken(work) == git(work, "rev-parse", "HEAD^{tree}").strip()


def test_every_kind_of_change_is_as_git_would_commit_it(work: Path) -> None:
    write(work, "new/deep/file", "new\n")
    write(work, "folder/kept", "staged\n")
    git(work, "add", "folder/kept")
    write(work, "folder/kept", "and changed again\n")
    (work / "folder/gone").unlink()
    (work / "run").chmod(0o644)
    (work / "link").unlink()
    (work / "link").symlink_to("folder/kept")
    assert taken(work) == as_git(work)


def test_a_folder_may_become_a_file_and_a_file_a_folder(work: Path) -> None:
    for name in ("kept", "gone"):
        (work / "folder" / name).unlink()
    (work / "folder").rmdir()
    write(work, "folder", "a file\n")
    (work / "run").unlink()
    write(work, "run/inside", "a folder\n")
    assert taken(work) == as_git(work)


def test_line_ends_are_converted_as_git_does(work: Path) -> None:
    write(work, ".gitattributes", "*.txt text eol=lf\n")
    (work / "windows.txt").write_bytes(b"one\r\ntwo\r\n")
    tree = taken(work)
    assert git(work, "cat-file", "-p", f"{tree}:windows.txt") == "one\ntwo\n"


def test_what_cannot_be_kept_says_what_to_do(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    write(work, "data.bin", "more than ten bytes\n")
    with pytest.raises(GitError, match="looks like data") as error:
        taken(work)
    assert error.value.help == ("echo '/data.bin' >> .gitignore",)


def test_an_unfinished_merge_is_refused(work: Path) -> None:
    git(work, "switch", "-q", "-c", "other")
    commit(work, **{"folder/kept": "theirs\n"})
    git(work, "switch", "-q", "main")
    commit(work, **{"folder/kept": "ours\n"})
    git(work, "merge", "other", check=False)
    with pytest.raises(GitError, match="a merge is not finished: folder/kept"):
        taken(work)


def test_a_sparse_checkout_is_refused(work: Path) -> None:
    git(work, "sparse-checkout", "set", "folder")
    with pytest.raises(GitError, match="sparse checkout"):
        taken(work)
