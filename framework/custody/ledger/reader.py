"""Reads the ledger's trees and commits: State at a head, single runs, and records as they were appended.

Own records that have not landed on the remote are the `tail`: State is then the fold of the tree at the head and these.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from custody.core.fold import decode_model, decode_run, stages_path
from custody.core.jsonfile import json_object
from custody.core.landing import fold_over
from custody.core.ownership import owns
from custody.domain.record import Entry, Kind, ModelState, Record, Run, State
from custody.domain.revision import Read
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
        self._datasets: dict[str, tuple[str, Mapping[str, TreeEntry]]] = {}
        self._folded: tuple[str, dict[str, bytes]] = "", {}

    def state(self, head: str | None, tail: tuple[str, ...] = ()) -> State:
        """Return the state at `head` and the tail. Raises LedgerError where a file of it cannot be read."""
        if head is None:
            return State()
        root = {entry.name: entry for entry in self._repository.tree(self._repository.commit(head).tree)}
        models = {entry.name: entry for entry in self._folders(root.get("models"))}
        datasets = {entry.name: entry for entry in self._folders(root.get("datasets"))}
        if not tail:
            return State(head, Models(models, self._model), Versions(datasets, self._versions, self._version))
        over = self.folded(head, tail)
        names = {path.split("/")[1] for path in over if path.startswith("models/")}
        own = {name: self.model(head, name, tail) for name in sorted(names)}
        added = {path: data for path, data in over.items() if path.startswith("datasets/")}
        found = {_label(path): decoded(path, data, json_object) for path, data in added.items()}
        versions = Versions(datasets, self._versions, self._version, found)
        return State(tail[-1], Models(models, self._model, own), versions)

    def model(self, head: str | None, name: str, tail: tuple[str, ...] = ()) -> ModelState:
        """Return the state of one model at `head` and the tail; an empty one where it has no record."""
        if head is None:
            return ModelState(name)
        if tail and (stages := self.folded(head, tail).get(stages_path(name))) is not None:
            path = f"models/{name}/run.json"
            run = self.folded(head, tail).get(path, self.read(head)(path))
            return decoded(f"models/{name}", run or b"", lambda _: decode_model(name, stages, run))
        entry = self._repository.entry(self._repository.commit(head).tree, f"models/{name}")
        return self._model(entry) if entry and entry.mode == FOLDER else ModelState(name)

    def read(self, commit: str | None) -> Read:
        """Return a function that reads files of the ledger as they were at a commit."""
        if commit is None:
            return lambda _: None
        tree = self._repository.commit(commit).tree
        return lambda path: self._repository.file(tree, path)

    def folded(self, head: str, tail: tuple[str, ...]) -> dict[str, bytes]:
        """Return the files that the records of the tail add or replace in the tree of `head`.

        Raises LedgerError where one of them cannot be read.
        """
        name = "+".join([head, *tail[-1:]])
        if self._folded[0] != name:
            try:
                self._folded = name, fold_over(self.read(head), self.records(tail))
            except ValueError as error:
                raise LedgerError(f"the ledger's files cannot be read: {error}") from error
        return self._folded[1]

    def records(self, commits: Iterable[str]) -> list[Record]:
        """Return the records of these commits as they were appended; commits that hold none are left out.

        Raises LedgerError for a record of a kind that this custody does not know: it cannot be folded.
        """
        found = []
        for commit in commits:
            record = self.record(commit)
            if record is None and self.entry(commit) is not None:
                raise LedgerError(
                    f"record {commit[:12]} is of a kind that this custody does not know",
                    help=("pip install --upgrade git-custody", f"git show {commit[:12]}"),
                )
            found += [record] if record else []
        return found

    def run(self, commit: str, model: str) -> Run | None:
        """Return the run of `model` in the tree of a commit. Raises LedgerError where it cannot be read."""
        data = self.read(commit)(f"models/{model}/run.json")
        return None if data is None else decoded(f"models/{model}/run.json", data, decode_run)

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
        rest = entry.body, files, effect, notes, entry.trailer("Source")
        return Record(bare.id, bare.kind, bare.subject, bare.trailers, bare.model, *rest)

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
        return decoded(f"models/{folder.name}", run or b"", lambda _: decode_model(folder.name, stages, run))

    def _versions(self, folder: TreeEntry) -> Mapping[str, TreeEntry]:
        """Return the files of a dataset's versions by label."""
        with self._lock:
            known = self._datasets.get(folder.name)
            if known is None or known[0] != folder.id:
                entries = self._repository.tree(folder.id)
                files = {
                    entry.name.removesuffix(".json"): entry
                    for entry in entries
                    if entry.mode == FILE and entry.name.endswith(".json")
                }
                known = self._datasets[folder.name] = folder.id, files
            return known[1]

    def _version(self, label: str, file: TreeEntry) -> Mapping[str, Any]:
        with self._lock:
            data = self._repository.blob(file.id)
        return decoded(f"datasets/{label.replace('@', '/', 1)}.json", data, json_object)


class Models(Mapping[str, ModelState]):
    """The models of a state, read when they are asked for. Raises LedgerError for one that cannot be read."""

    __slots__ = ("_folders", "_names", "_own", "_read")

    def __init__(
        self,
        folders: Mapping[str, TreeEntry],
        read: Callable[[TreeEntry], ModelState],
        own: Mapping[str, ModelState] | None = None,
    ) -> None:
        """`own` are models as they are after records that have not landed; they win."""
        self._folders = folders
        self._read = read
        self._own = own or {}
        self._names = sorted({*folders, *self._own}) if own else folders

    def __getitem__(self, name: str) -> ModelState:
        return self._own[name] if name in self._own else self._read(self._folders[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._folders or name in self._own

    def __repr__(self) -> str:
        return repr(dict(self))

    def without(self, names: Collection[str]) -> Models:
        """Return the models that are not among `names`."""
        folders = {name: folder for name, folder in self._folders.items() if name not in names}
        return Models(folders, self._read, {name: item for name, item in self._own.items() if name not in names})

    @property
    def trees(self) -> dict[str, str]:
        """The trees by model; those that own records change are left out."""
        return {name: folder.id for name, folder in self._folders.items() if name not in self._own}


class Versions(Mapping[str, Mapping[str, Any]]):
    """The dataset versions of a state by `name@label`, read when they are asked for.

    Raises LedgerError for one that cannot be read.
    """

    __slots__ = ("_files", "_folders", "_own", "_read")

    def __init__(
        self,
        folders: Mapping[str, TreeEntry],
        files: Callable[[TreeEntry], Mapping[str, TreeEntry]],
        read: Callable[[str, TreeEntry], Mapping[str, Any]],
        own: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`own` are versions of records that have not landed; they win."""
        self._folders = folders
        self._files = files
        self._read = read
        self._own = own or {}

    @property
    def trees(self) -> dict[str, str]:
        """The trees by dataset; those that own records add to are left out."""
        own = {label.partition("@")[0] for label in self._own}
        return {name: folder.id for name, folder in self._folders.items() if name not in own}

    def __getitem__(self, label: str) -> Mapping[str, Any]:
        if label in self._own:
            return self._own[label]
        name, _, version = label.partition("@")
        return self._read(label, self._files(self._folders[name])[version])

    def __contains__(self, label: object) -> bool:
        if label in self._own:
            return True
        name, _, version = str(label).partition("@")
        return name in self._folders and version in self._files(self._folders[name])

    def __iter__(self) -> Iterator[str]:
        for name, folder in self._folders.items():
            yield from (f"{name}@{version}" for version in self._files(folder))
        yield from (label for label in self._own if not self._landed(label))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def _landed(self, label: str) -> bool:
        name, _, version = label.partition("@")
        return name in self._folders and version in self._files(self._folders[name])


def _label(path: str) -> str:
    """Return `name@version` for the path of a dataset version."""
    _, name, version = path.split("/")
    return f"{name}@{version.removesuffix('.json')}"


def decoded(path: str, data: bytes, decode_: Callable[[bytes], T]) -> T:
    """Return what `decode_` makes of a file of the ledger. Raises LedgerError where it cannot."""
    try:
        if len(data) > _LARGEST:
            raise ValueError(f"it has {len(data)} bytes")  # noqa: TRY301
        return decode_(data)
    except ValueError as error:
        raise LedgerError(
            f"{path} on the ledger cannot be read: {error}",
            help=(f"git log -3 --full-history mlops/ledger -- {path}", "pip install --upgrade git-custody"),
        ) from error
