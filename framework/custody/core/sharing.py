"""Which stored objects a record names, and which of them may travel in Git."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from custody.core.fold import decode_run, json_object
from custody.domain.record import Kind, Record, Run

TRAVELS = frozenset({"public", "internal"})
"""Classifications of datasets whose content may be on `mlops/store`."""


@dataclass(frozen=True, slots=True)
class Named:
    """The objects of one record: whose they are (a model or `dataset@version`), and the dataset behind them."""

    subject: str
    dataset: str
    classification: str | None
    digests: tuple[str, ...]

    @property
    def travels(self) -> bool:
        """Whether the dataset's classification allows it; one that is not recorded does not."""
        return self.classification in TRAVELS

    @property
    def refusal(self) -> str:
        """Say what stays here and why: `tumour-triage (biopsies is confidential)`."""
        return f"{self.subject} ({self.dataset} is {self.classification or 'of no recorded classification'})"


def named_by(records: Iterable[Record]) -> tuple[Named, ...]:
    """Return what records of runs, verdicts and data name; files that cannot be read name nothing."""
    return tuple(_named(records))


def objects_of(run: Run) -> tuple[str, ...]:
    """Return the digests of all stored objects that a run names."""
    found = [run.artifact, run.failure.log if run.failure else None]
    for step in run.steps.values():
        if step.usable and step.output:
            found += [step.output.ref.object, *(ref.object for ref in step.output.extra.values())]
    return tuple(dict.fromkeys(digest for digest in found if digest))


def _named(records: Iterable[Record]) -> Iterator[Named]:
    for record in records:
        for path, data in record.files.items():
            try:
                if record.kind in {Kind.RUN, Kind.VERDICT} and path.endswith("/run.json"):
                    yield _of_run(decode_run(data))
                elif record.kind is Kind.DATA:
                    yield _of_data(json_object(data))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _of_run(run: Run) -> Named:
    return Named(run.model, str(run.data.get("dataset")), run.data.get("classification"), objects_of(run))


def _of_data(value: dict[str, object]) -> Named:
    files = value["files"]
    digests = tuple(str(item["sha256"]) for item in files) if isinstance(files, list) else ()
    name, told = str(value["dataset"]), value.get("classification")
    return Named(f"{name}@{value['version']}", name, str(told) if told else None, digests)
