"""Reads the ledger's trees and commits: State at a head, single runs, and records as they were appended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from custody.core.fold import decode_model, decode_run, json_object, owns
from custody.domain.ports import Read
from custody.domain.record import Entry, Kind, ModelState, Record, Run, State
from custody.errors import LedgerError
from custody.git.objects import FILE, FOLDER, Repository, TreeEntry
from custody.ledger.codec import decode, effect_of, notes_of

T = TypeVar("T")
_LARGEST = 16 * 2**20
"""Bytes of a file of the ledger beyond which it is refused unread by JSON."""


class Reader:
    """Keeps what it has decoded with the tree's id: a model whose folder is the same is not read again."""

    def __init__(self, repository: Repository, lock: threading.RLock) -> None:
        """`lock` is what callers hold; models are read later, under it."""
        self._repository = repository
        self._lock = lock
        self._models: dict[str, tuple[str, ModelState]] = {}
        self._datasets: dict[str, tuple[str, dict[str, Mapping[str, Any]]]] = {}

    def state(self, head: str | None) -> State:
        """Return the state at `head`. Raises LedgerError where a file of it cannot be read."""
        if head is None:
            return State()
        root = {entry.name: entry for entry in self._repository.tree(self._repository.commit(head).tree)}
        models = {entry.name: entry for entry in self._folders(root.get("models"))}
        datasets: dict[str, Mapping[str, Any]] = {}
        for entry in self._folders(root.get("datasets")):
            datasets.update(self._dataset(entry))
        return State(head, Models(models, self._model), datasets)

    def model(self, head: str | None, name: str) -> ModelState:
        """Return the state of one model at `head`; an empty one where it has no record."""
        if head is None:
            return ModelState(name)
        entry = self._repository.entry(self._repository.commit(head).tree, f"models/{name}")
        return self._model(entry) if entry and entry.mode == FOLDER else ModelState(name)

    def read(self, commit: str | None) -> Read:
        """Return a function that reads files of the ledger as they were at a commit."""
        if commit is None:
            return lambda _: None
        tree = self._repository.commit(commit).tree
        return lambda path: self._repository.file(tree, path)

    def run(self, commit: str, model: str) -> Run | None:
        """Return the run of `model` in the tree of a commit. Raises LedgerError where it cannot be read."""
        data = self.read(commit)(f"models/{model}/run.json")
        return None if data is None else _decoded(f"models/{model}/run.json", data, decode_run)

    def entry(self, commit: str) -> Entry | None:
        """Return the record of a commit; None where it holds none."""
        return decode(self._repository.commit(commit))

    def record(self, commit: str) -> Record | None:
        """Return the record of a commit as it was appended, from its trailers and the files that it changed.

        None for a commit without one, or with one of a kind that this custody does not know.
        """
        raw = self._repository.commit(commit)
        entry = decode(raw)
        if entry is None or entry.kind not in list(Kind):
            return None
        effect, notes = effect_of(entry), tuple(notes_of(entry))
        bare = Record(entry.id, Kind(entry.kind), entry.subject, entry.trailers, entry.trailer("Model"))
        parent = self._repository.commit(raw.parents[0]).tree if raw.parents else None
        changed = self._repository.changed(parent, raw.tree)
        files = {path: self._repository.blob(blob) for path, blob in changed if blob and owns(bare, path)}
        return Record(bare.id, bare.kind, bare.subject, bare.trailers, bare.model, entry.body, files, effect, notes)

    def _folders(self, entry: TreeEntry | None) -> Iterator[TreeEntry]:
        if entry is not None and entry.mode == FOLDER:
            yield from (item for item in self._repository.tree(entry.id) if item.mode == FOLDER)

    def _model(self, folder: TreeEntry) -> ModelState:
        with self._lock:
            known = self._models.get(folder.name)
            if known is None or known[0] != folder.id:
                known = self._models[folder.name] = folder.id, self._read_model(folder)
            return known[1]

    def _read_model(self, folder: TreeEntry) -> ModelState:
        files = {entry.name: entry.id for entry in self._repository.tree(folder.id) if entry.mode == FILE}
        stages, run = (
            self._repository.blob(files[name]) if name in files else None for name in ("stages.json", "run.json")
        )
        return _decoded(f"models/{folder.name}", run or b"", lambda _: decode_model(folder.name, stages, run))

    def _dataset(self, folder: TreeEntry) -> dict[str, Mapping[str, Any]]:
        known = self._datasets.get(folder.name)
        if known is None or known[0] != folder.id:
            known = self._datasets[folder.name] = folder.id, self._read_dataset(folder)
        return known[1]

    def _read_dataset(self, folder: TreeEntry) -> dict[str, Mapping[str, Any]]:
        return {
            f"{folder.name}@{entry.name.removesuffix('.json')}": _decoded(
                f"datasets/{folder.name}/{entry.name}", self._repository.blob(entry.id), json_object
            )
            for entry in self._repository.tree(folder.id)
            if entry.mode == FILE and entry.name.endswith(".json")
        }


class Models(Mapping[str, ModelState]):
    """The models of a state, read when they are asked for. Raises LedgerError for one that cannot be read."""

    __slots__ = ("_folders", "_read")

    def __init__(self, folders: Mapping[str, TreeEntry], read: Callable[[TreeEntry], ModelState]) -> None:
        self._folders = folders
        self._read = read

    def __getitem__(self, name: str) -> ModelState:
        return self._read(self._folders[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def __contains__(self, name: object) -> bool:
        return name in self._folders

    def __repr__(self) -> str:
        return repr(dict(self))


def _decoded(path: str, data: bytes, decode_: Callable[[bytes], T]) -> T:
    try:
        if len(data) > _LARGEST:
            raise ValueError(f"it has {len(data)} bytes")  # noqa: TRY301
        return decode_(data)
    except ValueError as error:
        raise LedgerError(
            f"{path} on the ledger cannot be read: {error}",
            help=(f"git log -3 --full-history mlops/ledger -- {path}", "pip install --upgrade git-custody"),
        ) from error
