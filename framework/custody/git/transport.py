"""What only the git binary does well; the one home of GitPython, which is imported when it is needed.

It brings credentials, proxies, hooks and the packing of objects, which libgit2 never starts by itself.
"""

from __future__ import annotations

from custody.git.objects import Repository

LOOSE_LIMIT = 6700
"""Loose objects from which Git itself packs (`gc.auto`); far more make clones and fetches slow."""
_SAMPLE = "17"


def loose_objects(repository: Repository) -> int:
    """Estimate how many loose objects there are, from one of the 256 folders, as Git does."""
    try:
        return sum(1 for _ in (repository.common_dir / "objects" / _SAMPLE).iterdir()) * 256
    except OSError:
        return 0


def maintain(repository: Repository, limit: int = LOOSE_LIMIT) -> bool:
    """Have Git pack the repository in the background where there are many loose objects; whether it was asked.

    Git itself detaches and decides (`gc.auto`, `gc.autoDetach`). A failure is of no consequence and not told.
    """
    if loose_objects(repository) <= limit:
        return False
    try:
        import git
    except ImportError:  # GitPython finds no git binary
        return False
    try:
        git.Git(str(repository.common_dir)).execute(["git", "gc", "--auto", "--quiet"])
    except (git.GitCommandError, git.GitCommandNotFound, OSError):
        return False
    return True
