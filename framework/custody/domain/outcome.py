"""What a model's reference says of outcomes: what it should reach, and how far its own blocks of time vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

EVALUATION, OUT_OF_FOLD = "evaluation", "out of fold"


@dataclass(frozen=True, slots=True)
class OutcomeBase:
    """What outcomes are judged against.

    `metrics` are those of the run's evaluation where its test rows are the latest, else of its out-of-fold scores, as
    `source` says. `blocks` is how many stretches of the reference, each as long as a window of outcomes, could be
    judged; `worst` is the worst value of each metric among them, `bias` their largest mean of observed less predicted,
    without its sign, 0 without blocks. `sd` is the standard deviation of what was observed. `slices` are metrics and
    `bias` by column and value. `calibration` is how often rows up to a score were positive, ascending in both: what an
    estimate without labels starts from.
    """

    metrics: Mapping[str, float]
    source: str = EVALUATION
    blocks: int = 0
    worst: Mapping[str, float] = field(default_factory=dict)
    bias: float = 0.0
    sd: float = 0.0
    slices: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    calibration: tuple[tuple[float, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"metrics": dict(self.metrics), "source": self.source, "blocks": self.blocks}
        value |= {"worst": dict(self.worst), "bias": self.bias, "sd": self.sd}
        if self.slices:
            value["slices"] = {
                column: {name: dict(facts) for name, facts in values.items()} for column, values in self.slices.items()
            }
        return value | ({"calibration": [list(step) for step in self.calibration]} if self.calibration else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            value["metrics"],
            value["source"],
            int(value["blocks"]),
            value["worst"],
            float(value["bias"]),
            float(value["sd"]),
            value.get("slices", {}),
            tuple((float(score), float(share)) for score, share in value.get("calibration", ())),
        )
