"""The models that a server answers with: each can be replaced between two requests, and none is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from custody.domain.serving import Prediction, Promoted
from custody.errors import CustodyError
from custody.serving.journal import Journal


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of the rows of one request: what is kept of it, and what is told."""

    kept: Sequence[Prediction]
    told: Sequence[Mapping[str, Any]]


class Scorer(Protocol):
    """A loaded artifact; used by several threads at once."""

    @property
    def promoted(self) -> Promoted:
        """Which one it is."""

    def answer(self, rows: Sequence[Any]) -> Answer:
        """Return an answer for each row, in order. Raises ContractError for rows that are not what it takes."""


class UnavailableError(CustodyError):
    """Nothing is promoted, or loaded yet."""


class UnknownModelError(CustodyError):
    """The server does not serve a model of this name."""


class Models:
    """What is served by name. Without a `journal` nothing is kept, which is for measuring what keeping costs."""

    def __init__(self, names: Sequence[str], journal: Callable[[str], Journal] | None) -> None:
        self._scorers: dict[str, Scorer | None] = dict.fromkeys(names)
        self._journals = {name: journal(name) for name in names} if journal else {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._scorers)

    @property
    def ready(self) -> bool:
        """Whether every model can answer."""
        return all(self._scorers.values())

    def serving(self) -> dict[str, Promoted | None]:
        """Return what answers for each model now."""
        return {name: scorer.promoted if scorer else None for name, scorer in self._scorers.items()}

    def put(self, name: str, scorer: Scorer | None) -> None:
        """Answer with `scorer` from the next request on; with None refuse."""
        self._scorers[name] = scorer

    def scorer(self, name: str) -> Scorer:
        """Return what answers for a model; whoever has it uses it to the end of the request.

        Raises UnknownModelError or UnavailableError where nothing does.
        """
        if name not in self._scorers:
            known = ", ".join(self._scorers)
            raise UnknownModelError(f"{name!a} is not served here; served: {known}", code="serve.unknown")
        scorer = self._scorers[name]
        if scorer is None:
            raise UnavailableError(f"nothing of {name} is promoted now", code="serve.unavailable")
        return scorer

    def keep(self, name: str, scorer: Scorer, answer: Answer) -> Future[None] | None:
        """Have an answer written to the journal; None where nothing is kept."""
        journal = self._journals.get(name)
        return journal.append(scorer.promoted, answer.kept) if journal else None

    def close(self) -> None:
        """Write what waits and close the journals."""
        for journal in self._journals.values():
            journal.close()
