"""Dataset versions as the ledger has them: those of scheduled fetches live there alone, the others have a file too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from custody.domain.spec import Manifest, Spec, StoredFile, is_timed


def with_recorded(spec: Spec, recorded: Mapping[str, Mapping[str, Any]]) -> Spec:
    """Return `spec` with the versions of its datasets that are named by their time; `recorded` is `State.datasets`."""
    found: dict[str, dict[str, Manifest]] = {}
    for manifest in _timed(recorded):
        found.setdefault(manifest.dataset, {})[manifest.version] = manifest
    datasets = {
        name: replace(dataset, versions={**found[name], **dataset.versions}) if name in found else dataset
        for name, dataset in spec.datasets.items()
    }
    return replace(spec, datasets=datasets) if found else spec


def time_label(now: str, taken: Collection[str]) -> str:
    """Return the label of a version read at `now` (ISO 8601): the day, and where that is `taken` the time of day."""
    day, _, rest = now.partition("T")
    label = f"{day}T{rest[:8].replace(':', '')}"
    return label if day in taken else day


def manifest_differences(manifest: Manifest, record: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts in which a manifest differs from the ledger's record of the version."""
    files = record.get("files")
    recorded = [item.get("sha256") if isinstance(item, dict) else None for item in files] if files else []
    held = {
        "logical": (manifest.logical, record.get("logical")),
        "rows": (manifest.rows, record.get("rows")),
        "files": ([file.sha256 for file in manifest.files], recorded),
        "columns": ({name: facts.get("digest") for name, facts in manifest.columns.items()}, record.get("columns")),
    }
    return [name for name, (here, there) in held.items() if here != there]


def _timed(recorded: Mapping[str, Mapping[str, Any]]) -> Iterator[Manifest]:
    for name, value in recorded.items():
        dataset, _, version = name.partition("@")
        # reviewed versions have their file, and are gone where that is gone
        if is_timed(version) and isinstance(value.get("kinds"), Mapping):
            yield _manifest(dataset, version, value)


def _manifest(dataset: str, version: str, value: Mapping[str, Any]) -> Manifest:
    kinds, digests = value["kinds"], value["columns"]
    return Manifest(
        dataset=dataset,
        version=version,
        format=int(value["format"]),
        rows=int(value["rows"]),
        logical=str(value["logical"]),
        files=tuple(StoredFile(item["path"], int(item["size"]), item["sha256"]) for item in value["files"]),
        columns={
            name: {"kind": kinds[name], "digest": digest} if kinds.get(name) else {"personal": True}
            for name, digest in digests.items()
        },
        source=value["source"],
        as_of=str(value["as_of"]),
        by=str(value["by"]),
        parent=value.get("parent"),
    )
