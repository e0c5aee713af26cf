"""Verify: whether the record is true, from Git and the stored bytes alone.

The ledger goes first, commit by commit (`ledger/audit.py`); what each record names is gathered on the way and then held
against the source branch, the manifests, the trials and the content store. Nothing here is trusted, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from custody.app.project import Project
from custody.app.records import find_record, named_now
from custody.app.verify_bytes import Bytes
from custody.app.verify_source import Sources
from custody.core.audit import fault
from custody.domain.audit import Extent, Fault, Looked
from custody.domain.record import Entry, Kind
from custody.errors import CustodyError, UsageError

Progress = Callable[[str, int, int], None]
"""What is being looked at, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked about: all, one model under all `names` that it had, or one run of it."""

    model: str | None = None
    run: str | None = None
    names: tuple[str, ...] = ()

    def holds(self, model: str | None, run: str | None) -> bool:
        """Whether something about `model` and `run` belongs to it."""
        if self.run is not None:
            return run == self.run
        return self.model is None or model in {self.model, *self.names}

    def faults(self, found: tuple[Fault, ...]) -> Iterator[Fault]:
        """Yield those faults that are about it, or about the record as a whole."""
        return (item for item in found if item.model is None or self.holds(item.model, item.run))


@dataclass(slots=True)
class Verified:
    """What was verified: how much, what was found, and what is not here to be verified."""

    scope: Scope
    extent: Extent
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(project: Project, target: str | None, progress: Progress, *, full: bool = False) -> Verified:
    """Verify the whole record, or what it says of MODEL or RUN; with `full` fetch what is missing, and read tables.

    Raises UsageError where nothing is recorded of the target.
    """
    fetched = list(_fetch(project)) if full else []
    scope = _scope(project, target) if target else Scope()
    found = Verified(scope, Extent(), faults=fetched)
    sources, stored = Sources(project, scoped=bool(target)), Bytes(project, scoped=bool(target))
    for number, looked in enumerate(project.ledger.audit(found.extent)):
        found.faults += scope.faults(looked.faults)
        _count(found, looked)
        if looked.entry and (looked.version is not None or _asked(scope, looked.entry)):
            found.faults += _gather(looked, looked.entry, sources, stored)
        progress("commits of the ledger", number, found.extent.total)
    found.faults += sources.faults()
    found.faults += stored.faults(progress, full=full)
    found.counts |= sources.counts | stored.counts
    found.absent += stored.absent
    found.remarks += sources.remarks
    return found


def _asked(scope: Scope, entry: Entry) -> bool:
    return scope.holds(entry.trailer("Model"), entry.trailer("Run"))


def _gather(looked: Looked, entry: Entry, sources: Sources, stored: Bytes) -> Iterator[Fault]:
    """Take what a record names; a file of the wrong shape is a fault of the record."""
    try:
        sources.gather(looked)
        stored.gather(looked)
    except (CustodyError, TypeError, AttributeError, ValueError, LookupError) as error:
        yield fault(entry, "run.unreadable", "files as custody writes them", f"{type(error).__name__}: {error}")


def _count(found: Verified, looked: Looked) -> None:
    kind = looked.entry.kind if looked.entry else None
    if kind is None or kind not in list(Kind):
        return
    if looked.entry and _asked(found.scope, looked.entry):
        found.counts[kind] = found.counts.get(kind, 0) + 1
        if looked.run and looked.run.verdict and kind != Kind.METADATA:
            found.counts["verdicts"] = found.counts.get("verdicts", 0) + 1


def _fetch(project: Project) -> Iterator[Fault]:
    """Bring what the remote has; a remote that was rewritten is a fault."""
    try:
        fetched = project.ledger.fetch()
    except CustodyError as error:
        yield Fault(
            "chain.rewound",
            str(project.ledger.remote),
            "a ledger that goes on from what had landed",
            error.message,
            error.help[0] if error.help else "",
        )
        return
    if fetched.offline:
        yield Fault("remote.offline", str(project.ledger.remote), "an answer", fetched.offline, "custody sync")


def _scope(project: Project, target: str) -> Scope:
    """Return what MODEL or RUN (the beginning of an id) stands for."""
    if state := named_now(project.ledger.state(), target):
        return Scope(state.name, names=state.was)
    entry = find_record(project.ledger, target)
    run = entry.trailer("Run") if entry else None
    if entry is None or run is None:
        raise UsageError(f"nothing is recorded of {target!r}", code="E603", help=("custody log",))
    return Scope(entry.trailer("Model"), run)
