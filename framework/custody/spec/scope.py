"""What references are looked up in: the specs, the files, and the dataset version that a model learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from custody.domain.problem import Place, Problem, Severity
from custody.domain.revision import Read
from custody.domain.spec import DatasetSpec, Manifest, ModelSpec, Spec
from custody.spec.functions import Use, builtin_problems
from custody.spec.hints import meant
from custody.spec.words import say

CONNECTORS = ("file", "sklearn", "url")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a model's references are looked up in; `broken` are datasets that have errors of their own.

    `recorded`: the versions that are on the ledger alone are among those of the spec.
    """

    spec: Spec
    read: Read
    broken: frozenset[str] = frozenset()
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """A model with the dataset version it learns from."""

    model: ModelSpec
    dataset: DatasetSpec
    manifest: Manifest

    def missing(self, column: str, kind: str, dotted: str, what: str) -> Problem | None:
        """Return the problem where `column` is not stored in the version, is personal, or is not there at all."""
        stored = self.manifest.columns.get(column)
        declared = self.dataset.columns.get(column)
        if stored is not None and not stored.get("personal") and not (declared and declared.personal):
            return None
        place = self.model.place(kind, dotted)
        version = f"{self.manifest.dataset}@{self.manifest.version}"
        if stored is not None or (declared and declared.personal):
            message = f"{what} {say(column)} is personal: it never reaches a model"
            related = self.dataset.document.place(f"columns.{column}")
            return Problem("E205", message, place, label="personal", help=("use another column",), related=related)
        message = f"{what} {say(column)} is not a column of {version}"
        return Problem("E204", message, place, help=meant(column, self.manifest.stored_columns))


def warning(
    code: str,
    message: str,
    place: Place | None,
    advice: str,
    because: tuple[str, ...] = (),
    related: Place | None = None,
) -> Problem:
    """Return a problem that stops nothing, with one line that helps."""
    return Problem(code, message, place, because=because, help=(advice,), related=related, severity=Severity.WARNING)


def connector_problems(use: Use) -> Iterator[Problem]:
    """Yield what is wrong with the name of a connector and its parameters."""
    yield from builtin_problems(use, {name: f"connectors/{name}" for name in CONNECTORS}, own=False)
