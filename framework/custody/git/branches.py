"""Branches of the source side: where a branch is known here, and whether a commit lies on it."""

from __future__ import annotations

from collections.abc import Iterable

from custody.errors import GitError
from custody.git.objects import FAILURES, Repository
from custody.git.refs import read_ref


def branch_heads(repository: Repository, branch: str, remote: str | None = None) -> dict[str, str]:
    """Return the refs that stand for `branch` here, each with its commit: the local one, then the remote-tracking ones.

    With a `remote` only that one's counts: the branch of a fork is somebody else's.
    """
    names = [remote] if remote else remotes(repository)
    refs = [f"refs/heads/{branch}", *(f"refs/remotes/{name}/{branch}" for name in names)]
    return {ref: commit for ref in refs if (commit := read_ref(repository, ref))}


def remotes(repository: Repository) -> list[str]:
    """Return the names of the remotes; `origin` first."""
    try:
        return sorted((str(name) for name in repository.raw.remotes.names()), key=lambda name: (name != "origin", name))
    except FAILURES:
        return []


def brings_all(repository: Repository, remote: str) -> bool:
    """Whether a plain fetch brings all branches of the remote, and one has: what is not here was not there then."""
    try:
        specs = list(repository.raw.remotes[remote].fetch_refspecs)
        fetched = any(name.startswith(f"refs/remotes/{remote}/") for name in repository.raw.references)
    except FAILURES:
        return False
    return fetched and f"+refs/heads/*:refs/remotes/{remote}/*" in specs


def on_any(repository: Repository, commit: str, heads: Iterable[str]) -> bool:
    """Whether `commit` is one of these heads or an ancestor of one, as far as the history is here."""
    return any(is_ancestor(repository, commit, head) for head in heads)


def reached(repository: Repository, heads: Iterable[str]) -> frozenset[str]:
    """Return all commits that these heads reach, as far as the history is here."""
    walker = repository.raw.walk(None)
    try:
        for head in heads:
            walker.push(head)
        return frozenset(str(commit.id) for commit in walker)
    except FAILURES as error:
        raise GitError(f"the history cannot be walked: {error}", help=("git fsck --full",)) from error


def is_ancestor(repository: Repository, commit: str, head: str) -> bool:
    """Whether `head` is `commit` or descends from it, as far as the history is here."""
    if commit == head:
        return True
    try:
        return bool(repository.raw.descendant_of(head, commit))
    except FAILURES:
        return False


def merge_base(repository: Repository, one: str, other: str) -> str | None:
    """Return the best common ancestor of two commits; None where there is none, or the history is cut before it."""
    try:
        found = repository.raw.merge_base(one, other)
    except FAILURES:
        return None
    return None if found is None else str(found)


def merged_tree(repository: Repository, ancestor: str, ours: str, theirs: str) -> str | None:
    """Return the tree of the merge of two trees; None where it has conflicts. Writes objects, moves nothing.

    Raises GitError where an object is missing.
    """
    try:
        index = repository.raw.merge_trees(ancestor, ours, theirs)
        if index.conflicts is not None:
            return None
        return str(index.write_tree(repository.raw))
    except FAILURES as error:
        raise GitError(f"the merge cannot be planned: {error}", help=("git fetch --unshallow",)) from error
