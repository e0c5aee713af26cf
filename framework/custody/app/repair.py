"""Repair: make the projections of the ledger again, its index and its notes. The records are never touched."""

from __future__ import annotations

from dataclasses import dataclass

from custody.app.project import Project


@dataclass(frozen=True, slots=True)
class Repaired:
    """The head that index and notes now follow, and the commit of notes that was written, None where none had to be."""

    head: str | None
    notes: str | None


def repair(project: Project) -> Repaired:
    """Make the index anew from the commits, and the notes what the records say and nothing else.

    Raises LedgerError where the history is damaged or the repository refuses.
    """
    project.ledger.rebuild_index()
    return Repaired(project.ledger.head(), project.ledger.rebuild_notes())
