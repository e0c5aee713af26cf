"""A promoted artifact loaded into the process that serves it, verified by digest and safe by the allow-list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from custody.app.promoted import Source
from custody.app.score import loaded
from custody.core.predictions import KEY
from custody.domain.serving import Prediction, Promoted
from custody.kit import frame, predictions, rows
from custody.kit.absent import remember_absent
from custody.serving.models import Answer


class ArtifactScorer:
    """Satisfies the port `Scorer`."""

    def __init__(self, source: Source) -> None:
        """Load the artifact. Raises ArtifactError where its bytes are not those of its digest or are not safe."""
        import threadpoolctl

        with loaded(source.to_payload()) as model:
            self._estimator = model.estimator
        # as in evaluation: the number of threads changes the last bits
        threadpoolctl.threadpool_limits(limits=1)
        remember_absent("pandas")
        self._promoted = source.promoted
        self._classes = [frame.text_of(label) for label in source.promoted.classes]

    @property
    def promoted(self) -> Promoted:
        """Which one it is."""
        return self._promoted

    def answer(self, asked: Sequence[Any]) -> Answer:
        """Return an answer for each row, in order. Raises ContractError for rows that are not what it takes."""
        promoted = self._promoted
        features, keys = rows.request_rows(asked, promoted)
        values = frame.matrix(features, promoted.features, promoted.kinds)
        found = predictions.score(self._estimator, values, promoted)
        now = time.time_ns() // 1000
        ids = predictions.new_ids([now] * len(asked))
        said = found.predicted.tolist()
        probabilities = found.probabilities.tolist() if found.probabilities is not None else [()] * len(said)
        kept = [
            Prediction(*row)
            for row in zip(
                ids,
                [now] * len(said),
                said,
                map(tuple, probabilities),
                rows.kept_rows(features, promoted),
                keys,
                strict=True,
            )
        ]
        return Answer(kept, [self._told(item) for item in kept])

    def _told(self, item: Prediction) -> dict[str, Any]:
        told = {"id": item.id, "prediction": item.prediction}
        if item.probabilities:
            told["probabilities"] = dict(zip(self._classes, item.probabilities, strict=True))
        return told if item.key is None else {**told, KEY: item.key}
