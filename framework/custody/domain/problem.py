"""Problems with places: what checks yield instead of raising."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a problem is: errors stop a command, warnings are shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """A span of one line in a file of the repository; lines and columns count from 1, in characters."""

    path: str
    line: int
    column: int
    width: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: stable code, a first line that is complete on its own, where it is, why, and what helps.

    `excerpt` is the source line at `place`, `label` the words beside its caret, `help` holds commands or edits
    that can be pasted, `related` a second place (for example the rule that said no).
    """

    code: str
    message: str
    place: Place | None = None
    excerpt: str = ""
    label: str = ""
    because: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    related: Place | None = None
    severity: Severity = Severity.ERROR

    @property
    def position(self) -> tuple[str, int, int, str]:
        """By which problems are put in order: place, then code; those without a place first."""
        place = self.place
        return (place.path, place.line, place.column, self.code) if place else ("", 0, 0, self.code)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; the same facts as the text."""
        place = self.place
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "path": place.path if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
            "width": place.width if place else None,
            "excerpt": self.excerpt,
            "label": self.label,
            "because": list(self.because),
            "help": list(self.help),
            "related": str(self.related) if self.related else None,
        }
