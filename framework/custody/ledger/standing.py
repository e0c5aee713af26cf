"""How this clone's ledger stands to the remote's: the refs on both sides, and the line that follows from them.

| ref | meaning |
| --- | --- |
| `refs/heads/<ledger>` | the local line: what had landed when this clone last settled, then own facts |
| `refs/remotes/<remote>/<ledger>` | landed: the last head known to be on the remote |
| `refs/custody/<remote>/<ledger>` | the landed head that was checked last: all later ones must stand on it |
| `refs/custody/<remote>/notes/mlops` | landed notes; outside `refs/notes/`, where Git would show them twice |
"""

from __future__ import annotations

from custody.core.landing import Line, line_of, on_first_parent_line
from custody.domain.spec import Config
from custody.errors import LedgerError
from custody.git.notes import NOTES_REF
from custody.git.objects import Repository
from custody.git.refs import read_ref


class Standing:
    """Reads refs. Not safe for use by several threads at once: callers hold a lock."""

    def __init__(self, repository: Repository, config: Config) -> None:
        self.repository = repository
        self.branch = config.ledger
        self.remote = config.remote
        self.trials = config.is_for_trials
        self.local = config.ledger_ref
        self.landed = f"refs/remotes/{config.remote}/{config.ledger}"
        self.checked = f"refs/custody/{config.remote}/{config.ledger}"
        self.notes = f"refs/custody/{config.remote}/notes/{NOTES_REF.removeprefix('refs/notes/')}"
        self._known: tuple[str | None, str | None, Line] | None = None
        self._good: tuple[str, str] | None = None

    @property
    def own_refs(self) -> tuple[str, ...]:
        """All refs that custody moves for this ledger."""
        return self.local, self.landed, self.checked, self.notes, NOTES_REF

    def line(self) -> Line:
        """Return how the local line stands to what has landed.

        Raises LedgerError where the shared ledger was rewritten, or where the two do not belong together.
        """
        tip = read_ref(self.repository, self.local)
        landed = self._checked_landed() if self.remote else None
        if self._known is None or self._known[:2] != (landed, tip):
            self._known = landed, tip, self._line(landed, tip)
        return self._known[2]

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents of a commit that are here: a shallow clone has been cut somewhere."""
        parents = self.repository.parents(commit)
        if not self.repository.shallow_boundary:
            return parents
        return tuple(parent for parent in parents if self.repository.has(parent))

    def _line(self, landed: str | None, tip: str | None) -> Line:
        if self.remote is None or tip is None:
            return Line(landed, tip)
        try:
            return line_of(landed, tip, self.parents)
        except ValueError as error:
            raise LedgerError(
                f"{self.branch} here cannot be shared through {self.remote}: {error}",
                code="E711",
                help=(
                    f"git log --graph --oneline {self.branch} {self.landed}",
                    f"git branch -m {self.branch} {self.branch}-old   sets aside what is only here",
                ),
            ) from error

    def _checked_landed(self) -> str | None:
        landed = read_ref(self.repository, self.landed)
        former = read_ref(self.repository, self.checked)
        if former is None or landed == former:
            return landed
        if landed is None:
            return former
        if self._good != (former, landed):
            if not on_first_parent_line(former, landed, self.parents):
                raise self.rewritten(former)
            self._good = former, landed
        return landed

    def rewritten(self, former: str | None) -> LedgerError:
        """Return the failure of a remote whose ledger does not stand on what had landed there."""
        known = f": {former[:12]} had landed and is not on it" if former else ""
        return LedgerError(
            f"the shared ledger on {self.remote} was rewritten{known}; nothing is recorded on top of it",
            code="E710",
            help=(
                f"git log --oneline --graph {self.checked} {self.landed}",
                f"git push --force {self.remote} {self.checked}:{self.local}   puts back what had landed, if you may",
            ),
        )
