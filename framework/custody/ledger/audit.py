"""Goes through the whole ledger in landing order and computes again what each commit must hold.

Nothing is taken from the index or from caches: commits and trees alone are read, each once. A tree is compared with
the tree before it, so that the cost is what changed. What cannot be read is a fault, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from custody.core.audit import Keys, batch_faults, effect_faults, fault, recomputed, run_faults, version_faults
from custody.core.fold import decode_run
from custody.core.jsonfile import json_object
from custody.core.landing import landing_order
from custody.core.predictions import decode_batch
from custody.domain.audit import Extent, Fault, Looked
from custody.domain.batch import Batch
from custody.domain.record import Entry, Kind, Record, Run, RunStatus, State
from custody.errors import CustodyError, GitError
from custody.git.objects import RawCommit, parse_commit
from custody.ledger.audit_trees import Step, Trees
from custody.ledger.chain import Chain
from custody.ledger.codec import decode
from custody.ledger.genesis import is_first_commit
from custody.ledger.index import Index
from custody.ledger.projections import IndexAudit, NotesAudit
from custody.ledger.reader import Reader, decoded
from custody.ledger.standing import Standing

_HOLDS_RUN = {Kind.RUN, Kind.VERDICT, Kind.METADATA}
_OF_HISTORY = {"verdict.baseline", "register.unproven", "promotion.unproven", "run.unknown"}
"""Faults that cannot be told where the history is cut: what is missed may lie before."""
_KEPT = 1000
"""Runs that are kept decoded."""
_DECLARED = ("limits", "verdict", "status", "data", "params", "seed", "closure", "metadata", "monitors")
"""What judging a stored evaluation again may change of a run."""


class Audit:
    """One audit of one ledger. Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, standing: Standing, project: str, index: Index, reader: Reader) -> None:
        self._standing = standing
        self._repository = standing.repository
        self._project = project
        self._index = index
        self._reader = reader
        self._seen: dict[str, str] = {}
        self._runs: dict[str, tuple[str, str]] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._passed: set[str] = set()
        self._metrics: dict[str, Run | None] = {}
        self._keys = Keys()

    def walk(self, readme: Callable[[State], bytes], extent: Extent) -> Iterator[Looked]:
        """Yield what there is to say of the chain, of each commit in landing order, and of index and notes."""
        chain = Chain(self._standing)
        head, tail = chain.heads()
        order = landing_order(head, chain.parents) if head else []
        line = chain.first_parents(head)
        self._trees = Trees(self._repository, self._reader, readme)
        index, notes = IndexAudit(self._index, head, tail), NotesAudit(self._repository)
        extent.total, extent.head = len(order) + len(tail), next(iter(tail[-1:]), head)
        yield Looked("", faults=tuple(chain.faults(line, {*order, *tail}, extent)))
        for position, commit in enumerate((*order, *tail)):
            data, raw = self._raw(commit)
            entry = decode(raw) if raw else None
            looked = (
                self._look(raw, entry, on_line=commit in line) if raw else Looked(commit, faults=(_missing(commit),))
            )
            wrong = index.faults(position, commit, data, on_line=commit in line) if raw else ()
            if looked.entry:
                extent.records += 1
                notes.expect(looked.entry)
                if looked.entry.kind not in list(Kind):
                    extent.unknown[looked.entry.kind] = extent.unknown.get(looked.entry.kind, 0) + 1
            told = (item for item in looked.faults if chain.whole or item.code not in _OF_HISTORY)
            yield replace(looked, commit=commit, faults=(*told, *wrong))
        yield Looked("", faults=(*index.rest(), *notes.faults(order, extent)))
        chain.remember(line)

    def _raw(self, commit: str) -> tuple[bytes, RawCommit | None]:
        try:
            data = self._repository.commit_bytes(commit)
            return data, parse_commit(commit, data)
        except GitError:
            return b"", None

    def _look(self, raw: RawCommit, entry: Entry | None, *, on_line: bool) -> Looked:
        try:
            if not raw.parents:
                return Looked(raw.id, None, faults=tuple(self._first(raw)))
            if len(raw.parents) > 1:
                return Looked(raw.id, None, faults=tuple(self._merge(raw, entry)))
            if entry is None:
                return Looked(raw.id, None, faults=(_foreign(raw),))
            return self._record(raw, entry, on_line=on_line)
        except CustodyError as error:
            wrong = Fault("tree.unreadable", f"commit {raw.id[:12]}", "a tree that can be read", error.message)
            return Looked(raw.id, entry, faults=(_at(wrong, raw.id, "git fsck --full"),))

    def _first(self, raw: RawCommit) -> Iterator[Fault]:
        self._trees.begin(raw)
        if not is_first_commit(self._repository, raw, self._project):
            expected = f"the first commit of the ledger of {self._project}, which every clone can make"
            wrong = Fault("chain.first", f"commit {raw.id[:12]}", expected, "another one")
            yield _at(wrong, raw.id, f"git show {raw.id[:12]}")

    def _merge(self, raw: RawCommit, entry: Entry | None) -> Iterator[Fault]:
        where = f"merge {raw.id[:12]}"
        if entry is not None:
            wrong = Fault("chain.merge", where, "a merge that holds no record", f"record {entry.id}")
            yield _at(wrong, raw.id, f"git show {raw.id[:12]}")
        for wrong in self._trees.merged(raw, where):
            yield _at(wrong, raw.id, f"git diff {raw.id[:12]}^1 {raw.id[:12]}")

    def _record(self, raw: RawCommit, entry: Entry, *, on_line: bool) -> Looked:
        """Look at a record: its id, its tree, then what it says."""
        faults = list(self._identity(entry))
        kind = Kind(entry.kind) if entry.kind in list(Kind) else None
        step = self._trees.step(raw, entry, kind, on_line=on_line)
        faults += step.faults
        if kind is None or step.record is None:
            return Looked(raw.id, entry, faults=tuple(faults))
        faults += effect_faults(entry, step.before, step.after, step.record) if step.whole else ()
        run = version = batch = None
        if kind in _HOLDS_RUN:
            run = self._run(raw, entry, step, faults)
        elif kind is Kind.DATA:
            version = self._version(entry, step, faults)
        elif kind is Kind.PREDICTIONS:
            batch = self._batch(entry, step, faults)
        elif kind in {Kind.REGISTER, Kind.PROMOTION}:
            faults += self._proof(entry, step)
        return Looked(raw.id, entry, run, version, batch, tuple(faults))

    def _identity(self, entry: Entry) -> Iterator[Fault]:
        first = self._seen.setdefault(entry.id, entry.commit)
        if first != entry.commit:
            yield fault(entry, "chain.twice", f"one record {entry.id}", f"another one in {first[:12]}")

    def _run(self, raw: RawCommit, entry: Entry, step: Step, faults: list[Fault]) -> Run | None:
        """Read what a fact wrote of a run, check it, and remember it for later records."""
        path, model = f"models/{entry.trailer('Model')}/run.json", str(entry.trailer("Model"))
        blob = step.own.get(path)
        try:
            data = self._repository.blob(blob) if blob else self._repository.file(raw.tree, path)
            if data is None:
                faults.append(fault(entry, "run.missing", path, "no such file in the tree of its commit"))
                return None
            run = decoded(path, data, decode_run)
            run = replace(run, steps=dict(run.steps.items()))
        except CustodyError as error:
            faults.append(fault(entry, "run.unreadable", f"{path} as custody writes it", error.message))
            return None
        if run.model != model:
            faults.append(fault(entry, "run.trailers", f"{path} of {model}", f"of {run.model}"))
        wrong = list(self._earlier(entry, run, step) if entry.kind != Kind.RUN else self._new(entry, run))
        if entry.kind != Kind.METADATA:
            wrong += run_faults(entry, run, self._metrics_of, self._keys)
        if run.status is RunStatus.PASSED and not wrong:
            self._passed.add(run.id)
        self._last[run.id] = entry.commit, model
        faults += wrong
        return run

    def _new(self, entry: Entry, run: Run) -> Iterator[Fault]:
        if run.id in self._runs:
            first = self._runs[run.id][0]
            yield fault(entry, "run.twice", f"one run {run.id}", f"another one recorded in {first[:12]}")
        self._runs.setdefault(run.id, (entry.commit, run.model))

    def _earlier(self, entry: Entry, run: Run, step: Step) -> Iterator[Fault]:
        """A verdict or metadata is about a run that is recorded, and leaves alone what was measured."""
        last, model = self._last.get(run.id, ("", ""))
        before = self._reader.run(last, model) if last else None
        before = replace(before, model=run.model) if before and model in step.after.was else before
        if before is None:
            yield fault(entry, "run.unknown", f"a record of run {run.id} before this one", "none")
            return
        free = {"metadata", "monitors", "basis"} if entry.kind == Kind.METADATA else {*_DECLARED, "basis"}
        one, other = before.to_dict(), run.to_dict()
        changed = sorted(name for name in one if name not in free and one[name] != other.get(name))
        if changed:
            expected = f"run {run.id} as {last[:12]} recorded it"
            yield fault(entry, "run.changed", expected, f"another {', '.join(changed)}")
        if entry.kind == Kind.METADATA and run.id != entry.trailer("Run"):
            yield fault(entry, "run.trailers", f"Run: {run.id}, as run.json says", f"Run: {entry.trailer('Run')}")

    def _version(self, entry: Entry, step: Step, faults: list[Fault]) -> dict[str, object] | None:
        if len(step.own) != 1:
            faults.append(fault(entry, "data.missing", "the file of one version in its tree", f"{len(step.own)} files"))
            return None
        ((path, blob),) = step.own.items()
        try:
            value = decoded(path, self._repository.blob(str(blob)), json_object)
        except CustodyError as error:
            faults.append(fault(entry, "data.unreadable", f"{path} as custody writes it", error.message))
            return None
        faults += version_faults(entry, value, path)
        return value

    def _batch(self, entry: Entry, step: Step, faults: list[Fault]) -> Batch | None:
        """Read what a record says of sealed predictions; one whose file was there before it wrote none."""
        for path, blob in step.own.items():
            try:
                batch = decoded(path, self._repository.blob(str(blob)), decode_batch)
            except CustodyError as error:
                faults.append(fault(entry, "batch.unreadable", f"{path} as custody writes it", error.message))
                return None
            faults += batch_faults(entry, batch, path)
            return batch
        return None

    def _proof(self, entry: Entry, step: Step) -> Iterator[Fault]:
        """A version or a promotion rests on a run that passed its gates before."""
        record = step.record
        run = record.effect.get("run") if record else None
        if not isinstance(run, str):
            return
        known = self._runs.get(run)
        if known is None or known[1] not in {entry.trailer("Model"), *step.after.was}:
            yield fault(entry, f"{entry.kind}.unproven", f"a record of run {run} before this one", "none")
        elif run not in self._passed:
            expected = f"run {run} with gates passed before this record"
            yield fault(entry, f"{entry.kind}.unproven", expected, "no verdict that holds and says so")
        else:
            yield from self._artifact(entry, run, record)
            yield from self._judged(entry, run)

    def _artifact(self, entry: Entry, run_id: str, record: Record | None) -> Iterator[Fault]:
        run = self._recorded(run_id)
        named = record.effect.get("artifact") if record else None
        if run and entry.kind == Kind.REGISTER and named != run.artifact:
            yield fault(entry, "register.artifact", f"artifact {run.artifact}, of run {run_id}", str(named))

    def _judged(self, entry: Entry, run_id: str) -> Iterator[Fault]:
        """A promotion that was judged again, against the run that was in production by then."""
        against = (entry.trailer("Judged") or "").rpartition(" against ")[2]
        run = self._recorded(run_id) if against else None
        try:
            again = recomputed(run, self._metrics_of, against) if run else None
        except (CustodyError, KeyError, ValueError, TypeError, AttributeError):
            again = None
        if against and (again is None or not again.passed):
            found = f"{again.count} passed" if again else f"run {against} is not recorded"
            yield fault(entry, "promotion.unproven", f"gates passed against run {against}", found)

    def _metrics_of(self, run_id: str) -> dict[str, float | None] | None:
        run = self._recorded(run_id)
        return dict(run.metrics) if run else None

    def _recorded(self, run_id: str) -> Run | None:
        """Return a run as its last record holds it."""
        if run_id not in self._last or run_id not in self._runs:
            return None
        last, model = self._last[run_id]
        if last not in self._metrics:
            if len(self._metrics) > _KEPT:
                self._metrics.clear()
            self._metrics[last] = self._reader.run(last, model)
        return self._metrics[last]


def _missing(commit: str) -> Fault:
    return Fault("chain.missing", f"commit {commit[:12]}", "the commit itself", "missing or damaged", "git fsck --full")


def _foreign(raw: RawCommit) -> Fault:
    found = raw.message[:80].decode("utf-8", "replace").partition("\n")[0]
    wrong = Fault("chain.foreign", f"commit {raw.id[:12]}", "a record: custody alone writes this branch", repr(found))
    return _at(wrong, raw.id, f"git show {raw.id[:12]}")


def _at(wrong: Fault, commit: str, help: str) -> Fault:
    """Return the fault with its commit and a command."""
    return Fault(wrong.code, wrong.where, wrong.expected, wrong.found, wrong.help or help, commit, wrong.model)
