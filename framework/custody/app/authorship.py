"""Who wrote and who merged what a model consists of: the commits that brought its files to what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from custody.domain.ports import Worktree
from custody.domain.revision import Commit
from custody.errors import GitError

_MOST = 20_000
"""Commits that are walked back at most."""


@dataclass(frozen=True, slots=True)
class Authorship:
    """`written` is the commit that last changed any of the files, `merged` the one that brought it to the branch.

    `merged` is None where the commit was made on the branch itself. `complete` is False where the history ends
    before the answer is certain, as in a shallow clone.
    """

    written: Commit
    merged: Commit | None = None
    complete: bool = True


def authorship(worktree: Worktree, revision: str, paths: Sequence[str]) -> Authorship:
    """Return who is behind the contents of `paths` at `revision`; raises GitError where the commit is not here."""
    landed, complete = _introduced(worktree, revision, paths)
    wanted = _blobs(worktree, landed.id, paths)
    for parent in landed.parents[1:]:
        if _blobs(worktree, parent, paths) == wanted:
            written, whole = _introduced(worktree, parent, paths)
            return Authorship(written, landed, complete and whole)
    return Authorship(landed, None, complete)


def _introduced(worktree: Worktree, revision: str, paths: Sequence[str]) -> tuple[Commit, bool]:
    """Walk first parents back to the commit in which the files became what they are at `revision`."""
    here = worktree.commit(revision)
    wanted = _blobs(worktree, here.id, paths)
    for _ in range(_MOST):
        if not here.parents:
            return here, True
        before = _blobs(worktree, here.parents[0], paths)
        if before is None:
            return here, False
        if before != wanted:
            return here, True
        here = worktree.commit(here.parents[0])
    return here, False


def _blobs(worktree: Worktree, revision: str, paths: Sequence[str]) -> tuple[str | None, ...] | None:
    """Return the blob id of each path; None where the commit is not in this clone."""
    try:
        return tuple(worktree.blob(revision, path) for path in paths)
    except GitError:
        return None
