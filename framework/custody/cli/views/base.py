"""A plan against its base: this change as a plan of its own, and in one line what the base owes without it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from custody.app.base import BasePlan, Result
from custody.cli.views import plan as view
from custody.cli.views.text import Tone, one_line, wrapped
from custody.domain.plan import Change

_WHAT = {
    Result.HEAD: "",
    Result.MERGE_COMMIT: ", planned as the merge that is checked out",
    Result.MERGED: ", planned as merged with it",
}
_MODELS = 5


def text(planned: BasePlan, version: str) -> str:
    """Return what `custody plan --base` prints."""
    plan = planned.plan
    base = f"{one_line(planned.base)} {planned.base_commit[:7]}"
    lines = [view.header(plan, version), f"This change, against {base}{_WHAT[planned.result]}:"]
    lines += wrapped(f"Note: {planned.note}.", indent="  ") if planned.note else []
    lines += ["", *view.body(plan)] if plan.changes or plan.new_versions else ["", "  changes no model"]
    lines += [*view.profile_lines(plan), "", owes(planned)]
    lines += [f"Plan {Tone.STRONG(plan.id[:7])}: {view.summary(plan) if plan.has_changes else 'nothing to do'}."]
    return "\n".join(lines)


def owes(planned: BasePlan) -> str:
    """Return the one line about the base itself."""
    base = one_line(planned.base)
    if not planned.owed:
        return f"{base} itself owes nothing."
    words = [f"{count} {word} ({names})" for word, count, names in _counted(planned.owed)]
    back = f"; no longer with this change: {_names(planned.taken_back)}" if planned.taken_back else ""
    return f"{base} itself still owes: {', '.join(words)}{back}."


def to_json(planned: BasePlan, version: str) -> dict[str, Any]:
    """Return the plan of this change with the base beside it."""
    owed = [view.change_json(change) for change in planned.owed]
    return {
        **view.to_json(planned.plan, version),
        "base": {
            "name": planned.base,
            "commit": planned.base_commit,
            "planned_as": str(planned.result),
            "note": planned.note or None,
            "owes": owed,
            "taken_back": list(planned.taken_back),
        },
    }


def _counted(changes: tuple[Change, ...]) -> list[tuple[str, int, str]]:
    counts = Counter(change.category for change in changes)
    return [
        (item.word, count, _names(tuple(change.model for change in changes if change.category is item)))
        for item, count in counts.items()
    ]


def _names(models: tuple[str, ...]) -> str:
    more = f" and {len(models) - _MODELS} more" if len(models) > _MODELS else ""
    return ", ".join(one_line(name) for name in models[:_MODELS]) + more
