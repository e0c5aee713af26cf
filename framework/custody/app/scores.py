"""What another model says of the rows of a table, as a column: the inputs of a model that reads models.

A score is the probability of the positive class, else what is predicted. Runs inside a step process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from custody.content import artifact
from custody.content.store import FileStore
from custody.errors import CustodyError
from custody.kit import frame

_DEEP = 20
"""So many models may read one another in a row."""


def with_scores(
    table: pa.Table,
    inputs: Mapping[str, str],
    read: Callable[[Sequence[str]], pa.Table],
    store: FileStore,
    depth: int = 0,
) -> pa.Table:
    """Return `table` with a column for each of `inputs`, a name and the digest of an artifact.

    `read` gives columns of the dataset, all rows of it in the order of `table`. Raises CustodyError where an artifact
    is missing, holds code of its own, or needs columns that are not there.
    """
    for column, digest in inputs.items():
        table = table.append_column(column, _scores(digest, read, store, depth))
    return table


def _scores(digest: str, read: Callable[[Sequence[str]], pa.Table], store: FileStore, depth: int) -> pa.Array:
    if depth > _DEEP:
        raise CustodyError(f"more than {_DEEP} models read one another in a row")
    data = store.get(digest)
    meta = artifact.read_meta(data, digest=digest)
    if meta["modules"]:
        named = ", ".join(str(name) for name in meta["modules"][:3])
        raise CustodyError(
            f"the model {digest[:12]} consists of code of its own ({named}), which another model cannot load",
            help=("build it of scikit-learn's classes",),
        )
    loaded = artifact.load(data, digest=digest)
    inner: dict[str, str] = dict(meta.get("inputs") or {})
    stored = [name for name in meta["features"] if name not in inner]
    table = with_scores(read(stored), inner, read, store, depth + 1)
    values = frame.matrix(table, meta["features"], meta["kinds"])
    return pa.array(_answers(loaded.estimator, values, meta).tolist())


def _answers(estimator: Any, values: Any, meta: Mapping[str, Any]) -> Any:
    positive = meta.get("positive")
    if meta["task"] == "classification" and positive is not None and hasattr(estimator, "predict_proba"):
        classes = estimator.classes_.tolist()
        if positive in classes:
            return estimator.predict_proba(values)[:, classes.index(positive)]
    return estimator.predict(values)
