"""Index and notes beside the records: whether they say what the records say, and making them anew where they do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from custody.domain.audit import Extent, Fault
from custody.domain.record import Entry
from custody.errors import CustodyError
from custody.git.notes import NOTES_REF, all_notes, projected_upto
from custody.git.objects import Repository
from custody.git.refs import read_ref
from custody.ledger.codec import notes_of
from custody.ledger.index import Index
from custody.ledger.rows import STEPS, Row, as_stored, row_of
from custody.ledger.tables import keys_of

REPAIR = "custody ledger repair"
_MOST = 20
"""Faults of one projection that are told one by one."""


class IndexAudit:
    """Goes along the rows of the index beside the commits."""

    def __init__(self, index: Index, head: str | None, tail: tuple[str, ...]) -> None:
        self._told = 0
        self._broken: str | None = None
        try:
            index.catch_up(head, tail)
            self._rows = index.rows()
        except (CustodyError, sqlite3.Error) as error:
            self._broken, self._rows = str(error), iter(())

    def faults(self, position: int, commit: str, data: bytes, *, on_line: bool) -> Iterator[Fault]:
        """Yield how the row of a commit differs from the commit, whose bytes are `data`."""
        expected, found = as_stored(row_of(position, commit, data, line=on_line)), self._next()
        if found is None or self._broken:
            return
        row, keys = found
        named = keys_of(expected[STEPS] or "") if keys is not None else None
        if (expected, named) == found:
            return
        self._told += 1
        if self._told <= _MOST:
            one, other = next(pair for pair in zip((*expected, named), (*row, keys), strict=True) if pair[0] != pair[1])
            yield Fault("index.differs", f"index, commit {commit[:12]}", str(one), str(other), REPAIR, commit)

    def rest(self) -> Iterator[Fault]:
        """Yield what is left: rows of no commit, or an index that cannot be read."""
        left = self._next()
        if self._broken:
            yield Fault("index.unreadable", "index", "an index that can be read", self._broken, REPAIR)
        elif left is not None:
            yield Fault("index.differs", "index", "a row for each commit and no other", str(left[0][1]), REPAIR)
        if self._told > _MOST:
            yield Fault("index.differs", "index", "rows as the commits say", f"{self._told} that differ", REPAIR)

    def _next(self) -> tuple[Row, list[int] | None] | None:
        try:
            return next(self._rows, None)
        except (sqlite3.Error, ValueError) as error:
            self._broken = str(error)
            return None


class NotesAudit:
    """Collects the lines that records want in the notes, and compares."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._wanted: dict[str, dict[str, int]] = {}
        self._records = 0

    def expect(self, entry: Entry) -> None:
        """Add what a record wants."""
        for target, line in notes_of(entry):
            self._wanted.setdefault(target, {}).setdefault(line, self._records)
        self._records += 1

    def faults(self, order: Iterable[str], extent: Extent) -> Iterator[Fault]:
        """Yield lines that are missing or that no record wants; fills `notes` and `behind`."""
        if read_ref(self._repository, NOTES_REF) is None:
            return
        try:
            present = dict(all_notes(self._repository))
        except CustodyError as error:
            yield Fault("notes.unreadable", NOTES_REF, "notes that can be read", error.message, REPAIR)
            return
        upto = projected_upto(self._repository)
        extent.notes = sum(len(lines) for lines in self._wanted.values())
        yield from self._differences(present, behind=upto not in set(order), extent=extent)

    def _differences(self, present: Mapping[str, frozenset[str]], *, behind: bool, extent: Extent) -> Iterator[Fault]:
        told = 0
        for target in sorted({*self._wanted, *present}):
            wanted, found = self._wanted.get(target, {}), present.get(target, frozenset())
            missing = [line for line in wanted if line not in found]
            foreign = sorted(found - wanted.keys())
            extent.behind += len(missing) if behind else 0
            for expected, line in [("a line", line) for line in missing if not behind] + [
                ("", line) for line in foreign
            ]:
                told += 1
                if told <= _MOST:
                    one, other = (line, "no such line") if expected else ("a line that a record wants", line)
                    yield Fault("notes.differ", f"note on {target[:12]}", one, other, REPAIR)
        if told > _MOST:
            yield Fault("notes.differ", NOTES_REF, "notes as the records say", f"{told} lines that differ", REPAIR)
