"""The source side in values: a commit, and the reading of a revision's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[str], bytes | None]
"""Read a file of one revision by its path from the project root, with forward slashes; None where there is none."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the source branch: who wrote and who committed it, when (ISO 8601 with offset), its parents.

    `body` is its message without the subject.
    """

    id: str
    author: str
    committer: str
    authored: str
    committed: str
    subject: str
    parents: tuple[str, ...]
    body: str = ""
