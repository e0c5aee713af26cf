"""How records of several writers come together: landing order, what is pending, and what a merge holds. Pure.

The *local line* of a clone is the head that had landed when it last settled, then its own facts, one parent each.
*Landed* is the last head known to be on the remote. Commits are told by their ids; `parents` gives those of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from custody.core.fold import fold
from custody.domain.record import Record
from custody.domain.revision import Read

Parents = Callable[[str], tuple[str, ...]]
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Line:
    """How a clone stands to its remote. Without a remote, and before anything landed, `landed` is None.

    `pending` are the commits of the local line down to the first landed one, oldest first.
    """

    landed: str | None
    tip: str | None
    pending: tuple[str, ...] = ()
    diverged: bool = False

    @property
    def base(self) -> str | None:
        """The commit whose tree reading starts from: landed where the two have diverged, else the newer one."""
        return self.landed if self.landed is not None and (self.diverged or not self.pending) else self.tip

    @property
    def tail(self) -> tuple[str, ...]:
        """What has to be folded on top of the tree of `base`."""
        return self.pending if self.diverged else ()


def line_of(landed: str | None, tip: str | None, parents: Parents) -> Line:
    """Return how the local line stands to what has landed.

    Raises ValueError where the two have no commit in common, or where the local line holds a merge that has not landed:
    nothing may be built upon one.
    """
    if tip is None or tip == landed:
        return Line(landed, tip)
    common = newest_common(tip, landed, parents) if landed else None
    if landed and common is None:
        raise ValueError("it has no commit in common with what has landed")
    pending: list[str] = []
    here: str | None = tip
    while here is not None and here != common:
        above = parents(here)
        if len(above) > 1 and common is not None:
            raise ValueError(f"the local line holds the merge {here}, which has not landed")
        pending.append(here)
        here = above[0] if above else None
    pending.reverse()
    return Line(landed, tip, tuple(pending), diverged=bool(pending) and landed is not None and common != landed)


class _FirstParents:
    """Walks a first-parent line, one commit a step, and keeps what it has seen, newest first."""

    def __init__(self, start: str, parents: Parents) -> None:
        self._parents = parents
        self._next: str | None = start
        self.seen: dict[str, int] = {}

    def step(self) -> str | None:
        here = self._next
        if here is not None:
            self.seen[here] = len(self.seen)
            above = self._parents(here)
            self._next = above[0] if above else None
        return here


def newest_common(tip: str, landed: str, parents: Parents) -> str | None:
    """Return the newest commit of the local line that has landed; None where there is none.

    1. Both first-parent lines are walked until they meet.
    2. Own commits above that have landed as the other parent of a merge, or behind one: each is followed down to the
       first-parent line of what landed. So it costs what is new, not what is there.
    """
    own, main = _FirstParents(tip, parents), _FirstParents(landed, parents)
    met = _meet(own, main)
    if met is None:
        return None
    newest, segment = met, list(main.seen)
    for commit in segment[: main.seen.get(met, len(segment))]:
        for side in parents(commit)[1:]:
            here: str | None = side
            while here is not None and here not in main.seen and here not in own.seen:
                main.step()
                above = parents(here)
                here = above[0] if above else None
            if here is not None and own.seen.get(here, own.seen[newest]) < own.seen[newest]:
                newest = here
    return newest


def _meet(own: _FirstParents, main: _FirstParents) -> str | None:
    while True:
        ours, theirs = own.step(), main.step()
        if ours in main.seen:
            return ours
        if theirs in own.seen:
            return theirs
        if ours is None and theirs is None:
            return None


def landing_order(head: str, parents: Parents) -> list[str]:
    """Return L(head): L(first parent), then what only the others reach, parents before children, then `head`."""
    order: dict[str, None] = {}
    stack: list[tuple[str, Iterator[str]]] = []
    pending = [head]
    while pending or stack:
        if pending:
            commit = pending.pop()
            if commit not in order:
                stack.append((commit, iter(parents(commit))))
            continue
        commit, rest = stack[-1]
        above = next(rest, None)
        if above is None:
            stack.pop()
            order[commit] = None
        else:
            pending.append(above)
    return list(order)


def on_first_parent_line(former: str, head: str, parents: Parents) -> bool:
    """Whether `former` lies on the first-parent line of `head`: else what had landed was rewritten.

    While this holds, L(former) is a prefix of L(head). Walks the new part only.
    """
    here: str | None = head
    while here is not None and here != former:
        above = parents(here)
        here = above[0] if above else None
    return here == former


def fold_over(read: Read, records: Iterable[Record]) -> dict[str, bytes]:
    """Return the files that the records add or replace, in this order, in the tree that `read` reads.

    Raises ValueError as `fold` does.
    """
    over: dict[str, bytes] = {}

    def seen(path: str) -> bytes | None:
        return over[path] if path in over else read(path)

    for record in records:
        over.update(fold(seen, record))
    return over


def merge_subject(records: Sequence[Record]) -> str:
    """Return the subject of the merge that lands these records: their own where it is one, else how many of what."""
    if len(records) == 1:
        return records[0].subject
    models = sorted({record.model for record in records if record.model})
    named = ", ".join(models[:_NAMED]) + (f" and {len(models) - _NAMED} more" if len(models) > _NAMED else "")
    return f"{len(records)} records: {named or 'data'}"
