"""One share under way: what is offered to the remote, and what earlier tries offered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from custody.domain.ports import Collection, Decision
from custody.git.contents import STORE_REF
from custody.git.notes import NOTES_REF


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is offered: the ledger's head, the notes, the content, and the decisions by the id of their record."""

    head: str
    notes: str | None
    store: str | None
    decided: dict[str, str]

    def refs(self, ledger: str) -> dict[str, str]:
        """Return what is pushed. Where it cannot be pushed at once this order holds.

        Content without a record is harmless, and notes follow from the ledger.
        """
        return {ref: to for ref, to in ((STORE_REF, self.store), (ledger, self.head), (NOTES_REF, self.notes)) if to}


@dataclass(slots=True)
class Share:
    """One share: what earlier tries offered, and how they ended. `deadline` is in seconds."""

    decisions: Sequence[Decision]
    deadline: float
    began: float = field(default_factory=time.monotonic)
    offered: list[Candidate] = field(default_factory=list)
    landed: dict[str, str] = field(default_factory=dict)
    tries: int = 0
    locked: int = 0
    others: int = 0
    warning: str = ""
    collection: Collection | None = None

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() - self.began > self.deadline
