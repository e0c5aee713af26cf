"""The edit of a stage in a spec: the diff, what to do next, and how to undo it."""

from __future__ import annotations

import shlex

from custody.app.stage_edit import Edit
from custody.cli.output import Output


def show_edit(out: Output, edit: Edit, model: str, points: str, subject: str) -> None:
    """Say what was edited: `points` is what the stage points to now, in words, `subject` that of the commit."""
    path = shlex.quote(edit.path)
    if not edit.diff:
        out.result(f"{edit.path} points {points} already")
    else:
        out.result(edit.diff.rstrip("\n"))
    out.say(f'next: git commit -m "{subject}" {path}')
    out.say(f"      custody plan {shlex.quote(model)}, then custody apply (on the branch that apply serves)")
    out.say(f"undo: git checkout -- {path}")
