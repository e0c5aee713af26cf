"""What came of one model in an apply or a trial, as far as it is told by now."""

from __future__ import annotations

from dataclasses import dataclass

from custody.domain.plan import StageMove
from custody.domain.record import Run


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What was recorded for one model: the run, whether it ran and was judged now, the commit, and the decisions.

    `asked` are the moves that are wanted, by the id of their record; `registered` and `promoted` are told once landed.
    """

    run: Run | None
    commit: str | None = None
    ran: bool = False
    registered: str | None = None
    promoted: tuple[StageMove, ...] = ()
    note: str = ""
    judged: bool = False
    asked: tuple[tuple[str, StageMove], ...] = ()
