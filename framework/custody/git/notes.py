"""Git notes as sets of lines: an own writer with a 2/38 fan-out, which libgit2 lacks; trees of any depth are read.

Notes are a projection of the ledger. The last paragraph of each commit of the notes says up to which commit of the
ledger (`Ledger:`) they hold everything, so that a killed writer's lines are added by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from custody.errors import GitError
from custody.git.objects import FILE, FOLDER, Person, Repository, TreeEntry
from custody.git.refs import move_ref, read_ref

NOTES_REF = "refs/notes/mlops"
_TARGET = re.compile(r"[0-9a-f]{40}")
_UPTO = re.compile(rb"^Ledger: ([0-9a-f]{40})$", re.MULTILINE)
_TRIES = 8
_DEEPEST = 60
"""Characters of a path below which no note lies: a fan-out of one folder for each byte."""


def projected_upto(repository: Repository) -> str | None:
    """Return the last commit of the ledger whose lines are all in the notes; None where nobody knows."""
    return upto_of(repository, read_ref(repository, NOTES_REF))


def upto_of(repository: Repository, notes: str | None) -> str | None:
    """Return the same for a commit of notes."""
    here = notes
    while here:
        commit = repository.commit(here)
        if found := _UPTO.search(commit.message):
            return found[1].decode()
        here = commit.parents[0] if commit.parents and repository.has(commit.parents[0]) else None
    return None


def all_notes(repository: Repository) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield (target, its lines) for every note. Raises GitError where one cannot be read."""
    head = read_ref(repository, NOTES_REF)
    for target, _, blob in _leaves(repository, repository.commit(head).tree if head else None):
        yield target, frozenset(_lines(repository.blob(blob)))


def rewrite_notes(repository: Repository, lines: Mapping[str, Sequence[str]], upto: str, author: Person) -> str | None:
    """Put one commit on the notes whose tree holds these lines and nothing else; None where that is so already.

    Raises GitError where the repository refuses, or where other writers win every time.
    """
    wanted = {target: list(dict.fromkeys(found)) for target, found in lines.items()}
    for _ in range(_TRIES):
        head = read_ref(repository, NOTES_REF)
        base, notes = _whole(repository, head)
        kept = {target: (path, blob) for target, path, blob in notes if target in wanted}
        blobs = {}
        for target, found in wanted.items():
            path, blob = kept.get(target, (f"{target[:2]}/{target[2:]}", None))
            same = blob is not None and set(_lines(repository.blob(blob))) == set(found)
            data = "".join(f"{line}\n" for line in found).encode("utf-8", "surrogateescape")
            blobs[path] = str(blob) if same else repository.write_blob(data)
        tree = repository.write_tree(None, blobs)
        if tree == base:
            return None
        message = f"notes: made again from the ledger\n\nLedger: {upto}\n"
        commit = repository.write_commit(tree, (head,) if head and base else (), message, author)
        if move_ref(repository, NOTES_REF, head, commit, "custody: notes"):
            return commit
    raise GitError(f"{NOTES_REF} is moved by others all the time", help=("git log -3 refs/notes/mlops",))


def _whole(repository: Repository, head: str | None) -> tuple[str | None, list[tuple[str, str, str]]]:
    """Return the tree of the notes at `head` and what it holds; nothing where they cannot be read."""
    try:
        tree = repository.commit(head).tree if head else None
        return tree, list(_leaves(repository, tree))
    except GitError:
        return None, []


def _leaves(repository: Repository, tree: str | None, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (target, path, blob id) for the notes of a tree of any depth; what is no note is left out."""
    for entry in repository.tree(tree) if tree else ():
        path = f"{prefix}{entry.name}"
        if entry.mode == FOLDER and len(prefix) < _DEEPEST:
            yield from _leaves(repository, entry.id, f"{path}/")
        elif entry.mode == FILE and _TARGET.fullmatch(path.replace("/", "")):
            yield path.replace("/", ""), path, entry.id


def _lines(data: bytes) -> Iterator[str]:
    return (line.decode("utf-8", "surrogateescape") for line in data.split(b"\n") if line)


def write_notes(repository: Repository, lines: Mapping[str, Sequence[str]], upto: str, author: Person) -> str | None:
    """Add the lines to the notes of their targets (full commit ids) in one commit, and return its id.

    A line that is there already is not added again. None where nothing had to be written. Raises GitError where the
    repository refuses, or where other writers win every time.
    """
    for _ in range(_TRIES):
        head = read_ref(repository, NOTES_REF)
        base = repository.commit(head).tree if head else None
        changes = _changes(repository, base, lines)
        if not changes:
            return None
        tree = repository.write_tree(base, changes)
        count = sum(len(items) for items in lines.values())
        message = f"notes: {count} {'line' if count == 1 else 'lines'}\n\nLedger: {upto}\n"
        commit = repository.write_commit(tree, (head,) if head else (), message, author)
        if move_ref(repository, NOTES_REF, head, commit, "custody: notes"):
            return commit
    raise GitError(f"{NOTES_REF} is moved by others all the time", help=("git log -3 refs/notes/mlops",))


def join_notes(
    repository: Repository,
    base: str | None,
    other: str | None,
    lines: Mapping[str, Sequence[str]],
    upto: str,
    author: Person,
) -> str | None:
    """Return a commit of notes on `base` that holds its lines, those of the notes `other`, and `lines`, as a set.

    It is `base` itself where nothing is new. Moves no ref. Raises GitError where the repository refuses.
    """
    if base is None and other is None and not lines:
        return None
    before = repository.commit(base).tree if base else None
    theirs = _lines_of_difference(repository, before, other)
    wanted = {target: [*theirs.get(target, ()), *lines.get(target, ())] for target in {**theirs, **lines}}
    changes = _changes(repository, before, wanted)
    if not changes:
        return base
    tree = repository.write_tree(before, changes)
    message = f"notes: {len(changes)} {'commit' if len(changes) == 1 else 'commits'}\n\nLedger: {upto}\n"
    return repository.write_commit(tree, (base,) if base else (), message, author)


def _lines_of_difference(repository: Repository, before: str | None, other: str | None) -> dict[str, list[str]]:
    """Return the lines of all notes of `other` that differ from those in the tree `before`."""
    found = {}
    for path, blob in repository.changed(before, repository.commit(other).tree) if other else ():
        target = path.replace("/", "")
        if blob and _TARGET.fullmatch(target):
            found[target] = repository.blob(blob).decode("utf-8", "surrogateescape").splitlines()
    return found


def _changes(repository: Repository, base: str | None, lines: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return path to new blob id for every note that gains a line."""
    notes = _NoteTree(repository, base)
    changes: dict[str, str] = {}
    for target, added in lines.items():
        found = notes.find(target)
        present = repository.blob(found[1]) if found else b""
        known = set(present.split(b"\n"))
        new = [
            data
            for data in dict.fromkeys(line.encode("utf-8", "surrogateescape") for line in added)
            if data not in known
        ]
        if not new:
            continue
        before = present if not present or present.endswith(b"\n") else present + b"\n"
        path = found[0] if found else f"{target[:2]}/{target[2:]}"
        changes[path] = repository.write_blob(before + b"".join(data + b"\n" for data in new))
    return changes


class _NoteTree:
    """Finds notes in a tree of any depth; parsed trees are kept, since many notes share them."""

    def __init__(self, repository: Repository, root: str | None) -> None:
        self._repository = repository
        self._root = root
        self._parsed: dict[str, dict[str, TreeEntry]] = {}

    def find(self, target: str) -> tuple[str, str] | None:
        """Return (path, blob id) of the note on `target`."""
        tree, prefix, rest = self._root, "", target
        while tree:
            entries = self._entries(tree)
            leaf = entries.get(rest)
            if leaf and leaf.mode == FILE:
                return prefix + rest, leaf.id
            below = entries.get(rest[:2])
            tree = below.id if below and below.mode == FOLDER else None
            prefix, rest = f"{prefix}{rest[:2]}/", rest[2:]
        return None

    def _entries(self, tree: str) -> dict[str, TreeEntry]:
        if tree not in self._parsed:
            self._parsed[tree] = {entry.name: entry for entry in self._repository.tree(tree)}
        return self._parsed[tree]
