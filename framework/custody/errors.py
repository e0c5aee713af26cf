"""The one family of expected failures, grouped by what the caller does next; each class carries its exit code.

Anything that is not a `CustodyError` is a bug in custody: the command line logs its traceback and exits 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class CustodyError(Exception):
    """An expected failure: `message` is complete on its own, `help` holds commands or edits that can be pasted."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        help: tuple[str, ...] = (),
        because: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.help = help
        self.because = because


class InvalidSpecError(CustodyError):
    """The specs have errors; `problems` holds all of them, warnings too (`domain.problem.Problem`)."""

    def __init__(self, problems: Sequence[Any], errors: int) -> None:
        super().__init__(f"{errors} error{'s' * (errors != 1)} in the specs", code="E100", help=("custody check",))
        self.problems = tuple(problems)


class RefusedError(CustodyError):
    """A policy, a gate or a missing approval says no."""

    exit_code = 4


class StalePlanError(CustodyError):
    """The plan is no longer the one that was reviewed."""

    exit_code = 5


class LockedError(CustodyError):
    """Somebody else holds the lock; waiting helps."""

    exit_code = 6


class PartialError(CustodyError):
    """Some of the work is done and recorded, some is not."""

    exit_code = 7


class UsageError(CustodyError):
    """The command line itself is wrong."""

    exit_code = 64


class CancelledError(CustodyError):
    """Interrupted by Ctrl-C (130) or SIGTERM (143); what had finished is recorded."""

    exit_code = 130


class StoreError(CustodyError):
    """The content store misses an object or holds damaged bytes."""


class LedgerError(CustodyError):
    """The ledger cannot be read or appended to."""


class GitError(CustodyError):
    """The Git repository is missing, unreadable, or of a kind that custody cannot use."""


class ContractError(CustodyError):
    """Data does not keep the contract of its dataset."""
