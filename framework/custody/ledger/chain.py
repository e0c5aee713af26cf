"""The chain of commits as an audit meets it: where it ends, where it is cut, and whether it only went forward.

`refs/verified/<ledger>` is the head that this clone saw last; as a ref, so that Git keeps what it leads to and a
rewritten ledger can be compared with what it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from custody.domain.audit import Extent, Fault
from custody.errors import CustodyError, GitError
from custody.git.refs import move_ref, read_ref
from custody.ledger.standing import Standing


class Chain:
    """Reads commits one by one; a commit that cannot be read has no parents here."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._repository = standing.repository
        self._verified = f"refs/verified/{standing.branch}"
        self._parents: dict[str, tuple[str, ...]] = {}
        self._cut: list[str] = []
        self._rewritten: Fault | None = None

    @property
    def whole(self) -> bool:
        """Whether all commits that were asked for have all of their parents here."""
        return not self._cut

    def heads(self) -> tuple[str | None, tuple[str, ...]]:
        """Return the head to audit and own records that have not landed; where the two disagree, what has landed."""
        standing = self._standing
        try:
            line = standing.line()
        except CustodyError as error:
            landed = read_ref(self._repository, standing.landed) if standing.remote else None
            tip, former = (read_ref(self._repository, ref) for ref in (standing.local, standing.checked))
            expected = f"a ledger on {standing.remote} that stands on {former}"
            help_ = error.help[0] if error.help else ""
            self._rewritten = Fault("chain.rewound", standing.landed, expected, f"{landed}: {error.message}", help_)
            return landed or tip, ()
        return line.base, line.tail

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents that are here; remembers where one is not."""
        if commit not in self._parents:
            try:
                parents = self._repository.parents(commit)
            except GitError:
                parents = ()
            here = tuple(parent for parent in parents if self._repository.has(parent))
            self._cut += [commit] if here != parents else []
            self._parents[commit] = here
        return self._parents[commit]

    def first_parents(self, head: str | None) -> frozenset[str]:
        """Return the first-parent line that ends at `head`."""
        found: set[str] = set()
        here = head
        while here is not None and here not in found:
            found.add(here)
            here = next(iter(self.parents(here)), None)
        return frozenset(found)

    def faults(self, line: frozenset[str], commits: set[str], extent: Extent) -> Iterator[Fault]:
        """Yield what is wrong with the chain as a whole. Fills `since`."""
        extent.since = read_ref(self._repository, self._verified)
        if self._rewritten:
            yield self._rewritten
        if extent.since and extent.since not in line:
            expected = f"{extent.since}, the head that this clone saw last, on the way to the head"
            help_ = f"git log --oneline --graph {self._verified} {self._standing.local}"
            found = f"{extent.head or 'no ledger'}, which does not stand on it"
            yield Fault("chain.rewound", self._standing.branch, expected, found, help_)
        for commit in self._cut:
            yield self._gap(commit)
        for name in self._repository.raw.references:
            if name.startswith("refs/replace/") and name.removeprefix("refs/replace/") in commits:
                shown = name.removeprefix("refs/replace/")
                help_ = f"git replace -d {shown}"
                yield Fault(
                    "chain.replaced", f"commit {shown[:12]}", "shown by Git as it is", f"{name} hides it", help_
                )

    def remember(self, line: frozenset[str]) -> None:
        """Keep what was seen for the next look, where it stands on what was seen before."""
        line_ = None if self._rewritten else self._standing.line()
        seen = (line_.landed if self._standing.remote else line_.tip) if line_ else None
        former = read_ref(self._repository, self._verified)
        if seen and seen != former and (former is None or former in line):
            try:
                move_ref(self._repository, self._verified, former, seen, "custody: verified")
            except GitError:
                # a clone that cannot be written may be audited; the next look compares with what was seen before
                return

    def _gap(self, commit: str) -> Fault:
        shallow = commit.encode() in self._repository.shallow_boundary
        code, found = ("chain.cut", "cut in this shallow clone") if shallow else ("chain.missing", "missing here")
        remote = self._standing.remote or "origin"
        help_ = f"git fetch --unshallow {remote}" if shallow else "git fsck --full"
        return Fault(code, f"commit {commit[:12]}", "its parents, down to the first commit", found, help_, commit)
