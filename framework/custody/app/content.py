"""The content store of a clone with what travels in Git behind it: what is missing here is brought when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from custody.content.store import FileStore
from custody.core.sharing import objects_of
from custody.domain.graph import StepRecord
from custody.domain.record import Run
from custody.errors import CustodyError
from custody.git.contents import ContentBranch
from custody.git.objects import open_repository

Step = Callable[[str], tuple[str, StepRecord] | None]


class SharedStore:
    """Satisfies the port `Store`; may be used by several threads. `files` is the store that step processes read.

    An object comes from `mlops/store` only once its SHA-256 was verified; it is in `files` from then on.
    """

    def __init__(self, files: FileStore, where: Path, remote: str | None) -> None:
        self.files = files
        self._where = where
        self._remote = remote
        self._lock = threading.Lock()
        self._groups: dict[str, set[str]] = {}

    def ready(self) -> None:
        """Raise StoreError where nothing could be stored now."""
        self.files.ready()

    def put(self, data: bytes) -> str:
        """Store `data`, as `FileStore` does."""
        return self.files.put(data)

    def put_file(self, path: Path) -> str:
        """Store a copy of the file, as `FileStore` does."""
        return self.files.put_file(path)

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified; raises StoreError where they are missing or damaged."""
        self.has(digest)
        return self.files.get(digest)

    def path(self, digest: str) -> Path:
        """Return the path of the stored file; raises StoreError where it is missing."""
        self.has(digest)
        return self.files.path(digest)

    def has(self, digest: str) -> bool:
        """Whether the object is here, or could be brought here and is whole. Never raises."""
        if not self.files.has(digest):
            self.bring([digest, *self._groups.get(digest, ())])
        return self.files.has(digest)

    def bring(self, digests: Iterable[str]) -> None:
        """Bring those objects that are missing here and on `mlops/store`, in one batch. Never raises."""
        missing = [digest for digest in dict.fromkeys(digests) if not self.files.has(digest)]
        if not missing or self._remote is None:
            return
        with self._lock:
            try:
                for _, data in self._branch.read(missing):
                    self.files.put(data)
            except CustodyError:
                # a miss is no failure: the caller makes the object anew, or says that it is missing
                return

    def bring_run(self, run: Run) -> None:
        """Bring all objects that a run names."""
        self.bring(objects_of(run))

    def watch(self, step: Step) -> Step:
        """Return `step` as it is, noting which objects belong to one run: one that is asked for brings the others."""
        groups: dict[str, set[str]] = {}

        def watched(key: str) -> tuple[str, StepRecord] | None:
            found = step(key)
            if found and found[1].output:
                output, group = found[1].output, groups.setdefault(found[0], set())
                named = (output.ref.object, *(ref.object for ref in output.extra.values()))
                group.update(named)
                self._groups.update(dict.fromkeys(named, group))
            return found

        return watched

    @cached_property
    def _branch(self) -> ContentBranch:
        # a handle of its own: the ledger's is used under another lock
        return ContentBranch(open_repository(self._where), str(self._remote))
