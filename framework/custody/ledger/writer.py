"""Appends records to the ledger's branch, and brings index and notes up behind them.

An append is acknowledged when the branch has moved: an OS file lock keeps custody's own writers apart, a
compare-and-swap of the ref everybody else. Index and notes follow; they are projections, and where a writer is killed
before it has brought them up, the next one does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from custody.core.fold import decode_stages, fold, stages_path
from custody.core.landing import merge_subject
from custody.core.ownership import NAME, owns
from custody.domain.record import Kind, ModelState, Record, State
from custody.domain.spec import Config
from custody.errors import CustodyError, GitError, LedgerError
from custody.git.identity import Identity
from custody.git.notes import projected_upto, rewrite_notes, write_notes
from custody.git.objects import Person
from custody.git.refs import branch_ref, move_ref
from custody.ledger.codec import encode, notes_of, parse_trailers
from custody.ledger.genesis import README, write_first_commit
from custody.ledger.index import Index
from custody.ledger.locks import file_lock
from custody.ledger.reader import Reader
from custody.ledger.readme import Readme
from custody.ledger.standing import Standing

SOURCE = "source"
"""The folder of a trial's commit that holds the source tree it ran on."""
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Hand:
    """Who writes, with which tool, dated by which clock, and how the README of the branch is rendered."""

    identity: Identity
    tool: str
    clock: Callable[[], datetime]
    readme: Callable[[State], bytes]


class Writer:
    """Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, standing: Standing, config: Config, index: Index, reader: Reader, hand: Hand) -> None:
        self._standing = standing
        self._repository = standing.repository
        self._config = config
        self._ref = config.ledger_ref
        self._index = index
        self._reader = reader
        self._hand = hand
        self._readme = Readme(standing.repository, hand.readme)
        self._trusted = False

    def append(self, model: str | None, make: Callable[[ModelState], Record | None]) -> str | None:
        """Append the record that `make` derives from the model's state at the head, and return its commit.

        A record that is there already is not appended again. Raises LedgerError where nothing has been recorded.
        """
        with file_lock(self._repository.common_dir, "append.lock"), refusals():
            for _ in range(_TRIES):
                head = self.head_to_append()
                self.index_line()
                record = make(self._reader.model(head, model) if model else ModelState(""))
                if record is None:
                    return None
                known = self._index.one("SELECT id FROM commits WHERE record = ?", record.id)
                commit = str(known) if known else self.write(head, model, record)
                if known or move_ref(self._repository, self._ref, head, commit, f"custody: {record.kind}"):
                    self._follow(head if known else commit)
                    return commit
        raise LedgerError(f"{self._config.ledger} is moved by others all the time; nothing has been recorded")

    def write(self, head: str, model: str | None, record: Record) -> str:
        """Store the commit of a record on `head`, and return its id; moves no ref."""
        self._check(record, model, head)
        message = encode(record, self._hand.tool, None if self._hand.identity.configured else self._hand.identity.actor)
        try:
            files = fold(self._reader.read(head), record)
        except ValueError as error:
            raise LedgerError(f"the ledger's files of {record.model} cannot be read: {error}") from error
        if record.kind.moves_stages and record.model:
            files[README] = self._readme.after(head, _decided(files))
        blobs = {path: self._repository.write_blob(data) for path, data in files.items()}
        linked = {SOURCE: record.source} if record.source else {}
        tree = self._repository.write_tree(self._repository.commit(head).tree, blobs, linked)
        return self._repository.write_commit(tree, (head,), message, self.author())

    def _check(self, record: Record, model: str | None, head: str) -> None:
        """Refuse a record that the fold would not take as it stands: a mistake of the caller, or an edited version."""
        if record.model != model or (model is not None and not NAME.fullmatch(model)):
            raise LedgerError(f"{record.model!r} cannot be the model of this {record.kind} record")
        if self._config.is_for_trials != (record.source is not None):
            words = "needs the source tree that it ran on" if record.source is None else "cannot hold a source tree"
            raise LedgerError(f"a record of {self._config.ledger} {words}")
        read = self._reader.read(head)
        for path, data in record.files.items():
            if not owns(record, path):
                raise LedgerError(f"a {record.kind} record may not write {path}")
            if record.kind is Kind.DATA and read(path) not in {None, data}:
                raise LedgerError(
                    f"{path} is recorded already, with other contents; a recorded version is never changed",
                    help=(f"git show {self._config.ledger}:{path}",),
                )

    def merge(self, landed: str, tip: str, pending: tuple[str, ...]) -> str:
        """Store the commit that lands own pending records on what others landed, and return its id; moves no ref.

        Its tree is the tree of `landed` with these records folded over it, in order.
        """
        records = self._reader.records(pending)
        files = dict(self._reader.folded(landed, pending))
        if any(record.kind.moves_stages for record in records):
            files[README] = self._readme.after(landed, _decided(files))
        blobs = {path: self._repository.write_blob(data) for path, data in files.items()}
        tree = self._repository.write_tree(self._repository.commit(landed).tree, blobs)
        return self._repository.write_commit(tree, (landed, tip), f"{merge_subject(records)}\n", self.author())

    def index_line(self) -> None:
        """Bring the index to the local line and what has landed."""
        line = self._standing.line()
        self._index.catch_up(line.base, line.tail)

    def head_to_append(self) -> str:
        """Return the tip of the local line, of a branch that is this project's ledger; make it where there is none.

        A local line that holds nothing of its own follows what has landed. The caller holds `append.lock`.
        """
        ref = self._ref if self._config.is_local else branch_ref(self._repository, self._config.ledger)
        line = self._standing.line()
        head = line.tip
        if line.landed is not None and not line.pending and head != line.landed:
            if not move_ref(self._repository, ref, head, line.landed, "custody: landed"):
                return self.head_to_append()
            head = line.landed
        if head is None:
            head = write_first_commit(self._repository, self._config.id, trials=self._config.is_for_trials)
            if not move_ref(self._repository, ref, None, head, "custody: first commit"):
                return self.head_to_append()
        elif not self._trusted:
            self.check_project(head)
        self._trusted = True
        return head

    def check_project(self, head: str) -> None:
        """Refuse to append to a branch that is something else than this project's ledger."""
        self._index.catch_up(head)
        first = self._index.one("SELECT id FROM commits ORDER BY position LIMIT 1")
        trailers = dict(parse_trailers(self._repository.commit(first).message)) if first else {}
        if self._index.complete and trailers.get("Project") != self._config.id:
            raise LedgerError(
                f"the branch {self._config.ledger} is not the ledger of this project (id {self._config.id})",
                help=(
                    f"git log --reverse --oneline {self._config.ledger} | head -1",
                    "git diff HEAD -- .mlops/config.yaml",
                ),
            )

    def _follow(self, head: str) -> None:
        """Bring index and notes up to `head`. The record is safe by now: what fails here is caught up later."""
        with suppress(CustodyError, OSError, sqlite3.Error):
            self.index_line()
            upto = projected_upto(self._repository)
            after = self._index.one("SELECT position FROM commits WHERE id = ?", upto) if upto else None
            self._project_notes(head, -1 if after is None else int(after))

    def _project_notes(self, head: str, after: int) -> str | None:
        """Write the lines of the records behind the position `after` to the notes."""
        lines = self.lines_after(after)
        return write_notes(self._repository, lines, head, self.author()) if lines else None

    def lines_after(self, after: int) -> dict[str, list[str]]:
        """Return the lines that the indexed records behind a position want in the notes of their targets."""
        lines: dict[str, list[str]] = {}
        rows = self._index.query("SELECT id FROM commits WHERE noted AND position > ? ORDER BY position", after)
        for (commit,) in rows:
            entry = self._reader.entry(commit)
            for target, line in notes_of(entry) if entry else ():
                lines.setdefault(target, []).append(line)
        return lines

    def author(self) -> Person:
        return Person(self._hand.identity.name, self._hand.identity.email, self._hand.clock().astimezone(UTC))

    def rebuild_notes(self) -> str | None:
        """Make the notes what the records say and nothing else; return the commit, None where they are that already."""
        with file_lock(self._repository.common_dir, "append.lock"), refusals():
            head = self._standing.line().base
            self.index_line()
            return rewrite_notes(self._repository, self.lines_after(-1), head, self.author()) if head else None

    def rebuild_index(self) -> None:
        """Make the index anew from the commits alone."""
        self._index.discard()
        self.index_line()


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the repository refuses into the failure that `append` promises."""
    try:
        yield
    except GitError as error:
        raise LedgerError(f"nothing has been recorded: {error.message}", help=error.help) from error


def _decided(files: Mapping[str, bytes]) -> dict[str, ModelState]:
    """Return the states of the models whose stages are among the files."""
    names = (path.split("/")[1] for path in files if path.startswith("models/"))
    return {name: decode_stages(name, files[path]) for name in names if (path := stages_path(name)) in files}
