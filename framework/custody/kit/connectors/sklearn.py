"""The connector `sklearn`: the real data sets that ship inside scikit-learn, without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custody.errors import ContractError
from custody.kit.connectors import Contract, Source, refuse_unknown

PARAMS = {
    "type": "object",
    "properties": {
        "dataset": {"enum": ["breast_cancer", "diabetes", "digits", "iris", "wine"]},
        "scaled": {"type": "boolean", "default": False},
        "target": {"type": "string", "default": "target"},
    },
    "required": ["dataset"],
    "additionalProperties": False,
}


def read(with_: Mapping[str, Any], *, root: Path, columns: Contract, outside: bool = False) -> Source:  # noqa: ARG001
    """Read one data set as a table: `row` (0, 1, …), the features, and the target, as its label where it has names.

    `scaled` is for diabetes: scikit-learn's centred values in place of the measured ones. `target` is what the
    target column is called.
    """
    import sklearn
    import sklearn.datasets

    refuse_unknown(with_, PARAMS, "sklearn")
    name = with_["dataset"]
    known = PARAMS["properties"]["dataset"]["enum"]  # type: ignore[index]
    if name not in known:
        raise ContractError(f"scikit-learn has no data set {name!r} here", help=(f"one of {', '.join(known)}",))
    options = {"scaled": bool(with_.get("scaled", False))} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    table = _table(bunch, str(with_.get("target", "target")))
    description = {"uses": "sklearn", "dataset": name, "reader": f"scikit-learn {sklearn.__version__}"}
    return Source(table, description)


def _table(bunch: Any, target: str) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {"row": pa.array(range(len(bunch.data)), pa.int64())}
    for number, feature in enumerate(bunch.feature_names):
        columns[_column_name(feature)] = pa.array(bunch.data[:, number].copy())
    columns[target] = _target(bunch)
    return pa.table(columns)


def _target(bunch: Any) -> Any:
    import pyarrow as pa

    names = [str(name) for name in bunch.get("target_names", ())]
    if names and not all(name.isdigit() for name in names):
        return pa.array([names[index] for index in bunch.target], pa.string())
    return pa.array(bunch.target)


def _column_name(feature: str) -> str:
    """`sepal length (cm)` → `sepal_length_cm`."""
    return re.sub(r"[^a-z0-9]+", "_", str(feature).lower()).strip("_")
