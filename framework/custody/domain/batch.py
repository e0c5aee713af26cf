"""Predictions that were sealed together, as the ledger has them: `predictions/<model>/<month>/<id>.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Predictions that were sealed together: `predictions/<model>/<month>/<id>.json`.

    `content` is the digest of the stored Parquet file (`id`, `time`, `prediction`, the features, probabilities), `root`
    the Merkle root over the rows (docs/ledger-format.md), `first` and `last` the times of its rows, `counts` how many
    rows were given which class, or the cells of a number. `source` is predict, serve or log. `dataset` and its
    `classification` say whose content it is: whether it may travel.
    """

    id: str
    model: str
    run: str
    version: str
    artifact: str
    rows: int
    first: str
    last: str
    content: str
    root: str
    source: str
    counts: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""
    classification: str | None = None

    @property
    def period(self) -> str:
        """The month of its first row, and of all others: the folder of its file."""
        return self.first[:7]

    def to_dict(self) -> dict[str, Any]:
        names = ("id", "model", "run", "version", "artifact", "rows", "first", "last", "content", "root", "source")
        value = {"format": FORMAT, **{name: getattr(self, name) for name in names}, "counts": dict(self.counts)}
        return value | {"dataset": self.dataset, "classification": self.classification}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a batch's file; raises KeyError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"the batch has format {value['format']!r}, this custody reads {FORMAT}")
        names = ("id", "model", "run", "version", "artifact", "rows", "first", "last", "content", "root", "source")
        return cls(
            **{name: value[name] for name in names},
            counts=value.get("counts", {}),
            dataset=value.get("dataset", ""),
            classification=value.get("classification"),
        )
