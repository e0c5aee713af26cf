"""Whether the tree of each commit is the fold: the tree before it, the files of its record, and what follows from it.

Along the first-parent line the state of every model and its rows in README.md are carried on, so that neither is read
or rendered anew for each of many thousand commits. Own records of other lines are compared with their own parent.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from custody.core.audit import fault
from custody.core.fold import decode_stages, encode_stages, stages_path, states_after, taken_along
from custody.core.ownership import NAME, owns, stands
from custody.domain.audit import Fault
from custody.domain.record import Entry, Kind, ModelState, Record, State
from custody.errors import CustodyError
from custody.git.contents import blob_id
from custody.git.objects import FOLDER, RawCommit, Repository
from custody.ledger.codec import effect_of
from custody.ledger.genesis import README
from custody.ledger.reader import Reader, decoded

_NAMED = 3


@dataclass(slots=True)
class Step:
    """One record on the tree before it: its own files by path, the state of its model before and after.

    `states` are all models that it changes, by name: a rename changes two.
    `record` is None for a kind that is not known, `whole` is False where the tree before it is not here.
    """

    record: Record | None
    before: ModelState
    after: ModelState
    own: Mapping[str, str | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    whole: bool = True
    states: Mapping[str, ModelState] = field(default_factory=dict)


class Trees:
    """Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, repository: Repository, reader: Reader, readme: Callable[[State], bytes]) -> None:
        self._repository = repository
        self._reader = reader
        self._readme = readme
        self._models: dict[str, ModelState] = {}
        self._rows = _Rows(readme)
        self._at: str | None = None
        self._tree = ""
        self._landed: list[Step] = []

    def begin(self, first: RawCommit) -> None:
        """Start at the first commit, or where a shallow clone was cut."""
        self._models = dict(self._states(first.tree))
        self._rows = _Rows(self._readme)
        self._rows.update(self._models.values())
        self._at, self._tree = first.id, first.tree

    def step(self, raw: RawCommit, entry: Entry, kind: Kind | None, *, on_line: bool) -> Step:
        """Compare a record's tree with what the record makes of the tree before it. Raises CustodyError."""
        parent, model = raw.parents[0], entry.trailer("Model") or ""
        if not self._repository.has(parent):
            self.begin(raw)
            state = self._models.get(model, ModelState(model))
            return Step(_record(entry, kind), state, state, self._files(raw, entry, kind, None), whole=False)
        carried = on_line and parent == self._at
        tree = self._tree if carried else self._repository.commit(parent).tree
        changed = dict(self._repository.changed(tree, raw.tree))
        record = _record(entry, kind)
        if record is None:
            return self._unknown(raw, entry, changed, on_line=on_line)
        before = self._before(model, tree, carried=carried) if NAME.fullmatch(model) else ModelState(model)
        own = {path: blob for path, blob in changed.items() if owns(record, path)}
        states = states_after(partial(self._before, tree=tree, carried=carried), record)
        step = Step(record, before, states.get(model, before), own, states=states)
        step.faults += self._files_differ(entry, step, tree, changed)
        self._settle(raw, entry, step, changed, on_line=on_line)
        return step

    def merged(self, raw: RawCommit, where: str) -> Iterator[Fault]:
        """Compare a merge with its first parent and the records that it lands, then stand on it."""
        tree = self._repository.commit(raw.parents[0]).tree if self._repository.has(raw.parents[0]) else None
        landed, self._landed = self._landed, []
        if tree is None or self._at != raw.parents[0]:
            self.begin(raw)
            return
        changed = dict(self._repository.changed(tree, raw.tree))
        expected: dict[str, str] = {}
        for step in landed:
            record = step.record
            if record is None:
                continue
            if record.kind.decision:
                yield Fault("chain.merge", where, "facts alone: a decision is never merged", record.subject)
            own = {path: blob for path, blob in step.own.items() if blob}
            expected |= {path: blob for path, blob in own.items() if self._stands(path, blob, expected.get(path), tree)}
            states = states_after(lambda name: self._models.get(name, ModelState(name)), record)
            self._models.update(states)
            self._rows.update(states.values())
            expected |= {stages_path(name): blob_id(encode_stages(state)) for name, state in states.items()}
        if any(step.record and step.record.kind.moves_stages for step in landed):
            expected[README] = self._readme_blob(raw, changed.get(README))
        yield from self._merge_differs(where, tree, changed, expected)
        self._at, self._tree = raw.id, raw.tree
        self._resync(raw, changed)

    def _stands(self, path: str, blob: str, over: str | None, tree: str) -> bool:
        """Whether a fact's file takes the place of what lies there in `tree`, or of what landed `over` it."""
        entry = self._repository.entry(tree, path)
        present = over or (entry.id if entry else None)
        if present is None or not self._repository.has(blob) or not self._repository.has(present):
            return present is None
        return stands(path, self._repository.blob(present), self._repository.blob(blob))

    def _merge_differs(
        self, where: str, tree: str, changed: Mapping[str, str | None], expected: Mapping[str, str]
    ) -> Iterator[Fault]:
        for path, blob in expected.items():
            entry = None if path in changed else self._repository.entry(tree, path)
            found = changed.get(path, entry.id if entry else None)
            if found != blob:
                yield Fault("tree.differs", where, f"{path} as the records that it lands make it", _blob(found))
        for path in sorted(changed.keys() - expected.keys()):
            yield Fault("tree.foreign", where, f"{path} as it was", _blob(changed[path]))

    def _unknown(self, raw: RawCommit, entry: Entry, changed: Mapping[str, str | None], *, on_line: bool) -> Step:
        """A record of a later custody may touch nothing that this one answers for."""
        step = Step(None, ModelState(""), ModelState(""))
        if changed:
            named = ", ".join(sorted(changed)[:_NAMED])
            found = f"kind {entry.kind}, which this custody does not know, changes {named}"
            step.faults.append(
                fault(entry, "kind.unknown", "a kind that can be checked", found, "pip install --upgrade git-custody")
            )
        if on_line:
            self.begin(raw)
        else:
            self._landed.append(step)
        return step

    def _before(self, model: str, tree: str, *, carried: bool) -> ModelState:
        if carried:
            return self._models.get(model, ModelState(model))
        path = stages_path(model)
        data = self._repository.file(tree, path)
        return decoded(path, data or b"", lambda _: decode_stages(model, data))

    def _files(self, raw: RawCommit, entry: Entry, kind: Kind | None, tree: str | None) -> dict[str, str | None]:
        record = _record(entry, kind)
        changed = self._repository.changed(tree, raw.tree)
        return {path: blob for path, blob in changed if owns(record, path)} if record else {}

    def _files_differ(self, entry: Entry, step: Step, tree: str, changed: Mapping[str, str | None]) -> Iterator[Fault]:
        record = step.record
        derived = {stages_path(name): encode_stages(state) for name, state in step.states.items()}
        taken = taken_along(record, step.states) if record else {}
        for path in sorted(changed.keys() - step.own.keys() - {*derived, *taken, README}):
            expected = f"{path} as it was: this record may not write it"
            yield fault(entry, "tree.foreign", expected, _blob(changed[path]))
        for path, blob in step.own.items():
            if blob is None or not self._repository.has(blob):
                yield fault(entry, "tree.missing", path, "deleted" if blob is None else f"blob {blob} is missing")
            elif not self._stands(path, blob, None, tree):
                code = "data.rewritten" if record and record.kind is Kind.DATA else "fact.rewritten"
                yield fault(entry, code, f"{path} as it was recorded before", f"blob {blob[:12]}")
        for path, data in derived.items():
            found = changed.get(path)
            if found != blob_id(data):
                expected = f"{path} as it follows from the records up to this one"
                yield fault(entry, "tree.stages", expected, _blob(found) if path in changed else "as it was before")
        for path, source in taken.items():
            there, before = self._repository.entry(tree, source), self._repository.entry(tree, path)
            found = changed.get(path, before.id if before else None)
            if there and found != there.id:
                yield fault(entry, "tree.differs", f"{path} as {source}", _blob(found))

    def _settle(
        self, raw: RawCommit, entry: Entry, step: Step, changed: Mapping[str, str | None], *, on_line: bool
    ) -> None:
        """Check README.md, and go on from this commit, with what its tree really holds."""
        record = step.record
        if on_line:
            self._at, self._tree = raw.id, raw.tree
            self._models.update(step.states)
            if record and (record.kind.moves_stages or not step.before.records or step.before.retired):
                self._rows.update(step.states.values())
        else:
            self._landed.append(step)
        step.faults += self._readme_differs(raw, entry, step, changed, on_line=on_line)
        if on_line and step.faults:
            self._resync(raw, changed)

    def _readme_differs(
        self, raw: RawCommit, entry: Entry, step: Step, changed: Mapping[str, str | None], *, on_line: bool
    ) -> Iterator[Fault]:
        found = changed.get(README)
        if not (step.record and step.record.kind.moves_stages and step.record.model):
            if README in changed:
                yield fault(entry, "tree.foreign", f"{README} as it was: a fact leaves it alone", _blob(found))
            return
        present = self._repository.entry(raw.tree, README)
        blob = found if README in changed else present.id if present else None
        expected = self._readme_blob(raw, blob) if on_line else blob_id(self._readme(self._bare(raw)))
        if expected != blob:
            yield fault(entry, "tree.readme", f"{README} as it follows from the records up to this one", _blob(blob))

    def _readme_blob(self, raw: RawCommit, found: str | None) -> str:
        """Return the blob id of README.md on the line; rendered whole where the rows do not make it."""
        made = blob_id(self._rows.whole())
        return made if made == found else blob_id(self._readme(self._bare(raw)))

    def _bare(self, raw: RawCommit) -> State:
        return State(None, dict(self._states(raw.tree)), self._reader.state(raw.id).datasets)

    def _states(self, tree: str) -> Iterator[tuple[str, ModelState]]:
        """Yield the state of each model without its run; what is damaged is left out."""
        folder = self._repository.entry(tree, "models")
        for entry in self._repository.tree(folder.id) if folder and folder.mode == FOLDER else ():
            try:
                state = decode_stages(entry.name, self._repository.file(tree, stages_path(entry.name)))
            except (ValueError, CustodyError):
                continue
            yield entry.name, state

    def _resync(self, raw: RawCommit, changed: Mapping[str, str | None]) -> None:
        """Take the states of models from the tree, so that one fault is told once."""
        for path in changed:
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == "models" and parts[2] == "stages.json":  # noqa: PLR2004
                try:
                    state = decode_stages(parts[1], self._repository.file(raw.tree, path))
                except (ValueError, CustodyError):
                    continue
                self._models[parts[1]] = state
                self._rows.update([state])


class _Rows:
    """README.md in parts: what stands above, and the rows of each model."""

    def __init__(self, readme: Callable[[State], bytes]) -> None:
        self._readme = readme
        self._head: bytes | None = None
        self._rows: dict[str, bytes] = {}
        self._names: list[str] = []

    def update(self, models: Iterable[ModelState]) -> None:
        for model in models:
            if self._head is None:
                self._head = self._readme(State())
            if model.name not in self._rows:
                insort(self._names, model.name)
            made = self._readme(State(None, {model.name: model}))
            self._rows[model.name] = made.removeprefix(self._head)

    def whole(self) -> bytes:
        head = self._readme(State()) if self._head is None else self._head
        return b"".join([head, *map(self._rows.__getitem__, self._names)])


def _record(entry: Entry, kind: Kind | None) -> Record | None:
    if kind is None:
        return None
    return Record(entry.id, kind, entry.subject, entry.trailers, entry.trailer("Model"), effect=effect_of(entry))


def _blob(blob: str | None) -> str:
    return f"blob {blob[:12]}" if blob else "nothing"
