"""The ledger of one project in its Git repository: what `app` holds. Appending lies in `writer.py`.

Questions are answered from the index and then from the commits themselves; the index is a projection of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from custody.core.sharing import Landed
from custody.domain.audit import Extent, Looked
from custody.domain.graph import StepRecord
from custody.domain.ports import Collection, Decision, Fetched, Shared, Store
from custody.domain.record import Entry, Headline, Kind, ModelState, Record, Run, State
from custody.domain.search import RunQuery, RunRow
from custody.domain.spec import Config
from custody.errors import CustodyError, LedgerError, PartialError
from custody.git.identity import Identity, find_identity
from custody.git.objects import Repository, open_repository
from custody.git.transport import deepen, fetch_objects, promises
from custody.git.worktree import GitWorktree
from custody.ledger import headlines
from custody.ledger.contents import Contents
from custody.ledger.files import LedgerFiles
from custody.ledger.index import Index
from custody.ledger.lineage import Rename, Span, clause, name_now, spans
from custody.ledger.reader import Reader
from custody.ledger.runs import read_row
from custody.ledger.search import ALL_NAMES, FIELDS, has_name, search
from custody.ledger.standing import Standing
from custody.ledger.sync import Sharing
from custody.ledger.tables import STEPS, number_of
from custody.ledger.writer import Hand, Writer

_LISTED = 10
_WITH_KEY = f"FROM steps JOIN commits ON commits.position = steps.place / {STEPS} WHERE steps.key = ?"


class GitLedger:
    """Satisfies `custody.domain.ports.Ledger`; may be used by several threads."""

    def __init__(
        self,
        where: GitWorktree | Repository | Path,
        config: Config,
        *,
        readme: Callable[[State], bytes],
        tool: str,
        clock: Callable[[], datetime],
        identity: Identity | None = None,
    ) -> None:
        """`readme` renders README.md of the branch, `tool` names the writer, `clock` dates its commits.

        Without an `identity` the one of Git's configuration is used. Opens a path's repository: raises GitError.
        """
        self.repository = _repository(where)
        self.identity = identity or find_identity(self.repository)
        self._standing = Standing(self.repository, config)
        kind = "local-trials" if config.is_local else "trials" if config.is_for_trials else "index"
        self._index = Index(self.repository, f"{kind}.db")
        self._config = config
        self._readme = readme
        self._lock = threading.RLock()
        self._reader = Reader(self.repository, self._lock)
        self.files = LedgerFiles(self._standing, self._reader, self._lock)
        hand = Hand(self.identity, tool, clock, readme)
        self._writer = Writer(self._standing, config, self._index, self._reader, hand)
        self._contents = Contents(self.repository, config.remote)
        parts = self._standing, self._index, self._reader, self._writer, self._contents
        self._sharing = Sharing(*parts, self._lock)
        self._asked = False
        self._keep_promises()

    def with_content(self, store: Store, landed: Callable[[], Landed] = Landed) -> Self:
        """Share from now on what records name in `store` too, as far as it may travel in Git by what has `landed`."""
        self._contents.store = store
        self._contents.landed = landed
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; the ledger may still be used and opens it anew."""
        with self._lock:
            self._index.close()

    @property
    def complete(self) -> bool:
        """Whether the whole history is here; in a shallow clone an answer from it may miss what is older."""
        with self._lock:
            self._writer.index_line()
            return self._index.complete

    def head(self) -> str | None:
        """Return the last commit of the ledger, own records included; None where there is no ledger yet."""
        with self._lock:
            line = self._standing.line()
            return line.tip if line.pending else line.base

    @property
    def remote(self) -> str | None:
        """The name of the remote that the ledger is shared through; None where it is kept in this clone alone."""
        return self._standing.remote

    @property
    def actor(self) -> str:
        """Who appends, as records name them."""
        return self.identity.actor

    def model(self, name: str) -> ModelState:
        """Return what is recorded of one model at the present head. Raises LedgerError as `state` does."""
        with self._lock:
            line = self._standing.line()
            return self._reader.model(line.base, name, line.tail)

    def state(self) -> State:
        """Return the fold at the present head. Raises LedgerError where a file of it cannot be read."""
        with self._lock:
            line = self._standing.line()
            return self._reader.state(line.base, line.tail)

    def append(self, record: Record) -> str:
        """Append a fact and return its commit id, durable when this returns; once, however often it is called.

        Raises LedgerError where the record is a decision or cannot be kept, or the repository refuses; then nothing
        has been recorded.
        """
        if record.kind.decision:
            raise LedgerError(f"a {record.kind} record is a decision: it is made on the freshest head only")
        with self._lock:
            return str(self._writer.append(record.model, lambda _: record))

    def decide(self, model: str, make: Callable[[ModelState], Record | None]) -> str | None:
        """Append what `make` derives from the model's state at the head it is appended to; None: nothing.

        `make` may be called again where the head moved. Where the ledger is shared this is `share` with one decision.
        Raises LedgerError as `append` does, PartialError where the decision did not land.
        """
        if self.remote is None:
            with self._lock:
                return self._writer.append(model, make)
        shared = self.share((Decision(model, make),))
        if not shared.landed:
            raise PartialError(f"nothing was decided: {shared.reason}", code="E713", help=shared.help)
        return next(iter(shared.commits.values()), None)

    def share(self, decisions: Sequence[Decision] = (), deadline: float = 60.0) -> Shared:
        """Land own facts and these decisions on the remote, all or nothing, trying for `deadline` seconds.

        Without a remote the decisions are made here at once. Raises LedgerError where the shared ledger was rewritten,
        belongs to another project, or cannot be read.
        """
        if self.remote is not None:
            return replace(self._sharing.share(decisions, deadline), left_out=self._contents.said)
        commits: dict[str, str] = {}
        with self._lock:
            for decision in decisions:
                commit = self._writer.append(decision.model, decision.make)
                if commit and (entry := self._reader.entry(commit)):
                    commits[entry.id] = commit
        return Shared(True, commits)

    def collect(self, collection: Collection, deadline: float = 60.0) -> Shared:
        """Drop content from `mlops/store`, with its record in the same push, trying for `deadline` seconds.

        Raises LedgerError as `share` does, and where the history here is not whole or nothing is shared.
        """
        if self.remote is None:
            raise LedgerError("nothing is shared: there is no branch to drop content from", help=("custody doctor",))
        if not self.complete and not self._deepened():
            raise LedgerError("a gc needs the whole ledger, and this clone is shallow", help=("git fetch --unshallow",))
        return self._sharing.share((), deadline, collection)

    def fetch(self, *, first: bool = False) -> Fetched:
        """Bring the shared ledger here; with `first` its newest state alone, and files when they are read.

        Raises LedgerError as `share` does. Without a remote nothing happens.
        """
        if self.remote is None:
            return Fetched(self.head())
        fetched = self._sharing.fetch(first=first)
        with self._lock:
            self._keep_promises()
        return fetched

    def pending(self) -> tuple[Entry, ...]:
        """Return own records that are not on the remote yet, oldest first; none where there is no remote."""
        return () if self.remote is None else self._sharing.pending()

    def entries(self, model: str | None = None, limit: int | None = None) -> Iterator[Entry]:
        """Yield records in reverse landing order, of one model, under whatever name, or of all."""
        where, values = ("1", ()) if model is None else clause(self._spans(model), "commits")
        sql = f"SELECT id FROM commits WHERE record IS NOT NULL AND {where} ORDER BY position DESC LIMIT ?"  # noqa: S608
        for (commit,) in self._query(sql, *values, -1 if limit is None else limit):
            if entry := self.entry(commit):
                yield entry

    def model_of(self, entry: Entry) -> str | None:
        """Return what the model of a record is called now; None where it names none."""
        name = entry.trailer("Model")
        position = self._rows("SELECT position FROM commits WHERE id = ?", entry.commit) if name else []
        return name_now(name, position[0][0], self._renames()) if name and position else name

    def entry(self, commit: str) -> Entry | None:
        """Return the record of a commit of the ledger; None where it holds none."""
        with self._lock:
            return self._reader.entry(commit)

    def record(self, commit: str) -> Record | None:
        """Return the record of a commit as it was appended; None where it holds none of a known kind."""
        with self._lock:
            return self._reader.record(commit)

    def find_entry(self, prefix: str) -> Entry | None:
        """Return the record whose id, run id (its `run` record) or commit id begins with `prefix`; None: there is none.

        Raises LedgerError where several match, or where none does and the history here is not whole.
        """
        found = self._matches(prefix) if prefix else []
        if len(found) == 1:
            return self.entry(found[0])
        if found:
            raise self._ambiguous(prefix, found)
        if not self.complete:
            raise LedgerError(
                f"there is no record {prefix!r} in the part of the ledger that this shallow clone has",
                help=("git fetch --unshallow",),
            )
        return None

    def commit_of(self, run_id: str) -> str | None:
        """Return the commit that recorded the run; None where there is none."""
        sql = "SELECT id FROM commits WHERE run = ? AND kind = ? ORDER BY position LIMIT 1"
        return next((str(row[0]) for row in self._query(sql, run_id, str(Kind.RUN))), None)

    def run(self, entry: Entry) -> Run | None:
        """Return the run as the tree of `entry`'s commit holds it; None where it names no model or there is none."""
        model = entry.trailer("Model")
        with self._lock:
            return self._reader.run(entry.commit, model) if model else None

    def step(self, key: str) -> tuple[str, StepRecord] | None:
        """Return (run id, step) of the newest usable step with this key; None where there is none."""
        return next(((run.id, step) for _, run, step in self.steps(key)), None)

    def steps(self, key: str) -> Iterator[tuple[Entry, Run, StepRecord]]:
        """Yield (record, its run, step) for every usable step with this key, newest first."""
        sql = f"SELECT commits.id, commits.model {_WITH_KEY} ORDER BY place DESC"
        for commit, model in self._query(sql, number_of(key), keys=True):
            run = self._usable_run(commit, model)
            for step in run.steps.values() if run else ():
                if run and step.key == key and step.usable and (entry := self.entry(commit)):
                    yield entry, run, step

    def runs_with_key(self, model: str, key: str) -> Iterator[Run]:
        """Yield the runs of `model` whose evaluation has this key, newest first, with their last verdict."""
        own, names = clause(self._spans(model), "commits")
        sql = f"SELECT DISTINCT run {_WITH_KEY} AND kind = ? AND run IS NOT NULL AND {own} ORDER BY place DESC"
        last = (
            "SELECT id, model FROM commits WHERE run = ? AND kind IN ('run', 'verdict', 'metadata')"  # noqa: S608
            f" AND {own} ORDER BY position DESC"
        )
        for (run_id,) in self._query(sql, number_of(key), str(Kind.RUN), *names, keys=True):
            found = (self._usable_run(*row) for row in self._query(last, run_id, *names))
            run = next((run for run in found if run and run.id == run_id), None)
            if run and run.key == key:
                yield replace(run, model=model)

    def search(self, query: RunQuery) -> tuple[RunRow, ...]:
        """Return the runs that a query finds, from the index alone. Raises UsageError where it means nothing."""
        own = clause(self._spans(query.model), "runs") if query.model is not None else None
        sql, values = search(query, trials=self._standing.trials, own=own)
        return tuple(read_row(row, trial=self._standing.trials) for row in self._rows(sql, *values))

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of `names` that are no field, and that no run has as a metric or parameter."""
        asked = [(name, has_name(name)) for name in names if name not in FIELDS]
        return tuple(name for name, (sql, values) in asked if not self._rows(sql, *values))

    def known_names(self) -> tuple[str, ...]:
        """Return all fields, metrics and parameters that runs can be searched by; reads every run."""
        return (*FIELDS, *(name for (name,) in self._rows(ALL_NAMES)))

    def last_of_each(self) -> dict[str, Headline]:
        """Return the newest record of each model, from the index alone."""
        return headlines.last_of_each(self._rows)

    def last_ended(self) -> dict[str, tuple[str, str]]:
        """Return for each model the commit that recorded or judged a run last, and the status of that run."""
        return headlines.last_ended(self._rows)

    def moves(self) -> tuple[Headline, ...]:
        """Return what moved stages or names, in landing order, from the index alone."""
        return headlines.moves(self._rows)

    def rebuild_notes(self) -> str | None:
        """Make the notes what the records say and nothing else; return the commit, None where they are that already.

        Raises LedgerError where the repository refuses.
        """
        with self._lock:
            return self._writer.rebuild_notes()

    def rebuild_index(self) -> None:
        """Make the index anew from the commits alone. Raises LedgerError where the history is damaged."""
        with self._lock:
            self._writer.rebuild_index()

    def audit(self, extent: Extent) -> Iterator[Looked]:
        """Go through the whole ledger and yield what each commit holds and what is wrong with it. Fills `extent`.

        Damage is yielded, never raised. Only what went forward since the last audit is remembered as seen.
        """
        from custody.ledger.audit import Audit

        with self._lock:
            audit = Audit(self._standing, self._config.id, self._index, self._reader)
            yield from audit.walk(self._readme, extent)

    def _spans(self, model: str) -> tuple[Span, ...]:
        return spans(model, self._renames())

    def _renames(self) -> list[Rename]:
        sql = (
            "SELECT position, before, model FROM commits WHERE kind = 'rename' AND before IS NOT NULL ORDER BY position"
        )
        return [Rename(*row) for row in self._rows(sql)]

    def _query(self, sql: str, *values: str | int | None, keys: bool = False) -> list[tuple[str, ...]]:
        """Ask the index; where a shallow clone has no answer, ask once more with the history that it has cut off."""
        found = self._rows(sql, *values, keys=keys)
        return found or (self._rows(sql, *values, keys=keys) if self._deepened() else [])

    def _rows(self, sql: str, *values: Any, keys: bool = False) -> list[tuple[Any, ...]]:
        with self._lock:
            self._writer.index_line()
            if keys:
                self._index.fill_steps()
            return self._index.query(sql, *values)

    def _deepened(self) -> bool:
        """Bring the history that a shallow clone has cut off, since an answer hangs on it; whether it came.

        Asked once: where the remote is not reached, what is here has to do.
        """
        remote = self._standing.remote
        with self._lock:
            if self._asked or remote is None or self._index.complete:
                return False
            self._asked = True
        return deepen(self.repository, remote, f"{self._standing.local}:{self._standing.landed}")

    def _keep_promises(self) -> None:
        """Let files that a partial clone left out be fetched when they are read."""
        remote = self._standing.remote
        if remote is not None and promises(self.repository, remote):
            self.repository.promised = lambda ids: fetch_objects(self.repository, remote, ids)

    def _matches(self, prefix: str) -> list[str]:
        """Return the commits that `prefix` may mean; a whole id means that one alone."""
        sql = (
            "SELECT id, record = ?1 OR id = ?1 OR (kind = 'run' AND run IS ?1) FROM commits WHERE record IS NOT NULL"
            " AND ((record >= ?1 AND record < ?2) OR (id >= ?1 AND id < ?2)"
            " OR (kind = 'run' AND run >= ?1 AND run < ?2)) ORDER BY position"
        )
        rows = self._query(sql, prefix, prefix + "\U0010ffff")
        whole = [row[0] for row in rows if row[1]]
        return whole or [row[0] for row in rows]

    def _ambiguous(self, prefix: str, commits: list[str]) -> LedgerError:
        entries = [entry for commit in commits[:_LISTED] if (entry := self.entry(commit))]
        listed = tuple(f"{entry.commit[:12]}  {entry.id}  {entry.subject}" for entry in entries)
        more = (f"and {len(commits) - _LISTED} more",) if len(commits) > _LISTED else ()
        return LedgerError(f"{prefix!r} may mean {len(commits)} records", because=(*listed, *more))

    def _usable_run(self, commit: str, model: str | None) -> Run | None:
        """Return a run whose results may be reused; None where the record cannot be read."""
        try:
            with self._lock:
                return self._reader.run(commit, model) if model else None
        except CustodyError:
            return None


def _repository(where: GitWorktree | Repository | Path) -> Repository:
    if isinstance(where, GitWorktree):
        return where.repository
    return where if isinstance(where, Repository) else open_repository(where)
