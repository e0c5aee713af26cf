"""The source side of the repository: commits, and files of a commit or of the working tree. Read-only.

Paths are relative to the project root, which may be a folder of the repository, with forward slashes. Symbolic links
are never followed and `..` never leads out, so that what is read is what a commit can hold.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import pygit2
from pygit2.enums import FileStatus

from custody.domain.revision import Commit, Read
from custody.errors import GitError
from custody.git.objects import EXECUTABLE, FAILURES, FILE, FOLDER, Repository, TreeEntry, open_repository

_FILES = frozenset({FILE, EXECUTABLE})
_CLEAN = FileStatus.CURRENT | FileStatus.IGNORED


class GitWorktree:
    """Satisfies `custody.domain.ports.Worktree`."""

    def __init__(self, repository: Repository, root: Path) -> None:
        self.repository = repository
        self.root = root
        self._top = Path(repository.raw.workdir).resolve()
        inside = root.relative_to(self._top).as_posix()
        self._prefix = "" if inside == "." else f"{inside}/"
        self._trees: dict[str, dict[str, TreeEntry]] = {}

    @property
    def common_dir(self) -> Path:
        """The Git directory that all linked working trees share."""
        return self.repository.common_dir

    def head(self) -> str | None:
        """The commit id of HEAD; None where there is no commit yet. Raises GitError where HEAD cannot be read."""
        raw = self.repository.raw
        try:
            return None if raw.head_is_unborn else str(raw.head.target)
        except FAILURES as error:
            raise GitError(f"HEAD cannot be read: {error}", help=("git symbolic-ref HEAD refs/heads/main",)) from error

    def branch(self) -> str | None:
        """The name of the branch that is checked out, also before its first commit; None on a detached HEAD."""
        target = self.repository.raw.references["HEAD"].raw_target
        text = target.decode("utf-8", "replace") if isinstance(target, bytes) else ""
        return text.removeprefix("refs/heads/") if text.startswith("refs/heads/") else None

    def commit(self, revision: str) -> Commit:
        """Return the commit that `revision` names; raises GitError where there is none."""
        raw = self.repository.commit(self._resolve(revision))
        subject, _, body = raw.message.decode("utf-8", "replace").strip("\n").partition("\n")
        times = raw.author.at.isoformat(), raw.committer.at.isoformat()
        return Commit(raw.id, str(raw.author), str(raw.committer), *times, subject, raw.parents, body)

    def is_commit(self, revision: str) -> bool:
        """Whether `revision` names a commit, not a tree."""
        return self.tree_of(revision) is not None

    def tree_of(self, revision: str) -> str | None:
        """The id of the tree of a commit, of all of the repository; None where the commit is not here."""
        try:
            return self.repository.commit(self._resolve(revision)).tree
        except GitError:
            return None

    def changed(self, before: str | None, after: str) -> tuple[str, ...]:
        """Files of the project that differ between two commits or trees; none where `before` is None."""
        if before is None:
            return ()
        found = self.repository.changed(self.tree(before), self.tree(after))
        return tuple(path.removeprefix(self._prefix) for path, _ in found if path.startswith(self._prefix))

    def reader(self, revision: str | None) -> Read:
        """Read files of a commit, or of the working tree where `revision` is None."""
        if revision is None:
            return self._read_working
        tree = self.tree(revision)

        def read(path: str) -> bytes | None:
            entry = self.entry(tree, path)
            return self.repository.blob(entry.id) if entry and entry.mode in _FILES else None

        return read

    def files(self, revision: str | None, under: str = "") -> Iterable[str]:
        """List the files below the folder `under`, in order; in the working tree without the ignored ones."""
        folder = under.strip("/")
        if revision is None:
            inside = not folder or stat.S_ISDIR(self._mode(folder))
            return sorted(self._working_files(folder)) if inside else []
        entry = self.entry(self.tree(revision), folder)
        return sorted(self._tree_files(entry.id, folder)) if entry and entry.mode == FOLDER else []

    def dirty(self, paths: Iterable[str] = ()) -> tuple[str, ...]:
        """Files below `paths` (all: none given) that differ between HEAD and the working tree, untracked included."""
        wanted = tuple(path.strip("/") for path in paths)
        found, _ = self.differences()
        return tuple(
            path
            for path in found
            if not wanted or any(path == item or path.startswith(f"{item}/") or not item for item in wanted)
        )

    def differences(self, *, ignored: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Files that differ between HEAD and the working tree, and what Git ignores (where wanted), both in order.

        By Git's own stat cache: a file that looks as it did when Git last read it is not read. Folders that are ignored
        as a whole, and other repositories, end with a slash.
        """
        try:
            status = self.repository.raw.status(untracked_files="all", ignored=ignored)
        except FAILURES as error:
            raise GitError(f"the working tree cannot be compared: {error}", help=("git status",)) from error
        here = {path.removeprefix(self._prefix): flags for path, flags in status.items() if self._inside(path)}
        changed = (path for path, flags in here.items() if flags & ~_CLEAN and not self._same(path))
        return tuple(sorted(changed)), tuple(sorted(path for path, flags in here.items() if not flags & ~_CLEAN))

    def _inside(self, path: str) -> bool:
        return path.startswith(self._prefix)

    def blob(self, revision: str | None, path: str) -> str | None:
        """The blob id of a file; computed for the working tree; None where there is none."""
        if revision is not None:
            entry = self.entry(self.tree(revision), path)
            return entry.id if entry and entry.mode in _FILES else None
        if not self._regular(path):
            return None
        try:
            return str(self.repository.raw.hashfile(str(self.root / path)))
        except FAILURES:
            return None

    def blob_bytes(self, blob_id: str) -> bytes | None:
        """The bytes of a blob by its id, of any revision; None where this clone does not have it."""
        try:
            return self.repository.blob(blob_id)
        except GitError:
            return None

    def _resolve(self, revision: str) -> str:
        try:
            return str(self.repository.raw.revparse_single(revision).peel(pygit2.Commit).id)
        except (*FAILURES, TypeError) as error:
            raise _no_commit(revision) from error

    def tree(self, revision: str) -> str:
        """Return the tree of a commit, or of a snapshot, which is a tree itself."""
        try:
            return str(self.repository.raw.revparse_single(revision).peel(pygit2.Tree).id)
        except (*FAILURES, TypeError) as error:
            raise _no_commit(revision) from error

    def entry(self, tree: str, path: str) -> TreeEntry | None:
        """Return what lies at `path`, counted from the project root, in a commit's tree."""
        if path and not _safe(path):
            return None
        found: TreeEntry | None = TreeEntry("", FOLDER, tree)
        for part in filter(None, f"{self._prefix}{path}".split("/")):
            if found is None or found.mode != FOLDER:
                return None
            found = self.children(found.id).get(part)
        return found

    def children(self, tree: str) -> dict[str, TreeEntry]:
        """Return what lies in a tree, by name."""
        if tree not in self._trees:
            self._trees[tree] = {entry.name: entry for entry in self.repository.tree(tree)}
        return self._trees[tree]

    def _tree_files(self, tree: str, prefix: str) -> Iterator[str]:
        for name, entry in self.children(tree).items():
            path = f"{prefix}/{name}" if prefix else name
            if entry.mode == FOLDER:
                yield from self._tree_files(entry.id, path)
            elif entry.mode in _FILES:
                yield path

    def _regular(self, path: str) -> bool:
        """Whether a regular file lies at `path`, with no link on the way."""
        return stat.S_ISREG(self._mode(path))

    def _mode(self, path: str) -> int:
        """Return the mode of what lies at `path` below the root; 0 where nothing does, or a link is on the way."""
        if not _safe(path):
            return 0
        here, mode = str(self.root), 0
        try:
            for part in path.split("/"):
                here = f"{here}/{part}"
                mode = os.lstat(here).st_mode
                if stat.S_ISLNK(mode):
                    return 0
        except OSError:
            return 0
        return mode

    def _read_working(self, path: str) -> bytes | None:
        if not self._regular(path):
            return None
        try:
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                return file.read()
        except OSError:
            return None

    def _working_files(self, under: str) -> Iterator[str]:
        index = self.repository.raw.index
        index.read(False)
        pending = [under]
        while pending:
            folder = pending.pop()
            for name, directory in _listing(self.root / folder):
                path = f"{folder}/{name}" if folder else name
                tracked = self._prefix + path
                if directory:
                    if not self._ignored(f"{tracked}/") or _tracks_below(index, f"{tracked}/"):
                        pending.append(path)
                elif tracked in index or not self._ignored(tracked):
                    yield path

    def _ignored(self, path: str) -> bool:
        return bool(self.repository.raw.path_is_ignored(path))

    def _same(self, path: str) -> bool:
        """Whether HEAD and the working tree hold the same file, whatever has been staged in between."""
        head = self.head()
        committed = self.blob(head, path) if head else None
        if committed is None or committed != self.blob(None, path):
            return False
        entry = self.entry(self.tree(str(head)), path)
        executable = bool((self.root / path).lstat().st_mode & stat.S_IXUSR)
        return entry is not None and (entry.mode == EXECUTABLE) == executable


def open_worktree(project_root: Path) -> GitWorktree:
    """Open the repository that holds the project root, a folder.

    Raises GitError, with one command that helps, where there is none, it has no working tree, or it is of a kind that
    custody cannot use.
    """
    root = project_root.resolve()
    repository = open_repository(root)
    if repository.raw.is_bare or repository.raw.workdir is None:
        raise GitError(
            f"the repository at {repository.git_dir} is bare: it has no working tree",
            help=(f"git clone {repository.git_dir} work",),
        )
    top = Path(repository.raw.workdir).resolve()
    if root != top and top not in root.parents:
        raise GitError(f"{root} lies outside the working tree {top}", help=(f"cd {top}",))
    return GitWorktree(repository, root)


def _no_commit(revision: str) -> GitError:
    return GitError(f"there is no commit called {revision!r}", help=("git log --oneline -10", "git fetch"))


def _safe(path: str) -> bool:
    """Whether the path stays below the root, and out of Git's own folder."""
    if "\0" in path:
        return False
    return all(part not in {"", ".", ".."} and part.lower() != ".git" for part in path.split("/"))


def _listing(folder: Path) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of files and folders; links, devices and other repositories are left out."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.lower() != ".git"]
    except OSError:
        return []
    listed = []
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if not Path(entry.path, ".git").exists():
                listed.append((entry.name, True))
        elif entry.is_file(follow_symlinks=False):
            listed.append((entry.name, False))
    return listed


def _tracks_below(index: pygit2.Index, prefix: str) -> bool:
    return any(entry.path.startswith(prefix) for entry in index)
