"""The desired state: all that the YAML of one Git revision says, as frozen values. Parsing lives in `spec/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from custody.domain.problem import Place, Problem
from custody.domain.uses import Uses

if TYPE_CHECKING:  # who has none of these, which is most commands, does not load them
    from custody.domain.channels import Channel
    from custody.domain.monitors import Monitors

LATEST = "latest"
_TIMED = re.compile(r"\d{4}-\d\d-\d\d(T\d{6})?")
LOCAL_TRIALS = "refs/custody/local/trials"
"""Where trials of working trees are recorded: no branch, so that neither custody nor a `git push` takes it along."""
PROFILES = ".mlops/profiles"
"""The folder of the profiles: values that stand below those of every model that names one."""
MONITORS = "monitors"
MODEL_KINDS = ("model", "data", "pipeline", "gates", MONITORS)
"""The kinds of a model's files, and of a profile's; monitors alone may be absent."""


def spec_files(directory: str, profile: str | None = None) -> tuple[str, ...]:
    """Return all files that may say something of the model in `directory`, its code apart; not all need be there."""
    folders = (directory, f"{PROFILES}/{profile}") if profile else (directory,)
    return tuple(f"{folder}/{kind}.yaml" for folder in folders for kind in MODEL_KINDS)


@dataclass(frozen=True, slots=True)
class Document:
    """One spec file: its parsed value and where each part of it stands.

    `places` maps a dotted path (`train.with.max_depth`, `slices.gender.min_ratio`; list items by index) to the
    place of its *value*, and the same path with a trailing `#key` to the place of its key.
    """

    kind: str
    path: str
    value: Mapping[str, Any]
    places: Mapping[str, Place]
    below: Self | None = None
    """The document of the profile that this one's file was laid over, where there is one."""

    def place(self, dotted: str) -> Place:
        """Return the place of `dotted`, or of its nearest ancestor that is written in the file."""
        while dotted:
            if dotted in self.places:
                return self.places[dotted]
            dotted = dotted.rpartition(".")[0]
        return Place(self.path, 1, 1)


class SplitKind(StrEnum):
    """How rows are divided into training and test rows."""

    RANDOM = "random"
    STRATIFIED = "stratified"
    GROUPED = "grouped"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Split:
    """`test` is the share of test rows, in (0, 1). `column` is the stratum, the group or the column that orders.

    Ordered: the rows with the greatest values of `column` are the test rows; with `start`, in the place of `test`,
    those with this value or a greater one. Grouped: rows with the same value of `column` are on the same side.
    """

    kind: SplitKind
    test: float | None
    column: str | None = None
    seed: int = 0
    start: str | float | None = None


@dataclass(frozen=True, slots=True)
class MetricGate:
    """Limits on one metric over the whole test set; `n` is the least number of test rows."""

    metric: str
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class SliceGate:
    """Limits on one metric in every slice of `column`; `min_ratio` bounds least / greatest over the slices.

    Slices of fewer than `n` test rows are not judged and are said so.
    """

    column: str
    metric: str
    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """`customers@v3`; the version `latest` floats and is resolved at plan time."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`model:churn@production`: what `at`, a stage or a version, of another model is."""

    model: str
    at: str

    def __str__(self) -> str:
        return f"model:{self.model}@{self.at}"


class Task(StrEnum):
    """What a model predicts; the number of classes tells binary from multi-class."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that the directory of one model declares. `documents` is by kind: model, data, pipeline, gates, monitors."""

    name: str
    directory: str
    owner: str
    purpose: str
    task: Task
    target: str
    dataset: DatasetRef
    split: Split
    train: Uses
    prepare: Uses
    documents: Mapping[str, Document]
    tier: str | None = None
    description: str | None = None
    positive: Any = None
    features: tuple[str, ...] | None = None
    seed: int = 0
    stages: Mapping[str, str] = field(default_factory=dict)
    was: str | None = None
    """The name that it had before: what is recorded of that is its own."""
    metrics: tuple[MetricGate, ...] = ()
    slices: tuple[SliceGate, ...] = ()
    steps: Mapping[str, Uses] = field(default_factory=dict)
    """How the built-in steps (`fetch`, `validate`, `split`, `evaluate`) are to be run: timeout, retries, memory."""
    profile: str | None = None
    """Whose values stand below the model's own: `.mlops/profiles/<profile>/`."""
    inputs: Mapping[str, ModelRef] = field(default_factory=dict)
    """Feature columns that are the scores of other models."""
    schedule: str | None = None
    """When its dataset is read again, in cron's five fields and the time zone of the configuration."""
    attempts: int = 3
    """After so many failed runs of the same inputs the model is held."""
    retrains_on_environment: bool = False
    """Whether another locked environment trains anew; else it is only shown."""
    monitors: Monitors | None = None
    """What is watched; None where it has no monitors.yaml."""

    def place(self, kind: str, dotted: str = "") -> Place:
        """Return where `dotted` of the document of `kind` is written; the file's beginning where there is none."""
        document = self.documents.get(kind)
        return document.place(dotted) if document else Place(f"{self.directory}/{kind}.yaml", 1, 1)


@dataclass(frozen=True, slots=True)
class Column:
    """What a dataset's contract says of one column; absent bounds are not checked.

    `type` is one of integer, number, boolean, string, date, timestamp. `null_max` is the greatest share of nulls
    (default: any). `personal` columns are dropped at ingest; `sensitive` ones are kept for slices, out of features.
    """

    name: str
    type: str | None = None
    min: float | None = None
    max: float | None = None
    values: tuple[Any, ...] | None = None
    null_max: float | None = None
    unique: bool = False
    format: str | None = None
    sensitive: bool = False
    personal: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a dataset version: name, bytes, and the SHA-256 that names it in the content store."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One immutable dataset version: `versions/<version>.yaml`, written by `custody data add`.

    `logical` is the digest of the contents whatever wrote them (docs/ledger-format.md); step keys use it.
    `columns` maps each stored column to `{kind, digest, nulls, distinct, ...profile}`; a dropped personal column
    is listed as `{personal: true}` and nothing else. `source` says where the bytes came from.
    """

    dataset: str
    version: str
    format: int
    rows: int
    logical: str
    files: tuple[StoredFile, ...]
    columns: Mapping[str, Mapping[str, Any]]
    source: Mapping[str, Any]
    as_of: str
    by: str
    parent: str | None = None
    document: Document | None = None

    @property
    def stored_columns(self) -> tuple[str, ...]:
        """The columns that are there to be read, in the file's order."""
        return tuple(name for name, column in self.columns.items() if not column.get("personal"))


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """All that the directory of one dataset declares, with its recorded versions by label."""

    name: str
    directory: str
    owner: str
    purposes: tuple[str, ...]
    document: Document
    classification: str = "internal"
    description: str | None = None
    key: str | None = None
    time: str | None = None
    source: Uses | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    versions: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def latest(self) -> str | None:
        """The label of the newest version: the greatest number after `v`, else the greatest text.

        One that is named by its time is newer where it was read later.
        """
        reviewed = max((label for label in self.versions if not is_timed(label)), key=_version_order, default=None)
        timed = max((label for label in self.versions if is_timed(label)), default=None)
        if reviewed is None or timed is None:
            return reviewed or timed
        return timed if self.versions[timed].as_of > self.versions[reviewed].as_of else reviewed


@dataclass(frozen=True, slots=True)
class Config:
    """`.mlops/config.yaml`."""

    id: str
    branch: str = "main"
    ledger: str = "mlops/ledger"
    remote: str | None = None
    lock: str | None = None
    extensions: tuple[str, ...] = ()
    timezone: str = "UTC"
    models: str = "models"
    datasets: str = "datasets"
    trials: str = "mlops/trials"
    adopt: bool = True
    """Whether `apply` may take over what a trial of the same inputs made on a clean commit."""
    channels: Mapping[str, Channel] = field(default_factory=dict)
    """Where messages about incidents may go, by name."""
    document: Document | None = None

    def for_trials(self) -> Self:
        """Return the configuration with the branch of trials in the place of the ledger's."""
        return replace(self, ledger=self.trials)

    def for_local_trials(self) -> Self:
        """Return the configuration with the trials that never leave this clone in the place of the ledger."""
        return replace(self, ledger=LOCAL_TRIALS, remote=None)

    @property
    def is_for_trials(self) -> bool:
        """Whether its ledger holds trials: other first commit, no decisions, no notes."""
        return self.is_local or self.ledger == self.trials

    @property
    def is_local(self) -> bool:
        """Whether its ledger is no branch and stays in this clone."""
        return self.ledger == LOCAL_TRIALS and self.remote is None

    @property
    def ledger_ref(self) -> str:
        """The full name of its ledger."""
        return LOCAL_TRIALS if self.is_local else f"refs/heads/{self.ledger}"


@dataclass(frozen=True, slots=True)
class Spec:
    """The whole desired state of one revision, and the warnings found on the way."""

    config: Config
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    datasets: Mapping[str, DatasetSpec] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def resolve(self, ref: DatasetRef) -> Manifest | None:
        """Return the version that `ref` names, `latest` resolved; None where there is none."""
        dataset = self.datasets.get(ref.name)
        if dataset is None:
            return None
        label = dataset.latest if ref.version == LATEST else ref.version
        return dataset.versions.get(label) if label else None


def is_timed(label: str) -> bool:
    """Whether a version is named by its time, as scheduled fetches name theirs: `2026-11-24`, `2026-11-24T021700`."""
    return _TIMED.fullmatch(label) is not None


def _version_order(label: str) -> tuple[int, str]:
    number = label[1:] if label.startswith("v") else ""
    return (int(number), "") if number.isdigit() else (-1, label)
