from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import GitError
from custody.git.objects import open_repository, parse_commit, parse_tree
from tests.unit.git.repositories import commit, git


def test_only_files_are_read_as_files(repository: Path) -> None:
    (repository / "link").symlink_to("folder/file")
    commit(repository, **{"folder/file": "content"})
    opened = open_repository(repository, durable=False)
    tree = git(repository, "rev-parse", "HEAD^{tree}").strip()
    assert opened.file(tree, "folder/file") == b"content"
    for path in ("folder", "link", "absent", "folder/file/below"):
        assert opened.file(tree, path) is None, path


def test_changes_between_trees_are_those_of_git(repository: Path) -> None:
    first = commit(repository, **{"a": "1", "b/c": "1", "b/d": "1", "e": "1"})
    git(repository, "rm", "-q", "-r", "b", "e")
    second = commit(repository, **{"b": "now a file", "e/f": "now a folder", "a": "2"})
    opened = open_repository(repository, durable=False)
    trees = [git(repository, "rev-parse", f"{item}^{{tree}}").strip() for item in (first, second)]
    shown = git(repository, "diff", "--no-renames", "--name-only", first, second).split()
    assert sorted(path for path, _ in opened.changed(*trees)) == sorted(shown)


def test_what_is_missing_is_said(repository: Path) -> None:
    opened = open_repository(repository, durable=False)
    for read in (opened.commit, opened.tree, opened.blob, opened.parents):
        with pytest.raises(GitError, match="missing from the repository or damaged"):
            read("a" * 40)
    with pytest.raises(GitError, match="not a commit"):
        opened.commit(opened.write_blob(b"x"))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for parse in (parse_tree, lambda found: parse_commit("a" * 40, found)):
        try:
            parse(data)
        except GitError:
            continue
