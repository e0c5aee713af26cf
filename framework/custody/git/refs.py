"""Refs: read, create and move them, always as a compare-and-swap; clear locks that a killed process left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pygit2

from custody.errors import GitError
from custody.git.objects import FAILURES, Repository

STALE = 2.0
"""Seconds after which a lock file of one of our own refs is left over: a live one lasts milliseconds."""
_PATIENCE = 6.0
_PAUSE = 0.02


def read_ref(repository: Repository, name: str) -> str | None:
    """Return the commit that the ref points to; None where there is none."""
    try:
        reference = repository.raw.references.get(name)
        return None if reference is None else str(reference.resolve().target)
    except FAILURES as error:
        known = f"tail -3 .git/logs/{name}   the commits that it pointed to last, in the second column"
        again = f"rm .git/{name}; git update-ref {name} COMMIT"
        raise GitError(f"{name} cannot be read: {error}", help=(known, again)) from error


def move_ref(repository: Repository, name: str, old: str | None, new: str, reason: str) -> bool:
    """Point the ref to `new` where it is at `old` now (None: where it does not exist); whether it did.

    The caller holds the lock that all of custody's writers of this ref hold; so a lock file of Git's that is older
    than `STALE` seconds was left by a killed process, and is removed. Raises GitError where the repository refuses.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return _swap(repository, name, old, new, reason)
        except FAILURES as error:
            if not _lock_file(repository, name).exists():
                if read_ref(repository, name) != old:
                    return False
                raise GitError(f"{name} cannot be moved: {error}", help=("df -h .", "ls -ld .git .git/refs")) from error
            if time.monotonic() > deadline:
                raise GitError(
                    f"{name} is locked by another Git process", help=(f"rm {_lock_file(repository, name)}",)
                ) from error
        clear_stale_lock(repository, name)
        time.sleep(_PAUSE)


def clear_stale_lock(repository: Repository, name: str) -> bool:
    """Remove the ref's lock file where it is older than `STALE` seconds; whether it did."""
    path = _lock_file(repository, name)
    try:
        if time.time() - path.stat().st_mtime < STALE:
            return False
        path.unlink()
    except OSError:
        return False
    return True


def is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    """Whether `newer` is `older` or descends from it, as far as the history is here."""
    seen: set[str] = set()
    pending = [newer]
    while pending:
        commit = pending.pop()
        if commit == older:
            return True
        if commit not in seen and repository.has(commit):
            seen.add(commit)
            pending += reversed(repository.parents(commit))
    return False


def branch_ref(repository: Repository, branch: str) -> str:
    """Return the full name of a branch.

    Raises GitError where the name is not valid, or where a branch is in the way: Git keeps `mlops` and `mlops/ledger`
    in one place, so there can be only one of them.
    """
    name = f"refs/heads/{branch}"
    if not pygit2.reference_is_valid_name(name):
        raise GitError(f"{branch!r} cannot be the name of a branch", help=("git check-ref-format --branch NAME",))
    parts = branch.split("/")
    for above in ("/".join(parts[:count]) for count in range(1, len(parts))):
        if repository.raw.references.get(f"refs/heads/{above}") is not None:
            raise GitError(
                f"the branch {above} is in the way of {branch}: Git cannot hold both",
                help=(f"git branch -m {above} {above}-old",),
            )
    return name


def _swap(repository: Repository, name: str, old: str | None, new: str, reason: str) -> bool:
    if old is None:
        repository.raw.references.create(name, new, force=False)
        return True
    reference = repository.raw.references.get(name)
    if reference is None or str(reference.target) != old:
        return False
    reference.set_target(new, reason)
    return True


def _lock_file(repository: Repository, name: str) -> Path:
    return repository.common_dir / f"{name}.lock"
