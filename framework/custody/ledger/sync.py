"""Sharing the ledger through a Git remote: facts are merged, decisions are made anew on what has just landed.

One share is a loop until the remote takes the candidate or the deadline is over: fetch, look whether an earlier try has
landed after all, put own facts on what has landed, decide on top of that, push, settle. Nothing is told before that.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from custody.core.landing import Line
from custody.domain.ports import Collection, Decision, Fetched, Shared
from custody.domain.record import Entry
from custody.errors import CustodyError, LedgerError
from custody.git.contents import STORE_REF
from custody.git.notes import NOTES_REF, join_notes, upto_of
from custody.git.objects import FOLDER, Repository
from custody.git.refs import clear_stale_lock, is_ancestor, move_ref, read_ref
from custody.git.transport import (
    Fate,
    Pushed,
    fate_of,
    fetch,
    fetch_objects,
    promises,
    push,
    remote_path,
)
from custody.ledger.attempt import Candidate, Share
from custody.ledger.contents import Contents
from custody.ledger.index import Index
from custody.ledger.locks import file_lock
from custody.ledger.reader import Reader
from custody.ledger.standing import Standing
from custody.ledger.writer import Writer, refusals

_LOCKED_TRIES = 3
_LOCK_AGE = 60.0
_PAUSE = 3.0
"""How many times the length of its own attempt a loser waits at most, before the first retry; less after each."""
SYNC = "custody sync"


class Sharing:
    """Fetches and shares one ledger. Holds the ledger's lock for its own work, not while Git talks to the remote."""

    def __init__(
        self,
        standing: Standing,
        index: Index,
        reader: Reader,
        writer: Writer,
        contents: Contents,
        lock: threading.RLock,
    ) -> None:
        self._standing = standing
        self._repository: Repository = standing.repository
        self._index = index
        self._reader = reader
        self._writer = writer
        self._contents = contents
        self._lock = lock
        self._notes_refused = False
        self._noted = not standing.trials

    @property
    def _remote(self) -> str:
        return str(self._standing.remote)

    def fetch(self, *, first: bool) -> Fetched:
        """Bring the shared ledger and notes here. Raises LedgerError where the ledger was rewritten."""
        with file_lock(self._repository.common_dir, "share.lock"):
            return self._fetch(first=first)

    def share(self, decisions: Sequence[Decision], deadline: float, collection: Collection | None = None) -> Shared:
        """Land own facts, the decisions and a gc. Raises LedgerError where that can never succeed as things are."""
        with file_lock(self._repository.common_dir, "share.lock"), refusals():
            self._clear_locks()
            share = Share(decisions, deadline, collection=collection)
            while True:
                began = time.monotonic()
                # facts alone may be offered on what is known; most often nobody else has landed anything meanwhile
                known = read_ref(self._repository, self._standing.landed) is not None
                if share.decisions or share.collection or share.tries or not known:
                    fetched = self._fetch(first=False, branches=collection.branches if collection else ())
                    share.others += fetched.others
                    if fetched.offline:
                        return self._unshared(f"{self._remote} was not reached: {fetched.offline}")
                if (done := self._try(share)) is not None:
                    return done
                share.tries += 1
                if share.over:
                    return self._unshared(self._busy(share), share.others)
                spent = time.monotonic() - began
                time.sleep(random.uniform(0, _PAUSE * spent / share.tries))  # noqa: S311 - no secret

    def pending(self) -> tuple[Entry, ...]:
        """Return own records that have not landed, oldest first."""
        with self._lock:
            found = (self._reader.entry(commit) for commit in self._standing.line().pending)
            return tuple(entry for entry in found if entry)

    def _try(self, share: Share) -> Shared | None:
        """Offer one candidate; None where somebody was faster and another one is to be made."""
        with self._lock:
            if self._landed_after_all(share):
                return Shared(True, share.landed, others=share.others)
            candidate = self._candidate(share)
            landed = self._standing.line().landed
            if candidate is None or candidate.head == landed:
                self._settle(landed, None)
                return Shared(True, share.landed, reason=share.warning, others=share.others)
            share.offered.append(candidate)
        return self._answered(share, candidate, self._push(candidate))

    def _answered(self, share: Share, candidate: Candidate, pushed: Pushed) -> Shared | None:
        fate = fate_of(pushed, self._standing.local)
        # a gc without its record would drop what a record of somebody else has just named
        if fate is Fate.NO_ATOMIC and share.collection is None:
            pushed = self._push_one_by_one(candidate)
            fate = fate_of(pushed, self._standing.local)
        match fate:
            case Fate.LANDED | Fate.PARTLY:
                reason = share.warning if fate is Fate.LANDED else self._refused_text(pushed)
                notes = candidate.notes if pushed.accepted(NOTES_REF) else None
                with self._lock:
                    if candidate.store and pushed.accepted(STORE_REF):
                        self._contents.settle(candidate.store)
                    self._settle(candidate.head, notes)
                return Shared(True, {**share.landed, **candidate.decided}, reason=reason, others=share.others)
            case Fate.RACE:
                return None
            case Fate.SERVER_LOCK:
                share.locked += 1
                return None if share.locked < _LOCKED_TRIES else self._server_locked(share)
            case Fate.REFUSED if pushed.culprits and not {*pushed.culprits} - self._dispensable(share):
                return self._answered_again(share, candidate, pushed)
            case Fate.REFUSED:
                return self._unshared(f"{self._remote} refuses the ledger: {self._refused_text(pushed)}")
            case _:
                return self._unanswered(share, pushed)

    def _dispensable(self, share: Share) -> set[str]:
        """What a host may refuse: notes are a projection, content is a cache. A gc does not land without its drop."""
        return {NOTES_REF} if share.collection else {NOTES_REF, STORE_REF}

    def _unanswered(self, share: Share, pushed: Pushed) -> Shared:
        """Look once whether a push without an answer has landed all the same; else say that it did not."""
        fetched = self._fetch(first=False)
        share.others += fetched.others
        with self._lock:
            if not fetched.offline and self._landed_after_all(share):
                return Shared(True, share.landed, others=share.others)
        return self._unshared(f"{self._remote} was not reached: {_host_text(pushed.text)}", share.others)

    def _answered_again(self, share: Share, candidate: Candidate, pushed: Pushed) -> Shared | None:
        """Offer the same without what the host does not take."""
        bare = candidate
        if NOTES_REF in pushed.culprits:
            self._notes_refused, bare = True, replace(bare, notes=None)
        if STORE_REF in pushed.culprits:
            self._contents.refused, bare = True, replace(bare, store=None)
        what = {NOTES_REF: "the notes", STORE_REF: "the content"}
        names = " and ".join(what[ref] for ref in pushed.culprits)
        share.warning = f"{self._remote} refuses {names}: {_host_text(pushed.text)}"
        return self._answered(share, bare, self._push(bare))

    def _fetch(self, *, first: bool, branches: Sequence[str] = ()) -> Fetched:
        standing, before = self._standing, read_ref(self._repository, self._standing.landed)
        known = self._records(before)
        exact = f"{standing.local}:{standing.landed}"
        notes = [f"+{NOTES_REF}*:{standing.notes}*"] if self._noted else []
        # cutting the history a second time would hide that own records have landed
        shallow = first and before is None and read_ref(self._repository, standing.local) is None
        others = [f"refs/heads/{name}*:refs/remotes/{self._remote}/{name}*" for name in branches]
        beside = [*notes, *self._contents.refspecs, *others]
        answer = fetch(self._repository, self._remote, [exact, *beside], first=shallow)
        if answer.absent:
            if beside:
                fetch(self._repository, self._remote, beside, first=shallow)
            if before is not None:
                raise standing.rewritten(before)
            # begun here: from now on it is known that nobody has a ledger yet
            with self._lock, file_lock(self._repository.common_dir, "append.lock"):
                self._writer.head_to_append()
            return Fetched(None)
        if answer.rewritten:
            raise standing.rewritten(before)
        if not answer.ok:
            return Fetched(before, offline=_host_text(answer.text))
        with self._lock:
            landed = standing.line().landed
            if landed is not None and landed != before:
                self._remember(landed)
                self._bring(landed)
                self._writer.check_project(landed)
            self._take_notes(None)
            return Fetched(landed, self._records(landed) - known)

    def _records(self, head: str | None) -> int:
        """Return how many records `head` holds, as far as the history is here."""
        if head is None:
            return 0
        with self._lock:
            self._index.catch_up(head)
            return int(self._index.one("SELECT count(*) FROM commits WHERE record IS NOT NULL"))

    def _bring(self, landed: str) -> None:
        """Bring the files that State is read from into a partial clone, in one batch."""
        if promises(self._repository, self._remote):
            root = self._repository.commit(landed).tree
            fetch_objects(self._repository, self._remote, list(self._blobs(root)))

    def _blobs(self, tree: str, depth: int = 0) -> list[str]:
        found: list[str] = []
        for entry in self._repository.tree(tree):
            if entry.mode != FOLDER:
                found.append(entry.id)
            elif depth or entry.name in {"models", "datasets"}:
                found += self._blobs(entry.id, depth + 1)
        return found

    def _landed_after_all(self, share: Share) -> bool:
        """Look for what earlier tries offered in what has landed, before anything is decided again.

        Whether there is nothing left to do: the candidate of an earlier try has landed whole.
        """
        if not share.offered:
            return False
        line = self._standing.line()
        self._index.catch_up(line.landed)
        for candidate in share.offered:
            for record, commit in candidate.decided.items():
                if self._index.one("SELECT 1 FROM commits WHERE record = ?", record):
                    share.landed[record] = commit
            if self._index.one("SELECT 1 FROM commits WHERE id = ?", candidate.head):
                self._settle(str(line.landed), None)
                return True
        return False

    def _candidate(self, share: Share) -> Candidate | None:
        """Return own facts on what has landed, and the decisions on top of that; None where there is nothing at all."""
        line = self._standing.line()
        if line.tip is None and line.landed is None and not share.decisions:
            return None
        head = self._head(line)
        decided: dict[str, str] = {}
        for decision in share.decisions:
            record = decision.make(self._reader.model(head, decision.model))
            if record is not None and record.id not in share.landed:
                head = decided[record.id] = self._writer.write(head, decision.model, record)
        store = self._contents.candidate(self._reader.records(line.pending), self._writer.author)
        if share.collection and (made := self._contents.collected(share.collection, store, self._writer.author)):
            record, store = made
            head = decided[record.id] = self._writer.write(head, None, record)
        notes = self._notes_for(head) if head != line.landed else None
        return Candidate(head, notes, store, decided)

    def _head(self, line: Line) -> str:
        """Return the commit to decide on: what has landed, own facts on top of it, or one merge of both."""
        if line.diverged:
            self._only_facts(line)
            return self._writer.merge(str(line.landed), str(line.tip), line.pending)
        if line.base is not None:
            return line.base
        with file_lock(self._repository.common_dir, "append.lock"):
            return self._writer.head_to_append()

    def _only_facts(self, line: Line) -> None:
        """Refuse to merge decisions: those of a ledger that was kept in this clone alone, before it was shared."""
        for record in self._reader.records(line.pending):
            if record.kind.decision:
                branch = self._standing.branch
                raise LedgerError(
                    f"{branch} here holds decisions that were made before it was shared ({record.subject}), and others"
                    f" have decided on {self._remote} meanwhile; decisions are never merged",
                    code="E712",
                    help=(f"git branch -m {branch} {branch}-alone && {SYNC}   sets aside what is only here",),
                )

    def _notes_for(self, head: str) -> str | None:
        """Return the commit of notes that goes with the candidate."""
        if not self._noted or self._notes_refused:
            return None
        landed, local = read_ref(self._repository, self._standing.notes), read_ref(self._repository, NOTES_REF)
        self._index.catch_up(head)
        upto = upto_of(self._repository, landed)
        after = self._index.one("SELECT position FROM commits WHERE id = ?", upto) if upto else None
        lines = self._writer.lines_after(-1 if after is None else int(after))
        self._bring_notes(landed, local)
        joined = join_notes(self._repository, landed, local, lines, head, self._writer.author())
        return None if joined == landed else joined

    def _bring_notes(self, *heads: str | None) -> None:
        if promises(self._repository, self._remote):
            trees = [self._repository.commit(head).tree for head in heads if head]
            fetch_objects(self._repository, self._remote, [blob for tree in trees for blob in self._blobs(tree, 1)])

    def _push(self, candidate: Candidate) -> Pushed:
        return push(self._repository, self._remote, candidate.refs(self._standing.local))

    def _push_one_by_one(self, candidate: Candidate) -> Pushed:
        """Push to a server that knows no atomic pushes, in the order of the refs, as far as each is accepted."""
        done = Pushed({}, 0, "")
        for ref, commit in candidate.refs(self._standing.local).items():
            one = push(self._repository, self._remote, {ref: commit}, atomic=False)
            done = Pushed({**done.refs, **one.refs}, one.code, f"{done.text}\n{one.text}".strip())
            if not one.accepted(ref):
                break
        return done

    def _settle(self, landed: str | None, notes: str | None) -> None:
        """Remember what has landed; let the local line follow where all of it has landed."""
        if landed is None:
            return
        standing = self._standing
        with file_lock(self._repository.common_dir, "append.lock"):
            # git push moves the tracking ref itself where the remote's refspec covers it, and a fetch may go further
            present = read_ref(self._repository, standing.landed)
            if present is None or (present != landed and not is_ancestor(self._repository, landed, present)):
                move_ref(self._repository, standing.landed, present, landed, "custody: landed")
            line = standing.line()
            self._remember(str(line.landed))
            if line.tip != line.landed and not line.pending:
                move_ref(self._repository, standing.local, line.tip, str(line.landed), "custody: landed")
            self._take_notes(notes)
        with suppress(CustodyError):
            self._writer.index_line()

    def _remember(self, landed: str) -> None:
        """Keep the landed head that was checked: all later ones must stand on it."""
        former = read_ref(self._repository, self._standing.checked)
        if former != landed:
            move_ref(self._repository, self._standing.checked, former, landed, "custody: checked")

    def _take_notes(self, landed: str | None) -> None:
        """Let the local notes hold all lines of the landed ones; `landed` are new ones. They are a projection."""
        if not self._noted:
            return
        with suppress(CustodyError):
            present = read_ref(self._repository, self._standing.notes)
            if landed is not None and landed != present:
                move_ref(self._repository, self._standing.notes, present, landed, "custody: landed")
                present = landed
            local = read_ref(self._repository, NOTES_REF)
            if present is None or local == present:
                return
            self._bring_notes(present, local)
            upto = upto_of(self._repository, present) or ""
            joined = join_notes(self._repository, present, local, {}, upto, self._writer.author())
            if joined is not None and joined != local:
                move_ref(self._repository, NOTES_REF, local, joined, "custody: landed")

    def _clear_locks(self) -> None:
        """Remove what a killed process of ours left of Git's locks on our own refs."""
        with file_lock(self._repository.common_dir, "append.lock"):
            for ref in self._standing.own_refs:
                clear_stale_lock(self._repository, ref)

    def _unshared(self, reason: str, others: int = 0, help: tuple[str, ...] = (SYNC,)) -> Shared:
        return Shared(False, {}, self.pending(), reason, help, others)

    def _busy(self, share: Share) -> str:
        landed = f"; {share.others} records of others landed" if share.others else ""
        return f"the ledger on {self._remote} was busy for {share.deadline:.0f} s{landed}"

    def _refused_text(self, pushed: Pushed) -> str:
        refs = ", ".join(f"{ref} ({pushed.refs[ref].reason})" for ref in pushed.culprits)
        return f"{refs or 'the push'}: {_host_text(pushed.text)}"

    def _server_locked(self, share: Share) -> Shared:
        """Say that a process that died has left its lock on the server; it is never removed unasked."""
        reason = f"a lock file was left on {self._remote} by a push that died; it stops every writer"
        folder = remote_path(self._repository, self._remote)
        lock = folder / f"{self._standing.local}.lock" if folder else None
        try:
            old = lock is not None and time.time() - lock.stat().st_mtime > _LOCK_AGE
        except OSError:
            old = False
        help_ = (f"rm {lock} && {SYNC}",) if old else (f"{SYNC}   later; else ask whoever keeps {self._remote}",)
        return self._unshared(reason, share.others, help_)


def _host_text(text: str) -> str:
    """Return what the host and git said, as one line without git's own advice."""
    lines = [line.removeprefix("remote:").strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("hint:", "To ", "error: failed to push", "From "))]
    return "; ".join(kept)[:500] or "no reason given"
