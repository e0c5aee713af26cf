"""The exact source tree of the working tree as a Git tree, without touching the user's index or any ref.

Tracked and untracked files, without the ignored ones, with the modes, links and line ends that Git would commit. It
starts from a copy of the index in memory, so that unchanged files are known by Git's own cache and not read again.
"""

from __future__ import annotations

from pathlib import Path

import pygit2
from pygit2.enums import FileStatus

from custody.errors import GitError
from custody.git.objects import FAILURES, Repository

LARGEST = 100 * 2**20
"""Bytes beyond which a changed or new file is taken for data that should be ignored: hosts refuse such blobs."""
_GONE = FileStatus.WT_DELETED
_CHANGED = FileStatus.WT_MODIFIED | FileStatus.WT_TYPECHANGE | FileStatus.WT_NEW | _GONE


def snapshot(repository: Repository) -> str:
    """Store the working tree as a tree and return its id; of a clean working tree it is the tree of HEAD.

    Raises GitError where there are unmerged files, a sparse checkout, or a file that is too large or unreadable.
    """
    _refuse_sparse(repository)
    try:
        # a second handle: the index of the first one must keep what the user staged
        raw = pygit2.Repository(str(repository.git_dir))
        try:
            return _written(raw)
        finally:
            raw.free()
    except FAILURES as error:
        raise GitError(f"the working tree cannot be kept as a tree: {error}", help=("git status",)) from error


def _written(raw: pygit2.Repository) -> str:
    index, top = raw.index, Path(raw.workdir)
    if index.conflicts is not None:
        names = sorted({item.path for entry in index.conflicts for item in entry if item is not None})
        raise GitError(f"a merge is not finished: {', '.join(names[:5])}", help=("git status", "git merge --abort"))
    changed = [(path, flags) for path, flags in raw.status(untracked_files="all").items() if flags & _CHANGED]
    for path, flags in changed:
        if flags & _GONE:
            index.remove(path)
        else:
            _refuse_large(top, path)
            # an embedded repository is listed as a folder; what it holds is a history of its own
            if not path.endswith("/"):
                index.add(path)
    return str(index.write_tree())


def _refuse_large(top: Path, path: str) -> None:
    size = (top / path).lstat().st_size
    if size > LARGEST:
        raise GitError(
            f"{path} has {size:,} bytes: a trial keeps its whole source tree, and this looks like data",
            help=(f"echo '/{path}' >> .gitignore",),
        )


def _refuse_sparse(repository: Repository) -> None:
    try:
        sparse = repository.raw.config.get_bool("core.sparseCheckout")
    except (KeyError, ValueError):
        return
    if sparse:
        raise GitError(
            "this is a sparse checkout: files that are not here cannot be told from deleted ones",
            help=("git sparse-checkout disable", "git worktree add ../whole"),
        )
