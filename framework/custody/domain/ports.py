"""The ports: what `core` and `app` ask of the adapters, each with its failure contract.

Adapters satisfy these Protocols by shape; they do not import one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event as Cancel
from typing import Any, Protocol, TypeVar

from custody.domain.audit import Extent, Looked
from custody.domain.graph import Event, Graph, Node, Outcome, Ref, StepRecord
from custody.domain.record import Entry, Headline, ModelState, Record, Run, State
from custody.domain.revision import Commit, Read
from custody.domain.search import RunQuery, RunRow

T = TypeVar("T")


class Store(Protocol):
    """Bytes by their SHA-256."""

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its digest; storing again is free."""

    def put_file(self, path: Path) -> str:
        """Store a copy of the file at `path`, hashed while copied; the file itself is left alone."""

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified; raises StoreError where they are missing or damaged."""

    def path(self, digest: str) -> Path:
        """Return the path of the stored file; raises StoreError where it is missing. Verifies nothing."""

    def has(self, digest: str) -> bool:
        """Whether the object is here. Never raises."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision still to be made: `make` derives its record from the model's state on the freshest head.

    `make` is called again where the head moved; the id of the record that it returns stays the same.
    """

    model: str
    make: Callable[[ModelState], Record | None]


@dataclass(frozen=True, slots=True)
class Collection:
    """A gc of the content that travels in Git, made on the freshest head and made anew where that moved.

    `keep` returns the digests that stay; `record` gets the sizes in bytes of what stays and of what goes, by digest (0
    where this clone does not know it), and returns the record, the same id each time; None: nothing is dropped.
    """

    keep: Callable[[], frozenset[str]]
    record: Callable[[Mapping[str, int], Mapping[str, int]], Record | None]
    branches: tuple[str, ...] = ()
    """Other branches that `keep` reads; they are fetched together with the content."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What came of sharing. Where `landed` is False no decision was made, and the facts `pending` are safe, here only.

    `commits` are the decisions that landed, by the id of their record. `reason` says why not all landed, or what the
    remote did not take although the records landed. `others` counts the records of others that came in meanwhile.
    `left_out` says, a line each, what of the content stays here and why, since the ledger was opened.
    """

    landed: bool
    commits: Mapping[str, str]
    pending: tuple[Entry, ...] = ()
    reason: str = ""
    help: tuple[str, ...] = ()
    others: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of fetching the ledger: its head on the remote, how many records are new here, why it failed."""

    head: str | None
    others: int = 0
    offline: str = ""


class Files(Protocol):
    """The files of the ledger at its present head; raises LedgerError where they cannot be read."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the file at `path`; None where there is none."""

    def under(self, folder: str) -> tuple[str, ...]:
        """Return the paths of all files below `folder`, sorted by name."""

    def value(self, path: str, decode: Callable[[dict[str, Any]], T]) -> T | None:
        """Return what `decode` makes of the JSON object at `path`; None where there is no file.

        What `decode` raises for an object that is not as custody writes it becomes a LedgerError.
        """

    def values(
        self, folder: str, decode: Callable[[dict[str, Any]], T], wanted: Callable[[str], bool] = ...
    ) -> tuple[T, ...]:
        """Return what `decode` makes of the files below `folder` whose paths are `wanted`, sorted by name."""


class Ledger(Protocol):
    """The append-only records. Only `app` calls `append`, `decide` and `share`."""

    @property
    def files(self) -> Files:
        """What records wrote, file by file: windows, incidents, batches."""

    @property
    def actor(self) -> str:
        """Who appends, as records name them."""

    def head(self) -> str | None:
        """Return the last commit of the ledger; None where it does not exist yet."""

    def model(self, name: str) -> ModelState:
        """Return what is recorded of one model at the present head."""

    def state(self) -> State:
        """Return the fold at the present head; an empty State where the ledger does not exist yet."""

    def append(self, record: Record) -> str:
        """Append a fact and return its commit id, durable when this returns.

        A record whose id is there already is not appended again: its commit is returned. Raises LedgerError
        where the repository refuses (read-only, full disk), and then nothing has been recorded.
        """

    def decide(self, model: str, make: Callable[[ModelState], Record | None]) -> str | None:
        """Append the decision that `make` derives from the model's state at the head it is appended to.

        `make` may be called again where the head moved; None means there is nothing to decide. Where the ledger is
        shared this is `share` with one decision: raises PartialError where it did not land.
        """

    @property
    def remote(self) -> str | None:
        """The name of the remote that the ledger is shared through; None where it is kept in this clone alone."""

    def share(self, decisions: Sequence[Decision] = (), deadline: float = 60.0) -> Shared:
        """Land own facts and these decisions on the remote, all or nothing, trying for `deadline` seconds.

        Without a remote the decisions are made here at once. Raises LedgerError where the shared ledger was rewritten,
        belongs to another project, or cannot be read.
        """

    def collect(self, collection: Collection, deadline: float = 60.0) -> Shared:
        """Drop content from the shared branch, with its record in the same push, trying for `deadline` seconds.

        Raises LedgerError as `share` does, and where the history here is not whole.
        """

    def fetch(self, *, first: bool = False) -> Fetched:
        """Bring the shared ledger here; with `first` its newest state alone, and files when they are read.

        Raises LedgerError as `share` does. Without a remote nothing happens.
        """

    def pending(self) -> tuple[Entry, ...]:
        """Return own records that are not on the remote yet, oldest first; none where there is no remote."""

    def entries(self, model: str | None = None, limit: int | None = None) -> Iterator[Entry]:
        """Yield records in reverse landing order, of one model, under whatever name, or of all."""

    def model_of(self, entry: Entry) -> str | None:
        """Return what the model of a record is called now; None where it names none."""

    def record(self, commit: str) -> Record | None:
        """Return the record of a commit as it was appended; None where it holds none of a known kind."""

    def find_entry(self, prefix: str) -> Entry | None:
        """Return the record whose id, run id or commit id begins with `prefix`; None where there is none.

        For a run id it is the `run` record. Raises LedgerError where several match.
        """

    def run(self, entry: Entry) -> Run | None:
        """Return the run as the tree of `entry`'s commit holds it, for records that name a model."""

    def commit_of(self, run_id: str) -> str | None:
        """Return the commit of the `run` record with this id; None where there is none."""

    def step(self, key: str) -> tuple[str, StepRecord] | None:
        """Return (run id, step) of the newest usable step with this key; None where there is none."""

    def steps(self, key: str) -> Iterator[tuple[Entry, Run, StepRecord]]:
        """Yield (record, its run, step) for every usable step with this key, newest first."""

    def runs_with_key(self, model: str, key: str) -> Iterator[Run]:
        """Yield the runs of `model` whose evaluation has this key, newest first, with their last verdict."""

    @property
    def complete(self) -> bool:
        """Whether the whole history is here; in a shallow clone an answer from it may miss what is older."""

    def search(self, query: RunQuery) -> tuple[RunRow, ...]:
        """Return the runs that a query finds, from the index alone. Raises UsageError where it means nothing."""

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of `names` that are no field, and that no run has as a metric or parameter."""

    def known_names(self) -> tuple[str, ...]:
        """Return all fields, metrics and parameters that runs can be searched by; reads every run."""

    def last_of_each(self) -> Mapping[str, Headline]:
        """Return the newest record of each model, from the index alone."""

    def last_ended(self) -> Mapping[str, tuple[str, str]]:
        """Return for each model the commit that recorded or judged a run last, and the status of that run."""

    def moves(self) -> tuple[Headline, ...]:
        """Return what moved stages or names, in landing order, from the index alone."""

    def audit(self, extent: Extent) -> Iterator[Looked]:
        """Go through the whole ledger and yield what each commit holds and what is wrong with it; fills `extent`.

        Damage is yielded, never raised.
        """

    def rebuild_notes(self) -> str | None:
        """Make the notes what the records say and nothing else; return their commit, None where they are that already.

        Raises LedgerError where the repository refuses.
        """

    def rebuild_index(self) -> None:
        """Make the index anew from the commits alone. Raises LedgerError where the history is damaged."""


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work for a step process: `entry` (`module:function`) is called with `payload`, a JSON object.

    The function returns a JSON object; what it prints goes to `log`.
    """

    entry: str
    payload: Mapping[str, Any]
    log: Path
    key: str
    upstream: Mapping[str, str]


class Ending(StrEnum):
    """How a step process ended."""

    DONE = "done"
    RAISED = "raised"
    EXITED = "exited"
    KILLED = "killed"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """The end of one step process: `error` is one line, `seconds` wall, `cpu` user and system, `memory` peak bytes."""

    ending: Ending
    result: Mapping[str, Any] | None = None
    error: str | None = None
    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    attempts: int = 1


class Steps(Protocol):
    """What a node means; called by engines from any thread. Implemented in `app/steps.py`."""

    def begin(self, node: Node, upstream: Mapping[str, Ref]) -> StepRecord | Task:
        """Return a result that can be reused, or the work to be done for it. `upstream` is by role."""

    def end(self, node: Node, task: Task, end: ProcessEnd) -> StepRecord:
        """Turn the last attempt's end into what is recorded."""


class Engine(Protocol):
    """Runs a graph. One engine serves one apply; leaving the context stops all that it started."""

    name: str

    def session(self) -> AbstractContextManager[None]:
        """Start what the engine needs in the background; on exit stop it, whatever happened."""

    def execute(
        self, graph: Graph, steps: Steps, progress: Callable[[Event], None], cancel: Cancel
    ) -> Iterator[Outcome]:
        """Run the graph and yield one outcome a model, as soon as that model has ended.

        A failed step ends its model and no other. When `cancel` is set, nothing new starts, running steps are
        killed and the outcomes that are left are yielded with `cancelled`. Never raises for what a step does.
        """


class Worktree(Protocol):
    """The source side of the Git repository; paths are relative to the project root, with forward slashes."""

    root: Path

    def head(self) -> str | None:
        """The commit id of HEAD; None where there is no commit yet."""

    def branch(self) -> str | None:
        """The name of the branch that is checked out; None on a detached HEAD."""

    def commit(self, revision: str) -> Commit:
        """Return the commit that `revision` names; raises GitError where there is none."""

    def reader(self, revision: str | None) -> Read:
        """Read files of a commit, or of the working tree where `revision` is None."""

    def files(self, revision: str | None, under: str) -> Iterable[str]:
        """List the files below the folder `under`, in order; in the working tree without the ignored ones."""

    def dirty(self, paths: Iterable[str] = ()) -> tuple[str, ...]:
        """Files below `paths` (all: none given) that differ between HEAD and the working tree, untracked included."""

    def blob(self, revision: str | None, path: str) -> str | None:
        """The blob id of a file; computed for the working tree; None where there is none."""

    def blob_bytes(self, blob_id: str) -> bytes | None:
        """The bytes of a blob by its id, of any revision; None where this clone does not have it."""
