"""What an audit finds: the faults of the record, and what was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from custody.domain.batch import Batch
from custody.domain.record import Entry, Run


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be: `code` is the kind (`run.trailers`), `where` names the record or file.

    `expected` and `found` are words for people, `help` one command or edit. `commit` is that of the record, `model` and
    `run` whom it is about; without a model it is about the record as a whole.
    """

    code: str
    where: str
    expected: str
    found: str
    help: str = ""
    commit: str | None = None
    model: str | None = None
    run: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        names = ("code", "where", "expected", "found", "help", "commit", "model", "run")
        return {name: getattr(self, name) or None for name in names}


@dataclass(frozen=True, slots=True)
class Looked:
    """One commit of the ledger as an audit saw it; `entry` is None for one that holds no record.

    `run` is what the record wrote as `run.json`, `version` what it wrote of a dataset's version, `batch` what it wrote
    of sealed predictions.
    """

    commit: str
    entry: Entry | None = None
    run: Run | None = None
    version: Mapping[str, Any] | None = None
    batch: Batch | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Extent:
    """What an audit of the ledger covered; filled while it goes on.

    `since` is the head that this clone saw last, None at the first look. `behind` counts notes that a killed writer
    owes, `notes` is None where there are none here.
    """

    total: int = 0
    records: int = 0
    head: str | None = None
    since: str | None = None
    notes: int | None = None
    behind: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    """Kinds of records that this custody does not know, with their number."""
