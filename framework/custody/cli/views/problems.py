"""Problems with their places: an excerpt with carets, as a person reads it, or the annotations of GitHub's runner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from custody.cli.views.text import Tone, escape, one_line, plural, width
from custody.domain.problem import Place, Problem, Severity

SHOWN = 20
_EXCERPT = 140
_TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARN}


def text(problems: Sequence[Problem]) -> str:
    """Return at most twenty problems, each with its excerpt, then how many there are."""
    parts = [problem_text(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        parts.append(f"… and {plural(len(problems) - SHOWN, 'more problem')}.")
    if len(problems) > 1:
        parts.append(f"{summary(problems)}.")
    return "\n\n".join(parts)


def summary(problems: Iterable[Problem]) -> str:
    """Return `2 errors, 1 warning`."""
    counts = Counter(problem.severity for problem in problems)
    return ", ".join(plural(counts[severity], str(severity)) for severity in Severity if counts[severity])


def problem_text(problem: Problem) -> str:
    """Return one problem: a first line complete on its own, the place with its line and caret, causes, remedies."""
    head = _TONES[problem.severity](f"{problem.severity}[{problem.code}]")
    lines = [f"{head}: {one_line(problem.message)}"]
    gutter = "  "
    if problem.place:
        gutter = " " * len(f" {problem.place.line} ")
        lines += _excerpt(problem, problem.place, gutter)
    for because in problem.because:
        lines.append(f"{gutter} because  {one_line(because)}")
    if problem.related:
        lines.append(f"{gutter}= rule: {one_line(str(problem.related))}")
    for number, remedy in enumerate(problem.help):
        lines.append(f"{gutter}{'= help: ' if number == 0 else '        '}{one_line(remedy)}")
    return "\n".join(lines)


def github(problems: Iterable[Problem]) -> list[str]:
    """Return one workflow command a problem, which GitHub shows beside the line of the pull request."""
    return [
        workflow_command(
            str(problem.severity),
            problem.place,
            problem.code,
            "\n".join([problem.message, *problem.because, *(f"help: {remedy}" for remedy in problem.help)]),
        )
        for problem in problems
    ]


def workflow_command(kind: str, place: Place | None, title: str, message: str) -> str:
    """Return `::error file=…::message`; `kind` is error, warning or notice."""
    fields = [f"title={_property(title)}"]
    if place:
        end = place.column + max(1, place.width) - 1
        fields = [f"file={_property(place.path)}", f"line={place.line}", f"col={place.column}", *fields]
        fields.insert(3, f"endColumn={end}")
    return f"::{kind} {','.join(fields)}::{_data(message)}"


def _excerpt(problem: Problem, place: Place, gutter: str) -> list[str]:
    lines = [f"{gutter[1:]}{Tone.INFO('-->')} {one_line(str(place))}"]
    if not problem.excerpt:
        return lines
    line, column = _crop(problem.excerpt.rstrip("\r\n").replace("\t", " "), place.column)
    before, marked = line[: column - 1], line[column - 1 : column - 1 + place.width]
    carets = "^" * max(1, width(one_line(marked)))
    under = " " * width(one_line(before)) + _TONES[problem.severity](carets)
    label = f" {one_line(problem.label)}" if problem.label else ""
    return [*lines, f"{gutter}|", f" {place.line} | {one_line(line)}", f"{gutter}| {under}{label}"]


def _crop(line: str, column: int) -> tuple[str, int]:
    """Return the part of a long line around the column, and the column within it."""
    if len(line) <= _EXCERPT:
        return line, column
    start = max(0, min(column - 1 - _EXCERPT // 3, len(line) - _EXCERPT))
    head, tail = ("…" if start else ""), ("…" if start + _EXCERPT < len(line) else "")
    return head + line[start : start + _EXCERPT] + tail, column - start + len(head)


def _data(text: str) -> str:
    return escape(text.replace("\r", "")).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
