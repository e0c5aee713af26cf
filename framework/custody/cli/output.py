"""Where words go: results to stdout, everything else to stderr; colour, JSON and GitHub's log are decided here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from custody.cli.views.text import harmless
from custody.core.jsonfile import json_text
from custody.core.masking import Mask
from custody.domain.problem import Problem

_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e]")
"""What JSON leaves as it is and a terminal would act upon."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a verb writes to. `terminal` is whether a person watches stderr; `color` applies to both streams.

    `github` is whether the lines land in the log of GitHub Actions. `directory` is where the user is (`-C`). `mask`
    takes the secrets of the environment out of all that is written.
    """

    json_mode: bool = False
    color: bool = False
    terminal: bool = False
    github: bool = False
    quiet: bool = False
    directory: Path = field(default_factory=Path)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    mask: Mask = field(default_factory=Mask)

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str],
        *,
        directory: Path | None = None,
        json_mode: bool = False,
        no_color: bool = False,
        quiet: bool = False,
    ) -> Self:
        """Return the output that fits the environment and the streams of this process."""
        watched = sys.stderr.isatty() and not environ.get("CI")
        return cls(
            json_mode=json_mode,
            color=not no_color and not json_mode and _color(environ, terminal=sys.stdout.isatty()),
            terminal=watched and not json_mode and environ.get("TERM") != "dumb",
            github=environ.get("GITHUB_ACTIONS") == "true",
            quiet=quiet,
            directory=directory or Path(),
            stdout=sys.stdout,
            stderr=sys.stderr,
            mask=Mask.of(environ),
        )

    def result(self, text: str) -> None:
        """Write a result to stdout."""
        self._write(self.stdout, text)

    def json(self, value: Any) -> None:
        """Write a value to stdout as indented JSON."""
        text = _json(value)
        if self.mask.text(text) != text:
            text = _json(self.mask.json(json.loads(text)))
        # JSON escapes C0 itself; the rest of the control characters are escaped for terminals, and the older form of
        # GitHub's commands, which its runner finds anywhere in a line; both can only stand within strings
        text = text.replace("##[", "#\\u0023[")
        self.stdout.write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
        self.stdout.flush()

    def say(self, text: str) -> None:
        """Write a message to stderr, unless the user asked for quiet."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Write a message to stderr that is shown even where the user asked for quiet."""
        self._write(self.stderr, text)

    def problems(self, problems: Sequence[Problem]) -> None:
        """Show problems: a JSON list on stdout, else carets on stderr, and annotations where GitHub reads along."""
        from custody.cli.views.problems import github, text

        if self.json_mode:
            self.json([problem.to_dict() for problem in problems])
            return
        if problems:
            self.complain(text(problems))
        self.annotate(github(problems))

    def annotate(self, commands: Sequence[str], *, anywhere: bool = False) -> None:
        """Write workflow commands where GitHub reads along, or `anywhere`; views escape them in GitHub's own way."""
        if self.github or anywhere:
            for line in commands:
                self.stderr.write(line + "\n")
            self.stderr.flush()

    def _write(self, stream: TextIO, text: str) -> None:
        shown = harmless(self.mask.text(text), color=self.color)
        if self.github:
            shown = "\n".join(_no_command(line) for line in shown.split("\n"))
        stream.write(shown + "\n")
        stream.flush()


def _json(value: Any) -> str:
    return json_text(value, _jsonable)


def _color(environ: Mapping[str, str], *, terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE") or environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM") != "dumb"


def _no_command(line: str) -> str:
    """Return a line of text that GitHub's runner cannot take for a workflow command."""
    if line.lstrip().startswith("::"):
        line = line.replace("::", ": :", 1)
    return line.replace("##[", "## [")


def _jsonable(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "items"):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
