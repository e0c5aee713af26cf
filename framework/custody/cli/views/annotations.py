"""What a change does, as annotations that GitHub shows beside the changed lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from custody.app.comment import Comment, ModelComment
from custody.cli.views.plan import reason_text
from custody.cli.views.problems import github, workflow_command
from custody.cli.views.text import plain
from custody.domain.plan import Category, Reason

_MOST = 50
"""GitHub shows ten of a kind for a step; a few more may be read in the log."""


def lines(comment: Comment) -> list[str]:
    """Return workflow commands: what loosens a limit or blocks first, then a notice for each reason with a place."""
    found = [*github(comment.problems), *(line for item in comment.models for line in _warnings(item))]
    return [*found, *(line for item in comment.models for line in _notices(item))][:_MOST]


def _warnings(item: ModelComment) -> Iterator[str]:
    for one in item.relaxed:
        words = f"gate relaxed: {one.limit.path} {_shown(one.limit.before)} → {_shown(one.limit.after)}"
        yield workflow_command("warning", one.place, f"{item.change.model}: gate relaxed", words)
    if item.change.category in {Category.BLOCKED, Category.HELD}:
        kind = "error" if item.change.category is Category.BLOCKED else "warning"
        for reason in item.reasons:
            yield from _line(kind, item, reason)


def _notices(item: ModelComment) -> Iterator[str]:
    if item.change.category not in {Category.BLOCKED, Category.HELD}:
        for reason in item.reasons:
            yield from _line("notice", item, reason)


def _line(kind: str, item: ModelComment, reason: Reason) -> Iterator[str]:
    if reason.place is not None:
        title = f"{item.change.model}: {item.change.category.word}"
        yield workflow_command(kind, reason.place, title, plain(reason_text(reason, place=False)))


def _shown(limit: object) -> str:
    return "removed" if limit is None else str(limit)
