"""What a share adds to `mlops/store`: the small objects that own records name, as far as their data allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from custody.core.sharing import Landed, named_by
from custody.domain.ports import Collection, Store
from custody.domain.record import Record
from custody.errors import StoreError
from custody.git.contents import (
    BRANCH,
    OBJECT_LIMIT,
    SHARE_LIMIT,
    blob_id,
    find_blob,
    join_contents,
    landed_ref,
    list_contents,
    narrowed_contents,
    refspec,
    sizes,
)
from custody.git.objects import Person, Repository
from custody.git.refs import is_ancestor, move_ref, read_ref


class Contents:
    """Makes candidates of the branch. Not safe for use by several threads at once: callers hold a lock.

    Without a `store` nothing is fetched or added. `landed` tells what has landed of datasets.
    """

    def __init__(self, repository: Repository, remote: str | None) -> None:
        self._repository = repository
        self._remote = str(remote)
        self.store: Store | None = None
        self.landed: Callable[[], Landed] = Landed
        self._said: dict[str, None] = {}
        self._blobs: dict[str, str] = {}
        self.refused = False
        """Whether the host does not take the branch."""

    @property
    def refspecs(self) -> list[str]:
        """What is fetched besides the ledger."""
        return [refspec(self._remote)] if self.store else []

    @property
    def said(self) -> tuple[str, ...]:
        """What was left out since the ledger was opened, and why."""
        return tuple(self._said)

    def candidate(self, records: Iterable[Record], author: Callable[[], Person]) -> str | None:
        """Return a commit on what has landed with the objects that `records` name; None where it has them all."""
        if self.store is None or self.refused:
            return None
        landed = read_ref(self._repository, landed_ref(self._remote))
        joined = join_contents(self._repository, landed, dict(self._objects(landed, records)), author())
        return None if joined == landed else joined

    def collected(
        self, collection: Collection, joined: str | None, author: Callable[[], Person]
    ) -> tuple[Record, str] | None:
        """Return the record of a gc and the commit without what it drops, on `joined` or on what has landed.

        None where it drops nothing.
        """
        base = joined or read_ref(self._repository, landed_ref(self._remote))
        if base is None:
            return None
        there, keep = list_contents(self._repository, base), collection.keep()
        kept = {digest: blob for digest, blob in there.items() if digest in keep}
        dropped = {digest: blob for digest, blob in there.items() if digest not in keep}
        record = collection.record(sizes(self._repository, kept), sizes(self._repository, dropped))
        if record is None:
            return None
        return record, narrowed_contents(self._repository, base, kept, author())

    def settle(self, commit: str) -> None:
        """Remember what has landed. Git itself moves the ref where the remote's refspec covers it."""
        ref = landed_ref(self._remote)
        present = read_ref(self._repository, ref)
        if present is None or (present != commit and not is_ancestor(self._repository, commit, present)):
            move_ref(self._repository, ref, present, commit, "custody: landed")

    def _objects(self, landed: str | None, records: Iterable[Record]) -> Iterator[tuple[str, bytes]]:
        """Yield the objects to add, the smallest first, until the share is full."""
        if self.store is None:
            return
        room = SHARE_LIMIT
        for size, digest, subject in sorted(self._wanted(landed, records)):
            if size > OBJECT_LIMIT:
                self._say(f"an object of {subject} ({size:,} bytes are more than {OBJECT_LIMIT:,})")
            elif size > room:
                self._say(f"more of {subject} (one share adds at most {SHARE_LIMIT:,} bytes)")
            else:
                with suppress(StoreError):
                    yield digest, self.store.get(digest)
                    room -= size

    def _wanted(self, landed: str | None, records: Iterable[Record]) -> Iterator[tuple[int, str, str]]:
        """Yield (bytes, digest, whose) for the objects that may travel, are here, and are not on the branch."""
        named = named_by(records, self.landed())
        kept = {digest for item in named if not item.travels for digest in item.digests}
        for item in named:
            if not item.travels and item.digests:
                self._say(item.refusal)
        wanted = {digest: item.subject for item in named if item.travels for digest in item.digests}
        for digest, subject in wanted.items():
            if digest in kept or self.store is None:
                continue
            with suppress(StoreError, OSError):
                size = self.store.path(digest).stat().st_size
                if size > OBJECT_LIMIT or not self._there(self.store, landed, digest):
                    yield size, digest, subject

    def _there(self, store: Store, landed: str | None, digest: str) -> bool:
        """Whether the object is on the branch, whole: an entry that is damaged is put right. Raises StoreError."""
        found = find_blob(self._repository, landed, digest)
        if found and digest not in self._blobs:
            self._blobs[digest] = blob_id(store.get(digest))
        return found is not None and found == self._blobs[digest]

    def _say(self, text: str) -> None:
        self._said[f"not in {BRANCH}: {text}"] = None
