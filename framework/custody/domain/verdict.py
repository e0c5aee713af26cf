"""What the gates say of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class GateResult:
    """One judged limit: `gate` is its name (`roc_auc.min`, `slices.gender.min_ratio`), `margin` the room left.

    `value` is None where the metric is missing or not a number; such a gate fails. `note` says what surprises.
    """

    gate: str
    metric: str
    value: float | None
    limit: float
    passed: bool
    slice: str | None = None
    baseline: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "gate": self.gate,
            "metric": self.metric,
            "value": self.value,
            "limit": self.limit,
            "passed": self.passed,
        }
        for name in ("slice", "baseline"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        if self.note:
            value["note"] = self.note
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            value["gate"],
            value["metric"],
            value["value"],
            value["limit"],
            value["passed"],
            value.get("slice"),
            value.get("baseline"),
            value.get("note", ""),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates said of one stored evaluation. `limits` is the digest of the limits that were judged.

    `baseline` is the run that was in production when it was judged (for `max_drop`), stored and never asked again.
    """

    limits: str
    gates: tuple[GateResult, ...]
    baseline: str | None = None

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    @property
    def count(self) -> str:
        """`6/7`: passed of all."""
        return f"{sum(gate.passed for gate in self.gates)}/{len(self.gates)}"

    def to_dict(self) -> dict[str, Any]:
        gates = [gate.to_dict() for gate in self.gates]
        return {"limits": self.limits, "passed": self.passed, "baseline": self.baseline, "gates": gates}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        gates = tuple(GateResult.from_dict(gate) for gate in value["gates"])
        return cls(value["limits"], gates, value.get("baseline"))
