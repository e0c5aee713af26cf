"""`custody data add`: from a file or a declared source to a new, immutable version of a dataset."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from custody.app.ingest import Reading, Recorded, Stamp, contract, differences, read, store_reading
from custody.app.project import Project
from custody.domain.problem import Severity
from custody.domain.spec import LATEST, Column, DatasetSpec, Document, Manifest, Spec
from custody.domain.uses import Uses
from custody.errors import ContractError, InvalidSpecError, UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to be added: the file at `path`, or what the declared source holds where `path` is None.

    `version` None means the next `vN`. The fields from `owner` on describe a dataset that is not declared yet.
    """

    name: str
    path: Path | None
    by: str
    version: str | None = None
    owner: str | None = None
    purposes: tuple[str, ...] = ()
    key: str | None = None
    time: str | None = None
    personal: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it: `written` are the new files, relative to the project; none where the data is there already.

    `block` is a `columns:` block to paste, for columns whose types were guessed.
    """

    manifest: Manifest
    written: tuple[str, ...] = ()
    same: bool = False
    block: str = ""
    warnings: tuple[str, ...] = ()


def add(project: Project, wanted: Addition) -> Added:
    """Read data, store it and write the manifest of a new version; never changes a version that is there.

    Raises ContractError where the data does not keep its contract or another version has the label, UsageError where
    the dataset is not declared and nothing says whose it is.
    """
    dataset, declared = _dataset(project, wanted)
    uses, outside = _source(project, dataset, wanted)
    label = _label(dataset, wanted.version)
    latest = dataset.versions.get(dataset.latest or "")
    reading = read(uses, contract(dataset, latest), dataset.key, root=project.root, outside=outside)
    there = dataset.versions.get(label)
    if there and there.logical != reading.logical:
        raise _immutable(dataset, there, reading, wanted)
    same = there or (latest if latest and latest.logical == reading.logical else None)
    stamp = Stamp(label, project.now(), wanted.by, dataset.latest)
    manifest = store_reading(reading, dataset, stamp, project.store)
    warnings = (*reading.warnings, *_warnings(dataset, reading, latest))
    if same:
        return Added(same, same=True, warnings=warnings)
    written = []
    if not declared:
        written.append(_write_dataset(project, dataset, reading, uses, outside=outside))
    written.append(_write_manifest(project, dataset, manifest))
    block = _columns_block(dataset, reading) if declared and not latest else ""
    return Added(manifest, tuple(written), block=block, warnings=warnings)


def _dataset(project: Project, wanted: Addition) -> tuple[DatasetSpec, bool]:
    """Return the dataset that is added to and whether it is declared."""
    spec, problems = project.load()
    found = spec.datasets.get(wanted.name)
    if found:
        return found, True
    directory = f"{project.config.datasets}/{wanted.name}"
    own = tuple(
        problem
        for problem in problems
        if problem.severity is Severity.ERROR and problem.place and problem.place.path.startswith(f"{directory}/")
    )
    if own:
        raise InvalidSpecError(own, len(own))
    if not _NAME.match(wanted.name):
        message = f"{wanted.name!r} cannot be the name of a dataset: lower-case letters, digits, and . _ - are allowed"
        raise UsageError(message, code="E643")
    if not (wanted.owner and wanted.purposes and wanted.path):
        raise _undeclared(spec, wanted)
    return _new_dataset(directory, wanted), False


def _undeclared(spec: Spec, wanted: Addition) -> UsageError:
    near = get_close_matches(wanted.name, spec.datasets, 1)
    path = str(wanted.path or "PATH")
    command = f"custody data add {wanted.name} {path} --owner TEAM --purpose WORD"
    return UsageError(
        f"there is no dataset {wanted.name}, and nothing says whose it is and what it may be used for",
        code="E644",
        help=(*(f"did you mean {name}?" for name in near), f"{command}   # also: --key COLUMN --personal COLUMN"),
    )


def _new_dataset(directory: str, wanted: Addition) -> DatasetSpec:
    flagged = dict.fromkeys((*wanted.personal, *wanted.sensitive))
    return DatasetSpec(
        name=wanted.name,
        directory=directory,
        owner=wanted.owner or "",
        purposes=wanted.purposes,
        document=Document("dataset", f"{directory}/dataset.yaml", {}, {}),
        key=wanted.key,
        time=wanted.time,
        columns={
            name: Column(name, personal=name in wanted.personal, sensitive=name in wanted.sensitive) for name in flagged
        },
    )


def _source(project: Project, dataset: DatasetSpec, wanted: Addition) -> tuple[Uses, bool]:
    """Return what is to be read, and whether it may lie outside of the project."""
    declared = dataset.source
    if wanted.path is None:
        if declared is None:
            raise UsageError(
                f"the dataset {dataset.name} declares no source",
                code="E645",
                help=(f"custody data add {dataset.name} PATH", f"or add source: to {dataset.document.path}"),
            )
        return declared, False
    path, root = wanted.path.resolve(), project.root.resolve()
    inside = path.is_relative_to(root)
    options: dict[str, Any] = dict(declared.with_) if declared and declared.name == "file" else {}
    if wanted.nulls and not declared:
        options["nulls"] = list(wanted.nulls)
    if Path(str(options.get("path", ""))).suffix != path.suffix:
        options.pop("format", None)
    return Uses(
        "file", {"path": "", **options} | {"path": path.relative_to(root).as_posix() if inside else str(path)}
    ), not inside


def _label(dataset: DatasetSpec, wanted: str | None) -> str:
    if wanted is None:
        numbers = [int(label[1:]) for label in dataset.versions if re.fullmatch(r"v\d+", label)]
        return f"v{max(numbers, default=0) + 1}"
    if not _LABEL.match(wanted) or wanted == LATEST:
        raise UsageError(f"{wanted!r} cannot be the label of a version", code="E646", help=("such as v2",))
    return wanted


def _immutable(dataset: DatasetSpec, there: Manifest, reading: Reading, wanted: Addition) -> ContractError:
    source = str(wanted.path) if wanted.path else "--from-source"
    return ContractError(
        f"{dataset.name}@{there.version} is recorded and holds other data; a version is never changed",
        code="version.exists",
        because=differences(Recorded.of(dataset, there), reading),
        help=(f"custody data add {dataset.name} {source}   # adds {_label(dataset, None)}",),
    )


def _warnings(dataset: DatasetSpec, reading: Reading, latest: Manifest | None) -> Iterator[str]:
    from custody.kit.ingest import remarks

    yield from remarks(reading.table, time=dataset.time)
    if dataset.key is None:
        yield "the dataset has no key: the order of rows counts, and a re-sorted export is another version"
    if latest:
        before, now = set(latest.stored_columns), set(reading.digests)
        if gone := sorted(before - now):
            yield f"columns of {latest.version} that are no longer there: {', '.join(gone)}"
        if new := sorted(now - before):
            yield f"columns that {latest.version} did not have: {', '.join(new)}"


def _columns_of(dataset: DatasetSpec, reading: Reading) -> dict[str, dict[str, Any]]:
    """Return the rules of every column of the source: the declared ones, and the type where none is declared."""
    rules = contract(dataset)
    kinds = {name: kind for name, (kind, _) in reading.digests.items()} | dict(reading.inferred)
    types = {name: {"instant": "timestamp"}.get(kind, kind) for name, kind in kinds.items()}
    known = ("integer", "number", "boolean", "string", "date", "timestamp")
    typed = {name: {"type": types[name]} if types.get(name) in known else {} for name in reading.order}
    return {name: {**typed[name], **rules.get(name, {})} for name in reading.order}


def _columns_block(dataset: DatasetSpec, reading: Reading) -> str:
    """Return the `columns:` block with the guessed types; empty where nothing was guessed."""
    from custody.spec.emit import block

    if not reading.inferred:
        return ""
    return block({"columns": _columns_of(dataset, reading)}, deep=frozenset({"columns"}))


def _write_dataset(project: Project, dataset: DatasetSpec, reading: Reading, uses: Uses, *, outside: bool) -> str:
    from custody.spec.emit import block

    value: dict[str, Any] = {"owner": dataset.owner, "purposes": list(dataset.purposes)}
    if not outside:
        value["source"] = {"uses": uses.name, "with": dict(uses.with_)}
    value |= {name: text for name, text in (("key", dataset.key), ("time", dataset.time)) if text}
    value["columns"] = {name: rules for name, rules in _columns_of(dataset, reading).items() if rules}
    path = f"{dataset.directory}/dataset.yaml"
    _write_new(project.root / path, block(value, deep=frozenset({"columns"})).encode())
    return path


def _write_manifest(project: Project, dataset: DatasetSpec, manifest: Manifest) -> str:
    from custody.spec.dump import dump_manifest

    path = f"{dataset.directory}/versions/{manifest.version}.yaml"
    _write_new(project.root / path, dump_manifest(manifest))
    return path


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, whole or not at all; raises ContractError where it is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            # a link, unlike a rename, never replaces what somebody else has written meanwhile
            path.hardlink_to(aside)
        finally:
            aside.unlink(missing_ok=True)
    except FileExistsError:
        raise ContractError(f"{path} is there already", code="version.exists") from None
    except OSError as error:
        raise ContractError(f"{path} cannot be written: {error.strerror}") from error
