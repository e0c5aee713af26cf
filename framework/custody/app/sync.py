"""Sync: bring the shared ledger here and land what is here only, by hand."""

from __future__ import annotations

from dataclasses import dataclass

from custody.app.project import Project
from custody.domain.ports import Shared
from custody.domain.record import Entry
from custody.errors import UsageError


@dataclass(frozen=True, slots=True)
class Synced:
    """What one sync did: the own records that were pending, those of them that landed, and how many others landed."""

    remote: str
    pending: tuple[Entry, ...]
    landed: tuple[Entry, ...]
    others: int
    head: str | None
    reason: str = ""
    left_out: tuple[str, ...] = ()
    help: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[Entry, ...]:
        """What is still here only."""
        landed = {entry.id for entry in self.landed}
        return tuple(entry for entry in self.pending if entry.id not in landed)

    @property
    def done(self) -> bool:
        return not self.left and not self.help


def sync(project: Project, timeout: float) -> Synced:
    """Fetch the ledger, then share own facts, trying for `timeout` seconds; fetch the trials too. Decides nothing.

    Raises UsageError where no remote is configured, LedgerError where the shared ledger was rewritten.
    """
    ledger, remote = project.ledger, project.ledger.remote
    if remote is None:
        raise UsageError(
            "the ledger is kept in this clone alone: no remote is configured",
            code="E620",
            help=("add `remote: origin` to .mlops/config.yaml and commit",),
        )
    shallow = bool(project.worktree.repository.shallow_boundary)
    fetched = ledger.fetch(first=shallow)
    pending = ledger.pending()
    if fetched.offline:
        reason = f"{remote} was not reached: {fetched.offline}"
        return Synced(remote, pending, (), 0, ledger.head(), reason, help=("custody sync",))
    shared = ledger.share((), timeout)
    project.trials.fetch(first=shallow)
    return _synced(remote, pending, shared, fetched.others, ledger.head())


def _synced(remote: str, pending: tuple[Entry, ...], shared: Shared, others: int, head: str | None) -> Synced:
    left = {entry.id for entry in shared.pending} if not shared.landed else set()
    landed = tuple(entry for entry in pending if entry.id not in left)
    return Synced(remote, pending, landed, others + shared.others, head, shared.reason, shared.left_out, shared.help)
