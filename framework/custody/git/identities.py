"""What lies in a folder, told by Git's ids and without reading it: in a commit, or in the working tree.

The working tree is HEAD and what differs from it (`GitWorktree.differences`), so an unchanged folder costs one id. Only
differing files that specs and code can be made of are hashed; a folder with others that could matter has no identity.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from custody.git.objects import EXECUTABLE, FILE, FOLDER, TreeEntry
from custody.git.worktree import GitWorktree

_READ = (".yaml", ".yml", ".py")
"""Files that specs and code are read from; the id of a commit's tree covers all others too."""
_NEVER_READ = "__pycache__"
_SPARSE = 3
"""The version of Git's index that lets files be left out of the working tree."""


@dataclass(frozen=True, slots=True)
class Identities:
    """The ids of one revision. Paths are from the project root, with forward slashes.

    `tree` is that of the revision, or of HEAD under the working tree (None: there is no commit yet). `differing` is
    what differs from it there, `ignored` what Git ignores; both are empty for a commit.
    """

    worktree: GitWorktree
    tree: str | None
    differing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    here: tuple[str, ...] = ()
    """Both, in order."""
    _children: dict[str, Mapping[str, TreeEntry]] = field(default_factory=dict)
    _blobs: dict[str, str | None] = field(default_factory=dict)

    def folder(self, path: str) -> str | None:
        """Return the identity of all files below the folder: equal only where they are. None: it has none.

        A folder that is not there has an identity too.
        """
        entry = self._entry(path)
        base = entry.id if entry and entry.mode == FOLDER else ""
        lines = []
        for item in self._below(path):
            if item.endswith("/"):
                return None
            if item.endswith(_READ):
                lines.append(f"{item}={self._blob(item)}")
        return f"{base}+{hashlib.sha256(chr(0).join(lines).encode()).hexdigest()}" if lines else base

    def file(self, path: str) -> str | None:
        """Return the blob id of the file; None where there is none."""
        above = (f"{path[:at]}/" for at, char in enumerate(path) if char == "/")
        if self._is_here(path) or any(map(self._is_here, above)):
            return self._blob(path)
        entry = self._entry(path)
        return entry.id if entry and entry.mode in {FILE, EXECUTABLE} else None

    def hash_all(self) -> None:
        """Hash what differs, as it is now: what is read from here on is told by what it was before."""
        for item in self.here:
            if item.endswith(_READ):
                self._blob(item)

    def children(self, path: str) -> dict[str, bool]:
        """Return the names in the folder, and for each whether it is a folder."""
        found = {name: item.mode == FOLDER for name, item in self._committed(path).items()}
        for item in self._below(path):
            name, slash, _ = item[len(path) + 1 :].partition("/")
            if name:
                found[name] = found.get(name, False) or bool(slash)
        return found

    def _entry(self, path: str) -> TreeEntry | None:
        folder, _, name = path.rpartition("/")
        return self._committed(folder).get(name)

    def _committed(self, folder: str) -> Mapping[str, TreeEntry]:
        """Return what the tree holds right in the folder."""
        if folder not in self._children:
            entry = self.worktree.entry(self.tree, folder) if self.tree else None
            self._children[folder] = self.worktree.children(entry.id) if entry and entry.mode == FOLDER else {}
        return self._children[folder]

    def _blob(self, path: str) -> str | None:
        """Return the blob id of a file of the working tree, as it was when first asked for; it may be read later."""
        if path not in self._blobs:
            self._blobs[path] = self.worktree.blob(None, path)
        return self._blobs[path]

    def _is_here(self, item: str) -> bool:
        at = bisect_left(self.here, item)
        return self.here[at : at + 1] == (item,)

    def _below(self, path: str) -> Iterator[str]:
        """Yield what differs or is ignored below the folder, as far as it could be read for a spec or by an import."""
        prefix = f"{path}/"
        for item in self.here[bisect_left(self.here, prefix) :]:
            if not item.startswith(prefix):
                return
            name = item.rstrip("/").rpartition("/")[2]
            if not item.endswith("/") or (name.isidentifier() and name != _NEVER_READ):
                yield item


def identities(worktree: GitWorktree, revision: str | None) -> Identities | None:
    """Return the ids of a commit or a tree, or of the working tree (None).

    None where Git does not tell what the working tree holds: it was told to leave files out of it.
    """
    if revision is not None:
        return Identities(worktree, worktree.tree(revision))
    if _sparse(worktree):
        return None
    head = worktree.head()
    differing, ignored = worktree.differences(ignored=True)
    tree = worktree.tree(head) if head else None
    return Identities(worktree, tree, differing, ignored, tuple(sorted((*differing, *ignored))))


def _sparse(worktree: GitWorktree) -> bool:
    """Whether files of the index may be absent from the working tree, and count as unchanged."""
    raw = worktree.repository.raw
    try:
        with (worktree.repository.git_dir / "index").open("rb") as file:
            version = int.from_bytes(file.read(8)[4:], "big")
    except OSError:
        return False
    config = raw.config
    return version == _SPARSE or ("core.sparseCheckout" in config and config.get_bool("core.sparseCheckout"))
