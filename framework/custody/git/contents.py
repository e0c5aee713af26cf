"""`mlops/store`: small content by its SHA-256 on a branch of its own. A cache: its commits mean nothing.

The tree is `sha256/<2 digits>/<62 digits>`; whoever adds something puts one commit on what is there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from custody.errors import GitError
from custody.git.objects import EXECUTABLE, FILE, Person, Repository
from custody.git.refs import read_ref
from custody.git.transport import fetch_objects, promises

BRANCH = "mlops/store"
STORE_REF = f"refs/heads/{BRANCH}"
OBJECT_LIMIT = 5_000_000
"""Bytes of the largest object that travels in Git."""
SHARE_LIMIT = 25_000_000
"""Bytes that one share adds at most."""
SIZE_LIMIT = 500_000_000
"""Bytes of the branch from which a gc is asked for: hosts want whole repositories to stay below some GB."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def landed_ref(remote: str) -> str:
    """Return the ref that says what is on the remote's branch, as far as is known here."""
    return f"refs/remotes/{remote}/{BRANCH}"


def refspec(remote: str) -> str:
    """Return what to fetch. A glob with one match is no failure where the branch does not exist yet."""
    return f"+{STORE_REF}*:{landed_ref(remote)}*"


def blob_id(data: bytes) -> str:
    """Return the id that Git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def find_blob(repository: Repository, commit: str | None, digest: str) -> str | None:
    """Return the blob id of an object on the branch at `commit`; None where it is not there."""
    if commit is None or not _DIGEST.fullmatch(digest):
        return None
    found = repository.entry(repository.commit(commit).tree, _path(digest))
    return found.id if found and found.mode in {FILE, EXECUTABLE} else None


def join_contents(repository: Repository, base: str | None, objects: Mapping[str, bytes], author: Person) -> str | None:
    """Return a commit on `base` that holds these objects too, by digest; `base` itself where it has them all.

    An entry whose bytes are others, which only damage explains, is replaced. Moves no ref.
    """
    added = {name: data for name, data in objects.items() if find_blob(repository, base, name) != blob_id(data)}
    if not added:
        return base
    blobs = {_path(digest): repository.write_blob(data) for digest, data in added.items()}
    tree = repository.write_tree(repository.commit(base).tree if base else None, blobs)
    count = f"{len(added)} object{'' if len(added) == 1 else 's'}"
    return repository.write_commit(tree, (base,) if base else (), f"store: {count}\n", author)


def list_contents(repository: Repository, commit: str | None) -> dict[str, str]:
    """Return the blob id of each object on the branch at `commit`, by digest. Raises GitError where it is damaged."""
    tree = repository.commit(commit).tree if commit else None
    found = {
        path.removeprefix("sha256/").replace("/", ""): blob for path, blob in repository.changed(None, tree) if blob
    }
    return {digest: blob for digest, blob in found.items() if _DIGEST.fullmatch(digest)}


def sizes(repository: Repository, blobs: Mapping[str, str]) -> dict[str, int]:
    """Return the bytes of each object; 0 where a partial clone does not have it. Fetches nothing."""
    return {digest: repository.size(blob) if repository.has(blob) else 0 for digest, blob in blobs.items()}


def narrowed_contents(repository: Repository, base: str, blobs: Mapping[str, str], author: Person) -> str:
    """Return a commit on `base` that holds these objects alone; moves no ref. What is dropped stays in its history."""
    tree = repository.write_tree(None, {_path(digest): blob for digest, blob in blobs.items()})
    return repository.write_commit(tree, (base,), f"store: gc, {len(blobs)} objects kept\n", author)


class ContentBranch:
    """Reads what has landed on the remote's branch. Not safe for use by several threads at once."""

    def __init__(self, repository: Repository, remote: str) -> None:
        self._repository = repository
        self._remote = remote

    def read(self, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (digest, bytes) for those objects that are on the branch, whole: others are left out.

        What a partial clone was promised is fetched first, in one batch.
        """
        blobs = dict(self._blobs(digests))
        if promises(self._repository, self._remote):
            fetch_objects(self._repository, self._remote, blobs.values())
        for digest, blob in blobs.items():
            try:
                data = self._repository.blob(blob) if self._repository.has(blob) else b""
            except GitError:
                continue
            if hashlib.sha256(data).hexdigest() == digest:
                yield digest, data

    def _blobs(self, digests: Iterable[str]) -> Iterator[tuple[str, str]]:
        try:
            head = read_ref(self._repository, landed_ref(self._remote))
            for digest in digests:
                if blob := find_blob(self._repository, head, digest):
                    yield digest, blob
        except GitError:
            # a damaged or foreign branch is a cache that has nothing
            return


def _path(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest[2:]}"
