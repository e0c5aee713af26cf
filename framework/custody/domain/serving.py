"""What predictions are made with, and where they are found: the promoted artifact, and a server at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

FORMAT = 1
_LISTS = frozenset({"features", "kinds", "classes", "hidden"})


@dataclass(frozen=True, slots=True)
class Promoted:
    """A registered version of a model, and what its artifact expects and answers.

    `features` with their `kinds` are what a row must hold, in the order of training; `hidden` are those that have been
    declared personal since, of which nothing is kept. `key` is the column that names a row, None where there is none
    or it is personal. `dataset` and its `classification` are those that it was trained on.
    """

    model: str
    version: str
    run: str
    artifact: str
    task: str
    features: tuple[str, ...]
    kinds: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    positive: Any = None
    key: str | None = None
    hidden: tuple[str, ...] = ()
    dataset: str = ""
    classification: str | None = None

    @property
    def kept(self) -> tuple[str, ...]:
        """The features whose values may be kept beside a prediction."""
        return tuple(name for name in self.features if name not in self.hidden)

    def to_dict(self) -> dict[str, Any]:
        value = {name: getattr(self, name) for name in self.__slots__}
        return {"format": FORMAT} | {name: list(item) if name in _LISTS else item for name, item in value.items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; raises KeyError, TypeError or ValueError where it is not of this format."""
        if value["format"] != FORMAT:
            raise ValueError(f"it has format {value['format']!r}, this custody reads {FORMAT}")
        fields: dict[str, Any] = {name: value[name] for name in cls.__slots__}
        return cls(**(fields | {name: tuple(fields[name]) for name in _LISTS}))


@dataclass(frozen=True, slots=True)
class Prediction:
    """One prediction as it is kept.

    `time` is in microseconds since 1970, UTC. `probabilities` are in the order of the classes, empty where the model
    gives none; `features` in the order of `Promoted.kept`.
    """

    id: str
    time: int
    prediction: Any
    probabilities: tuple[float, ...] = ()
    features: tuple[Any, ...] = ()
    key: Any = None

    def to_list(self) -> list[Any]:
        return [self.id, self.time, self.prediction, self.probabilities, self.features, self.key]

    @classmethod
    def from_list(cls, value: list[Any]) -> Self:
        """Read what `to_list` wrote; raises ValueError or TypeError for anything else."""
        name, time, prediction, probabilities, features, key = value
        return cls(str(name), int(time), prediction, tuple(probabilities), tuple(features), key)
