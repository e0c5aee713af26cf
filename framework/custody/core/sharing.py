"""Which stored objects a record names, and which of them may travel in Git: the stricter word decides. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from custody.core.fold import decode_run
from custody.core.jsonfile import json_object
from custody.core.predictions import decode_batch
from custody.domain.batch import Batch
from custody.domain.record import Kind, Record, Run

CLASSES = ("public", "internal", "confidential", "restricted")
"""The classifications of datasets, the strictest last."""
TRAVELS = frozenset({"public", "internal"})
"""Those whose content may be on `mlops/store`."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What has landed of the datasets that are named, whatever the specs say that ran.

    `classes` maps a dataset to its classification and to where that is said (`on main`); one of which nothing has
    landed is absent. `versions` maps stored objects to the recorded versions, `name@label`, that they are files of.
    `unseen` says why nothing can be told of a dataset that is absent.
    """

    classes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    versions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unseen: str = ""

    def why_not(self, dataset: str) -> str:
        """Return why content of `dataset` stays: `loans is confidential on main`; empty where nothing forbids it."""
        if dataset not in self.classes:
            return f"nothing is known of {dataset}: {self.unseen}" if self.unseen else ""
        said, where = self.classes[dataset]
        return "" if said in TRAVELS else f"{dataset} is {said} {where}"


@dataclass(frozen=True, slots=True)
class Named:
    """The objects of one record: whose they are (a model or `dataset@version`), and the dataset behind them.

    `refusal` says what stays here and why: `tumour-triage (biopsies is confidential)`; empty where it may travel.
    """

    subject: str
    dataset: str
    classification: str | None
    digests: tuple[str, ...]
    refusal: str = ""

    @property
    def travels(self) -> bool:
        return not self.refusal


def named_by(records: Iterable[Record], landed: Landed = Landed()) -> tuple[Named, ...]:
    """Return what records name, each judged; files that cannot be read name nothing."""
    return tuple(replace(item, refusal=_refusal(item, landed)) for item in _named(records))


def strictest(classes: Iterable[str]) -> str:
    """Return the strictest of some classifications; one that custody does not know is stricter than all others."""
    return max(classes, key=lambda one: CLASSES.index(one) if one in CLASSES else len(CLASSES))


def objects_of(run: Run) -> tuple[str, ...]:
    """Return the digests of all stored objects that a run names."""
    found = [run.artifact, run.failure.log if run.failure else None]
    for step in run.steps.values():
        if step.usable and step.output:
            found += [step.output.ref.object, *(ref.object for ref in step.output.extra.values())]
    return tuple(dict.fromkeys(digest for digest in found if digest))


def _refusal(item: Named, landed: Landed) -> str:
    """Say why the objects stay here, the first of these; a classification that is not recorded forbids it too.

    1. The spec that ran says so. 2. What has landed of the dataset says so.
    3. Nothing has landed of the dataset, and one of them is a recorded version of another whose content stays.
    """
    if item.classification not in TRAVELS:
        return f"{item.subject} ({item.dataset} is {item.classification or 'of no recorded classification'})"
    if why := landed.why_not(item.dataset):
        return f"{item.subject} ({why})"
    for digest in item.digests if item.dataset not in landed.classes else ():
        for version in sorted(landed.versions.get(digest, ())):
            if why := landed.why_not(version.partition("@")[0]):
                return f"{item.subject} (its data are {version}, and {why})"
    return ""


def results_of(run: Run) -> tuple[str, ...]:
    """Return the digests of what a run came to: its artifact, and what was measured of it."""
    step = run.steps.get("evaluate")
    measured = (
        (step.output.ref.object, *(ref.object for ref in step.output.extra.values())) if step and step.output else ()
    )
    return tuple(dict.fromkeys(digest for digest in (run.artifact, *measured) if digest))


def files_of(value: Mapping[str, object]) -> tuple[str, ...]:
    """Return the digests of the files of a recorded data version."""
    files = value.get("files")
    return (
        tuple(str(item["sha256"]) for item in files if isinstance(item, dict) and "sha256" in item)
        if isinstance(files, list)
        else ()
    )


def _named(records: Iterable[Record]) -> Iterator[Named]:
    for record in records:
        for path, data in record.files.items():
            try:
                if record.kind in {Kind.RUN, Kind.VERDICT} and path.endswith("/run.json"):
                    yield _of_run(decode_run(data))
                elif record.kind is Kind.DATA:
                    yield _of_data(json_object(data))
                elif record.kind is Kind.PREDICTIONS:
                    yield _of_batch(decode_batch(data))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _of_run(run: Run) -> Named:
    return Named(run.model, str(run.data.get("dataset")), run.data.get("classification"), objects_of(run))


def _of_data(value: dict[str, object]) -> Named:
    name, told = str(value["dataset"]), value.get("classification")
    return Named(f"{name}@{value['version']}", name, str(told) if told else None, files_of(value))


def _of_batch(batch: Batch) -> Named:
    return Named(f"predictions of {batch.model}", batch.dataset, batch.classification, (batch.content,))
