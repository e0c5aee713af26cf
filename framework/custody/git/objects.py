"""Objects of one Git repository: open it, read and write blobs, trees and commits.

Commits and trees are parsed from their raw bytes: history is read by the ten thousand, and libgit2's own objects
replace bytes that are not UTF-8. Refs live in `refs.py`. Nothing here writes to the working tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import ObjectType, Option

from custody.errors import GitError
from custody.git.differing import differing

FAILURES = (pygit2.GitError, OSError, KeyError, ValueError)
"""What libgit2 raises for a refusal: which one depends on the call and on the cause."""

FILE, EXECUTABLE, LINK, FOLDER = 0o100644, 0o100755, 0o120000, 0o040000
_PARTS = re.compile(rb"([0-7]+) ([^\0]+)\0([\s\S]{20})")
_FIXED = 22
"""Bytes of an entry beside its mode and name: a space, a zero and the object's id."""
_KEPT = 64
"""Trees of which the bytes are kept."""
_TREE_LINE = len("tree ") + 40 + len("\n")
_PEOPLE = (b"author", b"committer")
_PERSON = re.compile(rb"(.*?) ?<([^>]*)> (-?[0-9]{1,12} [+-][0-9]{4})")


@dataclass(frozen=True, slots=True)
class Person:
    """Who and when, as a commit holds it; `at` carries its offset from UTC."""

    name: str
    email: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True, slots=True)
class RawCommit:
    """A commit as it is stored; `message` is bytes, since nothing promises UTF-8."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: bytes


class TreeEntry(NamedTuple):
    """One name of a tree: its mode and object. Made by the ten thousand, so it is a tuple."""

    name: str
    mode: int
    id: str


class Repository:
    """One open repository. Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, raw: pygit2.Repository) -> None:
        self.raw = raw
        self.git_dir = Path(raw.path)
        self.common_dir = _common_dir(self.git_dir)
        self.promised: Callable[[Sequence[str]], bool] | None = None
        """Brings objects that a partial clone left out; whether they came."""
        self._trees: dict[str, bytes] = {}
        self._odb = raw.odb

    def close(self) -> None:
        """Release file handles and memory maps."""
        self.raw.free()

    @property
    def shallow_boundary(self) -> bytes:
        """What Git keeps about the cut of a shallow clone; empty where the history is whole."""
        try:
            return (self.common_dir / "shallow").read_bytes()
        except OSError:
            return b""

    def has(self, object_id: str) -> bool:
        """Whether the object with this full id is stored here; asked of the database, which need not read it."""
        try:
            return object_id in self._odb
        except (TypeError, ValueError):
            return False

    def commit(self, commit_id: str) -> RawCommit:
        """Return the commit. Raises GitError where it is missing, damaged or something else."""
        return parse_commit(commit_id, self._read(commit_id, ObjectType.COMMIT))

    def commit_bytes(self, commit_id: str) -> bytes:
        """Return a commit as it is stored. Raises GitError as `commit` does."""
        return self._read(commit_id, ObjectType.COMMIT)

    @contextmanager
    def many_commits(self) -> Iterator[Callable[[str], bytes]]:
        """Give a reader that is `commit_bytes`, for a projection of very many: twice as fast where they are packed.

        It looks into packs first, and takes objects as they are stored: libgit2 looks for a file of each, and hashes
        each again.
        """
        packed = pygit2.Odb()
        packed.add_backend(pygit2.OdbBackendPack(str(self.common_dir / "objects")), 1)

        def read(commit_id: str) -> bytes:
            try:
                kind, data = packed.read(commit_id)
            except FAILURES:
                return self.commit_bytes(commit_id)
            return data if kind == ObjectType.COMMIT else self.commit_bytes(commit_id)

        pygit2.option(Option.ENABLE_STRICT_HASH_VERIFICATION, False)
        try:
            yield read
        finally:
            pygit2.option(Option.ENABLE_STRICT_HASH_VERIFICATION, True)

    def parents(self, commit_id: str) -> tuple[str, ...]:
        """Return the parents of a commit, first parent first; cheaper than parsing all of it."""
        return parse_parents(self._read(commit_id, ObjectType.COMMIT))

    def tree(self, tree_id: str) -> list[TreeEntry]:
        """Return the entries of a tree, in Git's order. Raises GitError where it is missing or damaged."""
        return parse_tree(self._read(tree_id, ObjectType.TREE))

    def blob(self, blob_id: str) -> bytes:
        """Return the bytes of a blob. Raises GitError where it is missing."""
        if self.promised is not None and not self.has(blob_id):
            self.promised([blob_id])
        return self._read(blob_id, ObjectType.BLOB)

    def size(self, object_id: str) -> int:
        """Return the bytes of an object without reading it. Raises GitError where it is missing."""
        try:
            return int(self.raw.odb.read_header(object_id)[1])
        except FAILURES as error:
            raise _damaged(object_id) from error

    def entry(self, tree_id: str, path: str) -> TreeEntry | None:
        """Return what lies at `path` below the tree; None where there is nothing."""
        try:
            found = self._tree(tree_id)[path]
        except KeyError:
            return None
        except (*FAILURES, TypeError) as error:
            raise _damaged(tree_id) from error
        return TreeEntry(str(found.name), int(found.filemode), str(found.id))

    def file(self, tree_id: str, path: str) -> bytes | None:
        """Return the bytes of the file at `path` below the tree; None where there is none. Links are no files."""
        entry = self.entry(tree_id, path)
        return self.blob(entry.id) if entry and entry.mode in {FILE, EXECUTABLE} else None

    def changed(self, before: str | None, after: str | None, prefix: str = "") -> Iterator[tuple[str, str | None]]:
        """Yield (path, new blob id or None) for all files that differ between two trees."""
        trees = [self._tree_bytes(tree) if tree else b"" for tree in (before, after)]
        old, new = ({entry.name: entry for entry in parse_tree(part)} for part in differing(*trees))
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            if was == now:
                continue
            folders = [item.id if item and item.mode == FOLDER else None for item in (was, now)]
            if any(folders):
                yield from self.changed(folders[0], folders[1], f"{prefix}{name}/")
            if (was and was.mode != FOLDER) or (now and now.mode != FOLDER):
                yield prefix + name, now.id if now and now.mode != FOLDER else None

    def _tree_bytes(self, tree_id: str) -> bytes:
        """Read a tree; whoever goes along a history asks for each twice, as the newer one and then as the older."""
        if tree_id not in self._trees:
            if len(self._trees) >= _KEPT:
                self._trees.clear()
            self._trees[tree_id] = self._read(tree_id, ObjectType.TREE)
        return self._trees[tree_id]

    def write_blob(self, data: bytes) -> str:
        """Store bytes and return their blob id. Raises GitError where the repository refuses."""
        try:
            return str(self.raw.create_blob(data))
        except FAILURES as error:
            raise _refused(error) from error

    def write_tree(self, base: str | None, changes: Mapping[str, str], folders: Mapping[str, str] | None = None) -> str:
        """Store `base` with the blobs of `changes` (path to blob id) put in, and return its id.

        `folders` (name to tree id) are linked as they are. Only the trees on the way are written. Raises GitError
        where the repository refuses.
        """
        here: dict[str, str] = {}
        below: dict[str, dict[str, str]] = {}
        for path, blob in changes.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = blob
            else:
                here[name] = blob
        trees = {name: self.write_tree(self._folder(base, name), inner) for name, inner in below.items()}
        trees.update(folders or {})
        try:
            builder = self.raw.TreeBuilder(self._tree(base)) if base else self.raw.TreeBuilder()
            for name, blob in here.items():
                builder.insert(name, pygit2.Oid(hex=blob), FILE)
            for name, tree in trees.items():
                builder.insert(name, pygit2.Oid(hex=tree), FOLDER)
            return str(builder.write())
        except FAILURES as error:
            raise _refused(error) from error

    def write_commit(self, tree: str, parents: tuple[str, ...], message: str, author: Person) -> str:
        """Store a commit by `author` and return its id; moves no ref. Raises GitError where the repository refuses."""
        try:
            who = signature(author)
            ids: list[str | pygit2.Oid] = list(parents)
            return str(self.raw.create_commit(None, who, who, message, tree, ids))
        except FAILURES as error:
            raise _refused(error) from error

    def _tree(self, tree_id: str) -> pygit2.Tree:
        """Return libgit2's form of a tree: it finds one name among thousands without parsing them all."""
        try:
            found = self.raw[tree_id]
        except FAILURES as error:
            raise _damaged(tree_id) from error
        if not isinstance(found, pygit2.Tree):
            raise GitError(f"object {tree_id} is not a tree", help=("git fsck --full",))
        return found

    def _folder(self, base: str | None, name: str) -> str | None:
        entry = self.entry(base, name) if base else None
        return entry.id if entry and entry.mode == FOLDER else None

    def _read(self, object_id: str, kind: ObjectType) -> bytes:
        try:
            found, data = self._odb.read(object_id)
        except FAILURES as error:
            raise _damaged(object_id) from error
        if found != kind:
            raise GitError(f"object {object_id} is not a {kind.name.lower()}", help=("git fsck --full",))
        return data


def open_repository(path: Path, *, durable: bool = True) -> Repository:
    """Open the repository that holds `path`. `durable`: the process syncs all that it writes to disk, from now on.

    Raises GitError, with one command that helps, where there is none or it is of a kind that custody cannot use.
    """
    try:
        found = pygit2.discover_repository(str(path))
        if found is None:
            raise GitError(f"{path} is not in a Git repository", help=("git init",))
        raw = pygit2.Repository(found)
    except FAILURES as error:
        raise _unusable(path, str(error)) from error
    pygit2.option(Option.ENABLE_FSYNC_GITDIR, durable)
    # libgit2 would keep each of the ten thousands of commits that a walk reads
    pygit2.option(Option.SET_CACHE_OBJECT_LIMIT, ObjectType.COMMIT, 0)
    return Repository(raw)


def parse_commit(commit_id: str, data: bytes) -> RawCommit:
    """Parse the raw bytes of a commit. Raises GitError where they are damaged."""
    head, _, message = data.partition(b"\n\n")
    tree, parents = "", []
    people: dict[bytes, bytes] = {}
    try:
        for line in head.split(b"\n"):
            key, _, value = line.partition(b" ")
            if key == b"parent":
                parents.append(value.decode("ascii"))
            elif key == b"tree":
                tree = value.decode("ascii")
            elif key in _PEOPLE:
                people[key] = value
        author, committer = people[b"author"], people[b"committer"]
        who = _person(author)
        by = who if committer == author else _person(committer)
        return RawCommit(commit_id, tree, tuple(parents), who, by, message)
    except (KeyError, ValueError, OverflowError) as error:
        raise GitError(f"commit {commit_id} is damaged", help=("git fsck --full",)) from error


def parse_parents(data: bytes) -> tuple[str, ...]:
    """Return the parents of a commit from its raw bytes, first parent first."""
    parents, at = [], _TREE_LINE
    while data.startswith(b"parent ", at):
        parents.append(data[at + 7 : at + 47].decode("ascii", "replace"))
        at += 48
    return tuple(parents)


def parse_tree(data: bytes) -> list[TreeEntry]:
    """Parse the raw bytes of a tree. Raises GitError where they are damaged."""
    parts = _PARTS.findall(data)
    if sum(len(mode) + len(name) + _FIXED for mode, name, _ in parts) != len(data):
        raise GitError("a tree of the repository is damaged", help=("git fsck --full",))
    return [TreeEntry(name.decode("utf-8", "surrogateescape"), int(mode, 8), raw.hex()) for mode, name, raw in parts]


def signature(person: Person) -> pygit2.Signature:
    """Return libgit2's form of a person, without the characters that Git cannot hold."""
    offset = person.at.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    return pygit2.Signature(clean(person.name), clean(person.email), int(person.at.timestamp()), minutes, "utf-8")


def clean(text: str) -> str:
    """Return a name or address without what Git's format cannot hold; never empty."""
    kept = "".join(char for char in text if char not in "<>" and char.isprintable())
    return kept.encode("utf-8", "replace").decode().strip(" .,:;\"'\\") or "unknown"


def _person(value: bytes) -> Person:
    match = _PERSON.fullmatch(value)
    if match is None:
        raise ValueError("not a person and a time")
    name, email, when = match.groups()
    return Person(name.decode("utf-8", "replace"), email.decode("utf-8", "replace"), parse_time(when.decode("ascii")))


def parse_time(text: str) -> datetime:
    """Return the time that Git writes as `1767929940 +0100`. Raises ValueError or OverflowError where it is none."""
    seconds, _, zone = text.partition(" ")
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (-1 if zone[0] == "-" else 1)
    return datetime.fromtimestamp(int(seconds), tz=timezone(offset) if offset else UTC)


def _common_dir(git_dir: Path) -> Path:
    """Return the folder that all linked working trees share."""
    try:
        pointer = (git_dir / "commondir").read_text().strip()
    except OSError:
        return git_dir
    return (git_dir / pointer).resolve()


def _damaged(object_id: str) -> GitError:
    return GitError(f"object {object_id} is missing from the repository or damaged", help=("git fsck --full",))


def _refused(error: Exception) -> GitError:
    return GitError(f"the repository refuses to be written: {error}", help=("df -h .", "ls -ld .git .git/objects"))


def _unusable(path: Path, text: str) -> GitError:
    """Say what is wrong with a repository that libgit2 does not open."""
    if "not owned by" in text:
        return GitError(
            f"Git does not trust the repository at {path}: it belongs to another user",
            help=(f"git config --global --add safe.directory {path}",),
        )
    if "sha256" in text or "object format" in text:
        return GitError(
            f"the repository at {path} uses SHA-256 objects, which custody cannot read yet",
            help=("git init --object-format=sha1",),
        )
    if "refstorage" in text:
        return GitError(
            f"the repository at {path} keeps its refs in reftables, which custody cannot read yet",
            help=("git refs migrate --ref-format=files",),
        )
    return GitError(f"the Git repository at {path} cannot be opened: {text}", help=("git fsck --full",))
