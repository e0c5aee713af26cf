"""What is recorded at the present head, for who only looks: no index, no writing, nothing fetched."""

from __future__ import annotations

import threading

from custody.domain.record import Entry, State
from custody.domain.spec import Config
from custody.git.objects import Repository
from custody.ledger.reader import Reader
from custody.ledger.standing import Standing


def state_at_head(repository: Repository, config: Config) -> tuple[State, Entry | None]:
    """Return the state, and the last record where the head itself is one.

    Raises LedgerError as `GitLedger.state` does.
    """
    line = Standing(repository, config).line()
    reader = Reader(repository, threading.RLock())
    state = reader.state(line.base, line.tail)
    return state, reader.entry(state.head) if state.head else None
