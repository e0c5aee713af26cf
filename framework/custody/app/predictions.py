"""Predictions that were kept: the sealed batches of a model, and one prediction by its id, sealed or in the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from custody.app.project import Project
from custody.app.sealing import journal_root
from custody.core.predictions import ID, KEY, PREDICTION, PROBABILITY, TIME, batch_of, moment, moment_of
from custody.domain.batch import Batch
from custody.domain.serving import Prediction, Promoted
from custody.errors import CustodyError, UsageError
from custody.serving import journal
from custody.serving.frames import FrameError

_FOLDER = "predictions"
_SLACK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Found:
    """One prediction: `values` are all columns of its row, as `content` of its batch holds them.

    `row` is its place in the batch, from 0. `batch` is None where it is in the journal still; `version` is None where
    what made it was not registered.
    """

    id: str
    time: str
    model: str
    run: str
    version: str | None
    artifact: str
    prediction: Any
    values: Mapping[str, Any]
    batch: Batch | None = None
    row: int | None = None

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each class, by its text."""
        return {name.removeprefix(PROBABILITY): value for name, value in self.values.items() if _probability(name)}

    @property
    def features(self) -> dict[str, Any]:
        """What was kept of the inputs, by name; features that are personal, or were not told, are absent."""
        own = {ID, TIME, KEY, PREDICTION}
        kept = {name: value for name, value in self.values.items() if name not in own and not _probability(name)}
        return {name.removeprefix("feature."): value for name, value in kept.items()}


def batches(project: Project, model: str, start: str | None = None, end: str | None = None) -> tuple[Batch, ...]:
    """Return the sealed batches of a model that hold rows from `start` to before `end` may be, in order of time.

    Both are ISO 8601 with offset; None: all there are. Batches of former names of the model are its own. Raises
    LedgerError where one cannot be read.
    """
    state = project.ledger.model(model)
    low = None if start is None else moment_text(start)
    high = None if end is None else moment_text(end)
    found = [
        batch
        for name in (model, *state.was)
        for batch in _batches(project, f"{_FOLDER}/{name}", low, high)
        if (low is None or batch.last >= low) and (high is None or batch.first < high)
    ]
    return tuple(sorted(found, key=lambda batch: (batch.first, batch.id)))


def content(project: Project, batch: Batch) -> Any:
    """Return the rows of a batch as an Arrow table, verified by digest. Raises StoreError where they are not here."""
    from custody.content.tables import read_table

    return read_table(project.store.get(batch.content))


def find(project: Project, prediction_id: str) -> Found:
    """Return the prediction with this id, exactly. Raises UsageError where none is kept here.

    An id of ours says when it was made, so that few batches are read; for others all are.
    """
    moment_ = moment_of(prediction_id)
    likely = list(_likely(project, moment_)) if moment_ else []
    missing: list[Batch] = []
    for batch in likely:
        if found := _in_batch(project, batch, prediction_id, missing):
            return found
    if found := _in_journal(project, prediction_id):
        return found
    for batch in all_batches(project):
        if batch not in likely and (found := _in_batch(project, batch, prediction_id, missing)):
            return found
    because = (f"the content of {len(missing):,} batches is not here, such as {missing[0].id}",) if missing else ()
    message = f"no prediction {prediction_id!r} is kept here"
    raise UsageError(message, code="E603", because=because, help=("custody sync   fetches what others recorded",))


def moment_text(text: str) -> str:
    """Return a time as batches hold it. Raises UsageError for what is none, or has no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", code="E640", help=("2026-11-24T08:30:00+00:00",)) from error
    if found.tzinfo is None:
        raise UsageError(f"{text!r} has no offset", code="E640", help=(f"{text}+00:00",))
    return found.astimezone(UTC).isoformat(timespec="microseconds")


def _probability(name: str) -> bool:
    return name.startswith(PROBABILITY)


def _period_holds(path: str, low: str | None, high: str | None) -> bool:
    period = path.split("/")[2]
    return (low is None or period >= low[:7]) and (high is None or period <= high[:7])


def _batches(project: Project, folder: str, low: str | None, high: str | None) -> tuple[Batch, ...]:
    """Return the batches below a folder, of months that may hold rows from `low` to `high`."""
    return project.ledger.files.values(folder, batch_of, lambda path: _period_holds(path, low, high))


def _models(project: Project) -> list[str]:
    return sorted({path.split("/")[1] for path in project.ledger.files.under(_FOLDER)})


def _likely(project: Project, moment_: str) -> Iterator[Batch]:
    at = datetime.fromisoformat(moment_)
    low, high = ((at + by).isoformat(timespec="microseconds") for by in (-_SLACK, _SLACK))
    for batch in _batches(project, _FOLDER, low, high):
        if batch.last >= low and batch.first <= high:
            yield batch


def all_batches(project: Project) -> tuple[Batch, ...]:
    """Return every sealed batch, of all models. Raises LedgerError where one cannot be read."""
    return _batches(project, _FOLDER, None, None)


def _in_batch(project: Project, batch: Batch, name: str, missing: list[Batch]) -> Found | None:
    from custody.kit.predictions import row_of

    try:
        found = row_of(content(project, batch), name)
    except CustodyError:
        missing.append(batch)
        return None
    if found is None:
        return None
    row, values = found
    time = values[TIME].isoformat(timespec="microseconds")
    facts = (batch.model, batch.run, batch.version or None, batch.artifact)
    return Found(name, time, *facts, values[PREDICTION], values, batch, row)


def _in_journal(project: Project, name: str) -> Found | None:
    for folder in journal.folders(journal_root(project)):
        for path in journal.segments(folder):
            try:
                segment = journal.read(path)
            except FrameError:
                continue
            for item in segment.predictions if segment else ():
                if segment and item.id == name:
                    return _journaled(segment.promoted, item)
    return None


def _journaled(promoted: Promoted, item: Prediction) -> Found:
    from custody.kit.rows import table_of

    (values,) = table_of(promoted, (item,)).to_pylist()
    facts = (promoted.model, promoted.run, promoted.version, promoted.artifact)
    return Found(item.id, moment(item.time), *facts, item.prediction, values)
