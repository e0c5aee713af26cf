"""Store: how much travels on `mlops/store`, and its gc: what nothing needs any more is dropped, and recorded so."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from custody.app.branch import require_ledger
from custody.app.predictions import all_batches
from custody.app.project import Project
from custody.app.who import source_of
from custody.core.recording import gc_record
from custody.core.sharing import files_of, objects_of, results_of
from custody.domain.ports import Collection, Ledger, Shared
from custody.domain.record import Kind, ModelState, Record, Run
from custody.errors import UsageError
from custody.git.contents import landed_ref, list_contents, sizes
from custody.git.refs import read_ref

DAYS = 30
"""Days for which all that a record names is kept, so that trials of open requests can still be adopted."""
_HOLDS_RUN = {Kind.RUN, Kind.VERDICT}


@dataclass(frozen=True, slots=True)
class Extent:
    """So many objects of so many bytes. What a partial clone has not fetched counts as an object of no bytes."""

    objects: int
    size: int

    @classmethod
    def of(cls, items: Mapping[str, int]) -> Extent:
        return cls(len(items), sum(items.values()))


@dataclass(frozen=True, slots=True)
class Usage:
    """What is on the branch as far as it was fetched (None: not fetched), and objects that are in this clone alone."""

    branch: Extent | None
    unknown: int
    """Objects of the branch whose bytes a partial clone has not fetched."""
    local: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What one gc kept, by the first reason that holds, and what it dropped.

    `commit` is that of its record; None where nothing was dropped, in a dry run, and where it did not land.
    """

    kept: Mapping[str, Extent]
    dropped: Extent
    dry_run: bool
    commit: str | None = None
    shared: Shared | None = None

    @property
    def before(self) -> Extent:
        return Extent(self.after.objects + self.dropped.objects, self.after.size + self.dropped.size)

    @property
    def after(self) -> Extent:
        return Extent(sum(item.objects for item in self.kept.values()), sum(item.size for item in self.kept.values()))

    @property
    def done(self) -> bool:
        return self.shared is None or self.shared.landed


def usage(project: Project) -> Usage:
    """Return what the branch holds and what is here only. Fetches nothing; raises GitError where it is damaged."""
    repository = project.worktree.repository
    head = read_ref(repository, landed_ref(str(project.config.remote)))
    there = list_contents(repository, head)
    unknown = sum(not repository.has(blob) for blob in there.values())
    local = sum(digest not in there for digest in project.store.files.digests())
    return Usage(Extent.of(sizes(repository, there)) if head else None, unknown, local)


class _Gc:
    """One gc: what is needed, told anew for each try, and the sizes of the last one."""

    def __init__(self, project: Project, days: int) -> None:
        self._project = project
        self._since = project.clock() - timedelta(days=days)
        self._days = days
        self._id = secrets.token_hex(8)
        self._source = source_of(project, project.worktree.commit("HEAD"))
        self._needed: dict[str, str] = {}
        self.kept: Mapping[str, int] = {}
        self.dropped: Mapping[str, int] = {}

    def keep(self) -> frozenset[str]:
        """Return the digests that are needed, as ledger and trials are now."""
        self._needed.clear()
        for reason, digests in self._reasons():
            for digest in digests:
                self._needed.setdefault(digest, reason)
        return frozenset(self._needed)

    def record(self, kept: Mapping[str, int], dropped: Mapping[str, int]) -> Record | None:
        self.kept, self.dropped = kept, dropped
        return gc_record(self._id, kept, dropped, self._source) if dropped else None

    def extents(self) -> dict[str, Extent]:
        """Return what stays by reason."""
        count = Counter(self._needed[digest] for digest in self.kept)
        size: Counter[str] = Counter()
        for digest, item in self.kept.items():
            size[self._needed[digest]] += item
        return {reason: Extent(count[reason], size[reason]) for reason in count}

    def _reasons(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        state, ledger = self._project.ledger.state(), self._project.ledger
        for model in state.models.values():
            for pointer in model.stages.values():
                yield "in a stage", self._of_run(pointer.run)
        for model in state.models.values():
            yield "the last run of its model", objects_of(model.run) if model.run and not model.retired else ()
        for value in state.datasets.values():
            yield "a recorded data version", files_of(value)
        yield "sealed predictions", tuple(batch.content for batch in all_batches(self._project))
        for model in state.models.values():
            yield "a registered version", tuple(self._of_versions(model))
        recent = f"named in the last {self._days} days"
        for where in (ledger, self._project.trials):
            for run in self._recent(where):
                yield recent, objects_of(run)

    def _of_run(self, run_id: str) -> tuple[str, ...]:
        run = self._run(run_id)
        return objects_of(run) if run else ()

    def _of_versions(self, model: ModelState) -> Iterator[str]:
        for version in model.versions.values():
            if run := self._run(version.run):
                yield from results_of(run)

    def _run(self, run_id: str) -> Run | None:
        ledger = self._project.ledger
        entry = ledger.find_entry(run_id)
        return ledger.run(entry) if entry else None

    def _recent(self, ledger: Ledger) -> Iterator[Run]:
        for entry in ledger.entries():
            if entry.kind in _HOLDS_RUN and datetime.fromisoformat(entry.at) >= self._since:
                run = ledger.run(entry)
                if run is not None:
                    yield run


def collect(project: Project, *, days: int = DAYS, dry_run: bool = False, timeout: float = 60.0) -> Collected:
    """Drop from `mlops/store` what nothing needs, with its record in the same push; with `dry_run` only say it.

    Kept is all that stages, last runs and the records of the last `days` days name, the files of recorded data
    versions, batches of predictions, and artifact and evaluation of registered versions. Raises UsageError where
    nothing is shared, LedgerError where the whole ledger is not to be had.
    """
    remote = project.config.remote
    if remote is None:
        raise UsageError(
            "nothing is shared, so there is no mlops/store",
            code="E620",
            help=("add `remote: origin` to .mlops/config.yaml and commit",),
        )
    require_ledger(project)
    project.trials.fetch()
    gc = _Gc(project, days)
    if dry_run:
        project.ledger.fetch()
        repository = project.worktree.repository
        there, keep = list_contents(repository, read_ref(repository, landed_ref(remote))), gc.keep()
        known = sizes(repository, there)
        gc.kept = {digest: size for digest, size in known.items() if digest in keep}
        gc.dropped = {digest: size for digest, size in known.items() if digest not in keep}
        return Collected(gc.extents(), Extent.of(gc.dropped), dry_run=True)
    collection = Collection(gc.keep, gc.record, (project.config.trials,))
    shared = project.ledger.collect(collection, timeout)
    commit = next(iter(shared.commits.values()), None)
    return Collected(gc.extents(), Extent.of(gc.dropped), dry_run=False, commit=commit, shared=shared)
