"""From a source to a stored table: connector → ingest → digests → Parquet → store → manifest.

And back again, where a version's bytes are not in the store and must be read from the source anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from custody.domain.graph import Ref
from custody.domain.ports import Store
from custody.domain.spec import Column, DatasetSpec, Manifest, StoredFile
from custody.domain.uses import Uses
from custody.errors import ContractError, RefusedError, StoreError

FORMAT = 1
_PART = "part-0.parquet"
_NAMED = 8
"""So many columns are named where something differs."""
_TYPES = {"timestamp.ns": "timestamp", "instant": "timestamp", "instant.ns": "timestamp"}
_KINDS = ("integer", "number", "boolean", "string", "date", "timestamp")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a new version is called, when (ISO 8601, UTC) and by whom it was read, and after which version."""

    version: str
    as_of: str
    by: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A table as read from its source and conformed to its contract, with its digests, before anything is stored.

    `digests` are (kind, digest) by stored column; `order` has all columns of the source, the personal ones too.
    `inferred` are the types of columns that the contract does not tell.
    """

    table: Any
    logical: str
    digests: Mapping[str, tuple[str, str]]
    order: tuple[str, ...]
    source: Mapping[str, Any]
    inferred: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A version as it was recorded, and what is needed to have it again. `raw` is the manifest's `source`.

    `digests` and `kinds` are by column as far as the manifest tells; `columns` are the contract's rules.
    """

    dataset: str
    version: str
    logical: str
    file: str
    rows: int
    purposes: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key: str | None = None
    source: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str | None] = field(default_factory=dict)
    kinds: Mapping[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.dataset}@{self.version}"

    @classmethod
    def from_settings(cls, logical: str, settings: Mapping[str, Any]) -> Self:
        """Read the settings of a fetch step."""
        return cls(
            dataset=settings["dataset"],
            version=settings["version"],
            logical=logical,
            file=settings["file"],
            rows=int(settings["rows"]),
            purposes=tuple(settings["purposes"]),
            columns=settings.get("columns") or {},
            key=settings.get("key"),
            source=settings.get("source"),
            raw=settings.get("raw") or {},
            digests=settings.get("digests") or {},
            kinds=settings.get("kinds") or {},
        )

    @classmethod
    def of(cls, dataset: DatasetSpec, manifest: Manifest) -> Self:
        """Return what is recorded of one version of `dataset`."""
        source = dataset.source
        return cls(
            dataset=dataset.name,
            version=manifest.version,
            logical=manifest.logical,
            file=manifest.files[0].sha256,
            rows=manifest.rows,
            purposes=dataset.purposes,
            columns=contract(dataset),
            key=dataset.key,
            source={"uses": source.name, "with": dict(source.with_)} if source else None,
            raw=manifest.source,
            digests={name: facts.get("digest") for name, facts in manifest.columns.items()},
            kinds={name: facts.get("kind") for name, facts in manifest.columns.items()},
        )


def contract(dataset: DatasetSpec, earlier: Manifest | None = None) -> dict[str, dict[str, Any]]:
    """Return the rules of each declared column; others get the type that they have in `earlier`, where they occur."""
    rules = {column.name: _rules(column) for column in dataset.columns.values()}
    kinds = {name: facts.get("kind") for name, facts in earlier.columns.items()} if earlier else {}
    return _typed(rules, kinds, anew=True)


def read(
    uses: Uses, columns: Mapping[str, Mapping[str, Any]], key: str | None, *, root: Path, outside: bool = False
) -> Reading:
    """Read a source and conform it to the contract; nothing is stored. Raises ContractError and RefusedError."""
    from custody.content.logical import column_digests, table_digest
    from custody.kit.connectors import connector
    from custody.kit.ingest import conform

    present = connector(uses.name)(uses.with_, root=root, columns=columns, outside=outside)
    declared = {name: rules for name, rules in columns.items() if not rules.get("earlier")}
    typed = {name: rules for name, rules in columns.items() if name in declared or name in present.table.column_names}
    table = conform(present.table, typed, key=key)
    digests = column_digests(table)
    options = {name: value for name, value in uses.with_.items() if name not in {*present.description, "path"}}
    return Reading(
        table=table,
        logical=table_digest(table.num_rows, digests),
        digests=digests,
        order=tuple(present.table.column_names),
        source={**present.description, **({"with": options} if options else {})},
        inferred=present.inferred,
        warnings=present.warnings,
    )


def store_reading(reading: Reading, dataset: DatasetSpec, stamp: Stamp, store: Store) -> Manifest:
    """Store the table that was read and return the manifest of the version that it becomes."""
    from custody.content.profile import profile
    from custody.content.tables import to_parquet

    data = to_parquet(reading.table)
    sensitive = {column.name for column in dataset.columns.values() if column.sensitive}
    profiled = profile(reading.table, sensitive=sensitive, digests=reading.digests)
    return Manifest(
        dataset=dataset.name,
        version=stamp.version,
        format=FORMAT,
        rows=reading.table.num_rows,
        logical=reading.logical,
        files=(StoredFile(_PART, len(data), store.put(data)),),
        columns={name: profiled.get(name, {"personal": True}) for name in reading.order},
        source=reading.source,
        as_of=stamp.as_of,
        by=stamp.by,
        parent=stamp.parent,
    )


def ingest(dataset: DatasetSpec, uses: Uses, stamp: Stamp, *, root: Path, store: Store) -> Manifest:
    """Read the source `uses`, store the table, and return the manifest of the new version.

    Raises ContractError where the data does not keep the contract, RefusedError where the source lies outside of the
    project, StoreError where the store cannot be written to.
    """
    earlier = dataset.versions.get(stamp.parent) if stamp.parent else None
    reading = read(uses, contract(dataset, earlier), dataset.key, root=root)
    return store_reading(reading, dataset, stamp, store)


def restore(recorded: Recorded, purpose: str, *, root: Path, store: Store) -> Ref:
    """Return the table of a recorded version: from the store, verified, else read again from its source.

    1. RefusedError where the dataset does not allow `purpose`; nothing has been read then.
    2. The object is in the store: its bytes are verified; StoreError where they are damaged.
    3. Else the source is read again and must arrive at the recorded logical digest; the stored bytes may be others
       (another pyarrow). ContractError says what differs, StoreError that there is no source to read.
    """
    refuse_purpose(recorded.dataset, recorded.purposes, purpose)
    if store.has(recorded.file):
        store.get(recorded.file)
        return Ref("table", recorded.logical, recorded.file)
    from custody.content.tables import to_parquet

    reading = read_again(recorded, root=root)
    if reading.logical != recorded.logical:
        raise _moved(recorded, reading)
    return Ref("table", recorded.logical, store.put(to_parquet(reading.table)))


def refuse_purpose(dataset: str, purposes: tuple[str, ...], purpose: str) -> None:
    """Raise RefusedError (exit 4) where `purpose` is none of the `purposes` that the dataset may be used for."""
    if purpose not in purposes:
        raise RefusedError(
            f"the dataset {dataset} may not be used for {purpose}",
            code="purpose.refused",
            because=(f"its owner allows: {', '.join(purposes)}",),
            help=(f"ask the owner to add {purpose} to purposes: in dataset.yaml",),
        )


def read_again(recorded: Recorded, *, root: Path) -> Reading:
    """Read the source of a recorded version as it is now: where it was read from, else where dataset.yaml says.

    Raises StoreError where neither is there.
    """
    columns = _typed(recorded.columns, recorded.kinds, anew=False)
    missing: ContractError | None = None
    for uses in _sources(recorded):
        try:
            return read(uses, columns, recorded.key, root=root)
        except ContractError as error:
            if error.code != "source.missing":
                raise
            missing = missing or error
    origin = _origin(recorded.raw)
    raise StoreError(
        f"the data of {recorded} is neither in the content store nor in its source",
        code="store.missing",
        because=(missing.message if missing else "no source that could be read is recorded",),
        help=(f"custody data add {recorded.dataset} {recorded.version} PATH   # PATH: {origin}",),
    )


def differences(recorded: Recorded, reading: Reading) -> tuple[str, ...]:
    """Say how what the source holds now differs from what was recorded, one line each."""
    return tuple(_differences(recorded, reading))


def _rules(column: Column) -> dict[str, Any]:
    slots = {name: getattr(column, name) for name in Column.__slots__ if name != "name"}
    return {name: value for name, value in slots.items() if value is not None and value is not False}


def _typed(
    rules: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str | None], *, anew: bool
) -> dict[str, dict[str, Any]]:
    """Add the types that columns have been recorded with; `earlier` marks columns that are not declared.

    For a new version (`anew`) a declared type wins; to have a recorded one again, what was recorded wins.
    """
    typed = {name: dict(rule) for name, rule in rules.items()}
    for name, kind in kinds.items():
        type_ = _TYPES.get(str(kind), kind)
        declared = typed.get(name, {}).get("type")
        if type_ in _KINDS and not (declared and anew):
            typed[name] = {**typed.get(name, {}), "type": type_, **({} if name in rules else {"earlier": True})}
    return typed


def _sources(recorded: Recorded) -> Iterator[Uses]:
    """Yield where the version was read from, then where dataset.yaml says that data comes from."""
    raw = recorded.raw
    options = dict(raw.get("with") or {})
    found = []
    if raw.get("uses") == "file" and raw.get("path") and not raw.get("outside"):
        found.append(Uses("file", {**options, "path": raw["path"]}))
    elif raw.get("uses") == "sklearn" and raw.get("dataset"):
        found.append(Uses("sklearn", {**options, "dataset": raw["dataset"]}))
    if recorded.source:
        declared = Uses(str(recorded.source["uses"]), dict(recorded.source.get("with") or {}))
        found += [] if declared in found else [declared]
    yield from found


def _moved(recorded: Recorded, reading: Reading) -> ContractError:
    return ContractError(
        f"the source of {recorded} no longer holds the data that was recorded",
        code="source.moved",
        because=differences(recorded, reading),
        help=(
            f"put back the recorded source: {_origin(recorded.raw)}",
            f"custody data add {recorded.dataset} --from-source   # records what it holds now as a new version",
        ),
    )


def _differences(recorded: Recorded, reading: Reading) -> Iterator[str]:
    rows = reading.table.num_rows
    if rows != recorded.rows:
        yield f"rows: {recorded.rows:,} recorded, {rows:,} now"
    known = {name for name, kind in recorded.kinds.items() if kind} or {n for n, d in recorded.digests.items() if d}
    if gone := sorted(known - set(reading.digests)):
        yield f"columns no longer there: {_some(gone)}"
    if known and (new := sorted(set(reading.digests) - known)):
        yield f"columns not recorded: {_some(new)}"
    compared = {name: digest for name, digest in recorded.digests.items() if digest and name in reading.digests}
    changed = [name for name, digest in compared.items() if reading.digests[name][1] != digest]
    if changed and len(changed) == len(compared):
        yield f"all {len(compared)} columns differ" + (
            "" if rows != recorded.rows else ", perhaps only the order of rows"
        )
    elif changed:
        yield f"columns that differ: {_some(changed)} ({len(changed)} of {len(compared)})"
    elif not compared:
        yield "which columns differ is not recorded for tables of fewer than 100 rows"
    yield from _source_differences(recorded.raw, reading.source)


def _source_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    then, now = (str((source.get("raw") or {}).get("sha256", "")) for source in (before, after))
    if then and now and then != now:
        yield f"the file {_where(after)}: sha256 {then[:12]}… recorded, {now[:12]}… now"
    elif then and then == now:
        yield f"the file {_where(after)} is the same (sha256 {then[:12]}…): dataset.yaml or the reader changed"
    readers = before.get("reader"), after.get("reader")
    if all(readers) and readers[0] != readers[1]:
        yield f"reader: {readers[0]} recorded, {readers[1]} now"


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _where(raw: Mapping[str, Any]) -> str:
    return str(raw.get("path") or raw.get("url"))


def _origin(raw: Mapping[str, Any]) -> str:
    """Name the recorded source in words."""
    if digest := (raw.get("raw") or {}).get("sha256"):
        return f"{_where(raw)} with sha256 {digest}"
    return f"{raw.get('uses', 'unknown')} {raw.get('dataset') or raw.get('path') or ''} ({raw.get('reader', '?')})"
