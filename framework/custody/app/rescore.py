"""The entry of the step process behind `explain`: scores one kept row again, and says what each feature added.

It loads the recorded artifact and reads the table that the run was trained on; only numbers and the row's own answer
leave it. Imports late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.app.score import loaded
from custody.content.store import FileStore
from custody.content.tables import read_table
from custody.core.predictions import feature_column
from custody.domain.serving import Prediction, Promoted
from custody.errors import ContractError, StoreError
from custody.kit import environment, frame, predictions, shapley, splits
from custody.kit.rows import table_of

ROWS = 100
"""Training rows that an answer is compared with."""


def rescore(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer for the row now, what each feature added, and the environment; or why nothing is explained."""
    promoted = Promoted.from_dict(payload["source"]["promoted"])
    table = table_of(promoted, (Prediction.from_list(payload["prediction"]),))
    row = _matrix(table.select([feature_column(name) for name in promoted.features]), promoted)
    with loaded(payload["source"]) as model:
        found = predictions.score(model.estimator, row, promoted)
        chances = None if found.probabilities is None else found.probabilities[0].tolist()
        (said,) = found.predicted.tolist()
        answer = {"prediction": said, "probabilities": chances, "target": model.meta["target"]}
        label = None
        if promoted.task == "classification":
            label = said if promoted.positive is None else promoted.positive
        try:
            background = _background(payload, promoted)
            explained = shapley.explain(shapley.Asked(model.estimator, label), row[0], background, payload["seed"])
        except (ContractError, StoreError) as error:
            return {**answer, "unexplained": str(error), "environment": environment.describe()}
    return {**answer, "label": label, "explained": asdict(explained), "environment": environment.describe()}


def _matrix(table: Any, promoted: Promoted) -> NDArray[Any]:
    return frame.matrix(table.rename_columns(list(promoted.features)), promoted.features, promoted.kinds)


def _background(payload: Mapping[str, Any], promoted: Promoted) -> NDArray[Any]:
    """Return some rows that the model was trained on: the same for all predictions of an artifact."""
    store = FileStore(Path(payload["store"]))
    table = read_table(store.get(payload["table"]), list(promoted.features))
    trained = splits.Division.from_bytes(store.get(payload["split"]), table.num_rows).train
    places = np.flatnonzero(trained)
    order = np.argsort(np.random.PCG64(payload["seed"]).random_raw(len(places)), kind="stable")
    return _matrix(table.take(np.sort(places[order[:ROWS]])), promoted)
