"""What predicts, seals and takes logs of predictions: entries from JSON to JSON, as step processes take them.

They load models and read tables; what leaves them is digests and facts, and what they store. They import late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from custody.content import artifact
from custody.content.store import FileStore
from custody.content.tables import read_table, to_parquet
from custody.core.predictions import ID, KEY, PREDICTION, TIME, moment
from custody.domain.serving import Promoted
from custody.errors import ContractError
from custody.kit import frame, predictions
from custody.kit.connectors import file
from custody.kit.logs import Known, logged, of_version
from custody.kit.rows import fitted, micros, refuse_missing, table_of
from custody.kit.usercode import UserCode
from custody.kit.writing import write_table
from custody.serving import journal
from custody.serving.frames import FrameError


@contextmanager
def loaded(source: Mapping[str, Any]) -> Iterator[artifact.Artifact]:
    """Load the artifact that `Source.to_payload` tells of, with those modules of its own code that it names.

    Raises ArtifactError where its bytes are not those of its digest, or it names what is not safe.
    """
    digest = source["promoted"]["artifact"]
    data = Path(source["artifact"]).read_bytes()
    folder = Path(source["code"]) if source["code"] else None
    code = UserCode(source["made"], folder, source["directory"], tuple(source["extensions"]))
    with code.importable():
        modules = code.first_party(artifact.read_meta(data, digest=digest)["modules"])
        yield artifact.load(data, digest=digest, trusted_modules=modules)


def predict(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Score a file, store what is kept of it, and write what is told to `out`, for the caller to put in its place."""
    promoted, shown = Promoted.from_dict(payload["source"]["promoted"]), payload["shown"]
    table = _read(payload, promoted)
    features = fitted(table, promoted, shown)
    with loaded(payload["source"]) as model:
        found = predictions.score(model.estimator, frame.matrix(features, promoted.features, promoted.kinds), promoted)
    times = _times(table, payload)
    key = table.column(promoted.key) if promoted.key in table.column_names else None
    told = predictions.answers(promoted, predictions.new_ids(times), times, key, found)
    batches = _store(predictions.with_features(told, features, promoted), promoted, "predict", payload["store"])
    # a column of the user's own keeps its name, unless that is one of ours
    names = [
        promoted.key if name == KEY and promoted.key not in told.column_names else name for name in told.column_names
    ]
    write_table(told.rename_columns(names), Path(payload["out"]))
    return {"rows": told.num_rows, "batches": batches}


def seal(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Store the predictions of segments of the journal, which are left alone; the answer has one item for each."""
    return {"segments": [_sealed(Path(path), payload["store"]) for path in payload["segments"]]}


def peek(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return which versions and runs a log of predictions names (None: none), and the first and last of its times."""
    table = _log(payload)
    named = {name: table.column(name).unique().to_pylist() for name in ("version", "run") if name in table.column_names}
    times = micros(table.column(TIME), TIME, payload["timezone"]).to_pylist()
    return {"named": named, "first": moment(min(times)), "last": moment(max(times))}


def take(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Store the predictions of a log as batches; those that are kept already are left out and counted."""
    table = _log(payload)
    batches: list[dict[str, Any]] = []
    known = Known(read_table(Path(path)) for path in payload["known"])
    dropped: set[str] = set()
    for name, value in payload["promoted"].items():
        promoted = Promoted.from_dict(value)
        part = of_version(table, payload["named_by"], name)
        told = logged(part, promoted, payload["shown"], payload["timezone"])
        dropped |= set(part.column_names) - set(told.column_names) - {"version", "run", *promoted.features}
        dropped |= set(promoted.hidden) & set(part.column_names)
        new = known.without(told)
        batches += _store(new, promoted, "log", payload["store"]) if new.num_rows else []
    return {"rows": table.num_rows, "batches": batches, "skipped": known.met, "dropped": sorted(dropped)}


def _log(payload: Mapping[str, Any]) -> pa.Table:
    """Return a log of predictions; those columns that must be there are."""
    contract = {"id": {"type": "string"}, "version": {"type": "string"}, "run": {"type": "string"}}
    table = file.read({"path": payload["data"]}, root=Path(payload["root"]), columns=contract, outside=True).table
    refuse_missing((ID, TIME, PREDICTION), table.column_names, f"{payload['shown']} has no column", payload["model"])
    if table.num_rows == 0:
        raise ContractError(f"{payload['shown']} has no rows", code="data.empty")
    return table


def _sealed(path: Path, store: str) -> dict[str, Any]:
    """Return the batches of a segment, and whether a part of it cannot be read; or why none of it can."""
    try:
        segment = journal.read(path)
        if segment is None or not segment.predictions:
            return {"batches": [], "damaged": bool(segment and segment.damaged)}
        table = table_of(segment.promoted, segment.predictions)
        return {"batches": _store(table, segment.promoted, "serve", store), "damaged": segment.damaged}
    except (FrameError, ContractError, pa.ArrowException, LookupError) as error:
        return {"batches": [], "damaged": True, "error": f"{type(error).__name__}: {error}"}


def _read(payload: Mapping[str, Any], promoted: Promoted) -> pa.Table:
    """Return the columns of the file that are used: features, key and time."""
    contract = predictions.contract_of(promoted, payload["source"]["formats"])
    time = payload["time"]
    if time and time not in contract:
        contract[time] = {"type": "timestamp", **_format(payload, time)}
    with_ = {"path": payload["data"]}
    table = file.read(with_, root=Path(payload["root"]), columns=contract, outside=True).table
    needed = (*promoted.features, *((time,) if time else ()))
    refuse_missing(needed, table.column_names, f"{payload['shown']} has no column", promoted.model)
    wanted = dict.fromkeys([*promoted.features, promoted.key, time])
    return table.select([name for name in wanted if name in table.column_names])


def _format(payload: Mapping[str, Any], time: str) -> dict[str, str]:
    written = payload["source"]["formats"].get(time)
    return {"format": written} if written else {}


def _times(table: pa.Table, payload: Mapping[str, Any]) -> list[int]:
    if payload["time"] is None:
        return [payload["now"]] * table.num_rows
    found: list[int] = micros(table.column(payload["time"]), payload["time"], payload["timezone"]).to_pylist()
    return found


def _store(table: pa.Table, promoted: Promoted, source: str, store: str) -> list[dict[str, Any]]:
    files = FileStore(Path(store))
    sealed = predictions.seal(table, promoted, source)
    return [replace(item.batch, content=files.put(to_parquet(item.table))).to_dict() for item in sealed]
