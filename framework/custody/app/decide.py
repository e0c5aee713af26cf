"""Decisions of one apply: they wait until they are shared, with as few pushes as are sensible, and are told then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from custody.domain.ports import Decision, Ledger, Shared

_INTERVAL = 5.0
"""Seconds between two pushes of one apply."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decision and the words for it where it could not be made: `promote churn`."""

    decision: Decision
    words: str


class Decisions:
    """What an apply wants to be decided. Without a remote it is decided at once."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._last: float | None = None
        self._waiting: list[Wanted] = []
        self._warning = ""
        self.offline = False
        self.landed: dict[str, str] = {}

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Take decisions of one model, in order, and share what waits where the last push is some seconds ago."""
        self._waiting += wanted
        now = self._clock()
        if self._ledger.remote is None or (not self.offline and (self._last is None or now - self._last >= _INTERVAL)):
            self.share(0.0)

    def share(self, deadline: float) -> Shared:
        """Share own facts and what waits, trying for `deadline` seconds; what does not land goes on waiting."""
        shared = self._ledger.share([item.decision for item in self._waiting], deadline)
        self._last = self._clock()
        if shared.landed:
            self._waiting.clear()
            self.landed.update(shared.commits)
            # what the host does not take is said by one share alone, and the last one is told
            self._warning = shared.reason or self._warning
            return replace(shared, reason=self._warning)
        return shared

    @property
    def waiting(self) -> tuple[str, ...]:
        """What has not been decided, in words."""
        return tuple(item.words for item in self._waiting)
