"""Spec files as documents: read, parsed, held against their schema; what is wrong with them is collected.

Imports no more than the configuration needs, which every command reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from custody.domain.problem import Place, Problem
from custody.domain.revision import Read
from custody.domain.spec import Document
from custody.spec import build
from custody.spec.schema import check
from custody.spec.yaml12 import LIMIT, Parsed, parse

_LONGEST_EXCERPT = 300


@dataclass(slots=True)
class Files:
    """Reads files and collects what is wrong with them; `broken` are the names of datasets that have errors."""

    read: Read
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    users: dict[str, list[str]] = field(default_factory=dict)
    """The models that use a profile."""

    def document(self, kind: str, path: str, *, partial: bool = False) -> Document | None:
        """Return the file as a document; None where it has errors, which are collected."""
        parsed = self.parsed(path)
        return self.checked(kind, path, parsed, partial=partial) if parsed else None

    def parsed(self, path: str) -> Parsed | None:
        """Return what the file holds, with its own problems; None where it cannot be read."""
        data = self.read(path)
        if data is None:
            message = f"{path} cannot be read: it is no regular file of the repository"
            self.problems.append(Problem("E120", message, Place(path, 1, 1), help=("replace the link by a file",)))
            return None
        return parse(data, path)

    def checked(self, kind: str, path: str, parsed: Parsed, *, partial: bool = False) -> Document | None:
        """Return the document that `parsed` makes; `partial`: required keys may be missing, as in a profile."""
        found = list(parsed.problems)
        if parsed.value or not found:
            found += check(kind, parsed, path, partial=partial)
        document = Document(kind, path, parsed.value, parsed.places)
        if not found and not partial:
            found += build.contradictions(document)
            found += _shape_problems(document) if kind == "pipeline" else ()
        self.problems += found
        return None if found else document


def shown(problem: Problem, read: Read) -> Problem:
    """Return the problem with the source line at its place, harmless to a terminal."""
    if problem.excerpt or problem.place is None:
        return problem
    data = read(problem.place.path) or b""
    if len(data) > LIMIT:
        return problem
    lines = re.split(r"\r\n|\n|\r", data.decode("utf-8-sig", "replace"))
    if problem.place.line > len(lines) or problem.place.column > _LONGEST_EXCERPT:
        return problem
    line = lines[problem.place.line - 1][:_LONGEST_EXCERPT]
    return replace(problem, excerpt="".join(char if char.isprintable() else " " for char in line))


def _shape_problems(document: Document) -> Iterable[Problem]:
    from custody.spec.preparation import shape_problems

    return shape_problems(document)
