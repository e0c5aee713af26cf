"""Forging a ledger with Git's plumbing: records on top of it, and histories that never were."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from custody.domain.record import Run
from custody.git.objects import RawCommit, Repository, open_repository, signature
from tests.integration.repository import Repository as Project

BRANCH = "refs/heads/mlops/ledger"
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Forged:
    """What to make of one record: edits of its files by path, and of its message."""

    files: Mapping[str, Edit]
    message: Edit


def rewrite(made: Project, subject: str, forged: Forged | None) -> str:
    """Write the whole ledger anew with the record whose subject begins with `subject` changed, or left out.

    Later trees are as they were, but for files that the record wrote and none after it. Returns the new head.
    """
    opened = open_repository(made.root, durable=False)
    new: dict[str, str] = {}
    carried: dict[tuple[str, str], str] = {}
    for line in made.git("rev-list", "--reverse", "--topo-order", BRANCH).splitlines():
        raw = opened.commit(line)
        parents = tuple(new.get(parent, parent) for parent in raw.parents)
        wanted = forged is not None and raw.message.decode().startswith(subject)
        if forged is None and raw.message.decode().startswith(subject):
            new[line] = parents[0]
            continue
        changes = _edited(opened, raw, forged, carried) if wanted and forged else {}
        for (path, before), after in carried.items():
            entry = opened.entry(raw.tree, path)
            changes |= {path: after} if entry and entry.id == before else {}
        message = forged.message(raw.message) if wanted and forged else raw.message
        new[line] = write(opened, raw, parents, opened.write_tree(raw.tree, changes), message)
    head = new[made.head()]
    made.git("update-ref", BRANCH, head)
    opened.close()
    return head


def append(made: Project, message: str, files: Mapping[str, bytes]) -> str:
    """Put a commit on the ledger, whatever its message says."""
    opened = open_repository(made.root, durable=False)
    raw = opened.commit(made.head())
    tree = opened.write_tree(raw.tree, {path: opened.write_blob(data) for path, data in files.items()})
    commit = write(opened, raw, (raw.id,), tree, message.encode())
    made.git("update-ref", BRANCH, commit)
    opened.close()
    return commit


def write(opened: Repository, raw: RawCommit, parents: tuple[str, ...], tree: str, message: bytes) -> str:
    who = signature(raw.author)
    return str(opened.raw.create_commit(None, who, who, message.decode(), tree, list(parents)))


def run_edit(change: Callable[[dict[str, Any]], None]) -> Edit:
    """Return an edit of run.json as JSON."""

    def edit(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        Run.from_dict(value)
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()

    return edit


def replaced(before: str, after: str) -> Edit:
    """Return an edit that replaces a text, which must be there."""

    def edit(data: bytes) -> bytes:
        assert before.encode() in data, (before, data)
        return data.replace(before.encode(), after.encode())

    return edit


def _edited(opened: Repository, raw: RawCommit, forged: Forged, carried: dict[tuple[str, str], str]) -> dict[str, str]:
    changes = {}
    for path, edit in forged.files.items():
        entry = opened.entry(raw.tree, path)
        assert entry is not None, path
        changes[path] = opened.write_blob(edit(opened.blob(entry.id)))
        carried[path, entry.id] = changes[path]
    return changes
