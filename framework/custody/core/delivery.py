"""When a message is sent again, when it is given up, and what tells two messages apart. Pure."""

from __future__ import annotations

from custody.digest import digest

GIVE_UP = 86400.0
"""Seconds after which a message is not sent any more."""
LEASE = 300.0
"""Seconds that one process may take to send a message."""
GRACE = 600.0
"""Seconds after which another clone sends what the one that recorded it has not, as far as the ledger says."""
KEEP = 30 * 86400.0
"""Seconds for which it is remembered what was sent."""
_FIRST, _LONGEST = 60.0, 900.0
_JITTER = 0.1


def message_key(incident: str, state: str, revision: int, channel: str) -> str:
    """Return what is the same for each attempt at one message, in whatever clone."""
    return digest([incident, state, revision, channel])[:32]


def next_attempt(key: str, attempts: int, now: float, after: float | None = None) -> float:
    """Return when to try again after `attempts` that failed: 1, 2, 4, 8, 15, 15 … minutes later, give or take a tenth.

    Not before the receiver wants it: `after` are the seconds that it asks for. Receivers are not all asked at once:
    the tenth hangs on the message's key.
    """
    pause: float = min(_LONGEST, _FIRST * 2 ** min(attempts - 1, 16))
    share = int(digest([key, attempts])[:8], 16) / 0xFFFFFFFF
    return now + max(pause * (1 + _JITTER * (2 * share - 1)), after or 0.0)
