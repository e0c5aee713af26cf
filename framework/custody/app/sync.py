"""Sync: bring the shared ledger here and land what is here only, by hand."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Fetch the ledger, then share own facts, trying for `timeout` seconds; the same with trials of commits.

    Decides nothing.
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
    shares = [(pending, ledger.share((), timeout))]
    project.trials.fetch(first=shallow)
    if tried := project.trials.pending():
        shares.append((tried, project.trials.share((), timeout)))
    return _synced(remote, shares, fetched.others, ledger.head())


def _synced(remote: str, shares: Sequence[tuple[tuple[Entry, ...], Shared]], others: int, head: str | None) -> Synced:
    """Put together what came of sharing the ledger's records and those of trials."""
    pending = tuple(entry for entries, _ in shares for entry in entries)
    left = {entry.id for _, shared in shares if not shared.landed for entry in shared.pending}
    landed = tuple(entry for entry in pending if entry.id not in left)
    others += shares[0][1].others
    reason = next((shared.reason for _, shared in shares if shared.reason), "")
    left_out = tuple(line for _, shared in shares for line in shared.left_out)
    help_ = next((shared.help for _, shared in shares if shared.help), ())
    return Synced(remote, pending, landed, others, head, reason, left_out, help_)
