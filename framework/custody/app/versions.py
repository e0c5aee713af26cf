"""The versions of a dataset: `custody data show`, `versions` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from custody.app.ingest import Recorded, differences, read_again
from custody.app.project import Project
from custody.core.versions import manifest_differences, with_recorded
from custody.domain.spec import LATEST, DatasetSpec, Manifest, Spec
from custody.errors import ContractError, CustodyError, StoreError, UsageError

_FEW = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """One version with what is known around it: `used` are models, in words."""

    dataset: DatasetSpec
    manifest: Manifest
    stored: bool
    recorded: bool
    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified: `ok`, `bad`, or `note` where there is nothing to hold it against."""

    status: str
    text: str
    details: tuple[str, ...] = field(default=())


def show(project: Project, name: str) -> Shown:
    """Return what is known of the version that `name` (`customers`, `customers@v3`) stands for."""
    spec, dataset, manifest = _resolve(project, name)
    state = project.ledger.state()
    label = f"{dataset.name}@{manifest.version}"
    used = dict(_declared_users(spec, manifest)) | dict(_recorded_users(state.models, dataset.name, manifest.version))
    stored = all(project.store.files.has(file.sha256) for file in manifest.files)
    return Shown(dataset, manifest, stored, label in state.datasets, tuple(used.values()))


def versions(project: Project, name: str) -> tuple[Shown, ...]:
    """Return all versions of a dataset, newest first."""
    recorded = project.ledger.state().datasets
    dataset = _find(with_recorded(project.load()[0], recorded), name)
    rest, found = dict(dataset.versions), []
    while rest:
        label = replace(dataset, versions=rest).latest or ""
        manifest = rest.pop(label)
        stored = all(project.store.files.has(file.sha256) for file in manifest.files)
        found.append(Shown(dataset, manifest, stored, f"{dataset.name}@{label}" in recorded))
    return tuple(found)


def verify(project: Project, name: str, *, source: bool = False) -> tuple[str, tuple[Check, ...]]:
    """Check a version against the ledger, its stored bytes and its digests, and on wish against its source.

    Returns the version's full name and the checks. A source that moved is a note: the stored bytes are the record.
    """
    _, dataset, manifest = _resolve(project, name)
    label = f"{dataset.name}@{manifest.version}"
    checks = [_against_ledger(manifest, project.ledger.state().datasets.get(label))]
    checks += _against_store(manifest, project)
    if source:
        checks.append(_against_source(dataset, manifest, project))
    return label, tuple(checks)


def _find(spec: Spec, name: str) -> DatasetSpec:
    if name in spec.datasets:
        return spec.datasets[name]
    near = get_close_matches(name, spec.datasets, 1)
    hint = (f"did you mean {near[0]}?",) if near else (f"there are: {', '.join(spec.datasets) or 'none yet'}",)
    raise UsageError(f"there is no dataset {name}", code="E644", help=(*hint, "custody check"))


def _resolve(project: Project, name: str) -> tuple[Spec, DatasetSpec, Manifest]:
    spec = with_recorded(project.load()[0], project.ledger.state().datasets)
    bare, _, label = name.partition("@")
    dataset = _find(spec, bare)
    label = label if label and label != LATEST else dataset.latest or ""
    if label in dataset.versions:
        return spec, dataset, dataset.versions[label]
    if not dataset.versions:
        raise UsageError(f"{bare} has no version yet", code="E647", help=(f"custody data add {bare} PATH",))
    shown = ", ".join(list(dataset.versions)[-_FEW:])
    raise UsageError(f"{bare} has no version {label}", code="E647", help=(f"there are: {shown}",))


def _declared_users(spec: Spec, manifest: Manifest) -> Iterator[tuple[str, str]]:
    for model in spec.models.values():
        if model.dataset.name == manifest.dataset and spec.resolve(model.dataset) == manifest:
            yield model.name, f"{model.name} (declared)"


def _recorded_users(models: Mapping[str, Any], dataset: str, version: str) -> Iterator[tuple[str, str]]:
    for model in models.values():
        run = model.run
        if run and run.data.get("dataset") == dataset and run.data.get("version") == version:
            stages = [stage for stage, pointer in model.stages.items() if pointer.run == run.id]
            yield model.name, f"{model.name} run {run.id[:8]}" + (f" ({', '.join(stages)})" if stages else "")


def _against_ledger(manifest: Manifest, record: Mapping[str, Any] | None) -> Check:
    if record is None:
        return Check("note", "not recorded in the ledger yet: the next custody apply does it")
    wrong = manifest_differences(manifest, record)
    if not wrong:
        return Check("ok", "manifest equals the ledger's record")
    return Check("bad", f"manifest differs from the ledger's record in {', '.join(wrong)}: it was edited")


def _against_store(manifest: Manifest, project: Project) -> Iterator[Check]:
    from custody.content.tables import read_table

    file = manifest.files[0]
    if not project.store.has(file.sha256):
        yield Check("note", f"{file.path} is not in the content store: the next custody apply fetches it")
        return
    try:
        data = project.store.get(file.sha256)
        table = read_table(data)
    except CustodyError as error:
        yield Check("bad", error.message, error.help)
        return
    sized = Check("ok", "1 of 1 files, sha256")
    yield sized if len(data) == file.size else Check("bad", f"{file.path} has {len(data):,} bytes, not {file.size:,}")
    yield _digests(manifest, table)


def _digests(manifest: Manifest, table: Any) -> Check:
    from custody.content.logical import column_digests, table_digest

    digests = column_digests(table)
    logical = table_digest(table.num_rows, digests)
    known = {name: facts["digest"] for name, facts in manifest.columns.items() if "digest" in facts}
    wrong = [name for name, digest in known.items() if digests.get(name, ("", ""))[1] != digest]
    if table.num_rows != manifest.rows:
        wrong.append(f"rows ({table.num_rows:,}, not {manifest.rows:,})")
    if logical == manifest.logical and not wrong:
        return Check("ok", f"logical {logical[:12]} (recomputed)")
    where = f"; it differs in {', '.join(wrong)}" if wrong else ""
    return Check("bad", f"logical {manifest.logical[:12]} is recorded, the stored table has {logical[:12]}{where}")


def _against_source(dataset: DatasetSpec, manifest: Manifest, project: Project) -> Check:
    recorded = Recorded.of(dataset, manifest)
    try:
        reading = read_again(recorded, root=project.root)
    except (ContractError, StoreError) as error:
        return Check("note", f"the source cannot be read: {error.message}", error.because)
    if reading.logical == manifest.logical:
        return Check("ok", "the source still holds this data")
    return Check("note", "the source moved: it holds other data now", differences(recorded, reading))
