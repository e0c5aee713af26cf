"""The plan that was reviewed is the plan that is applied; where it is not, who moved what."""

from __future__ import annotations

from collections.abc import Iterator

from custody.app.authorship import authorship
from custody.app.base import plan_base
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.core.choice import Choice
from custody.domain.plan import Change, Plan, Reason
from custody.domain.revision import Commit
from custody.errors import GitError, StalePlanError

_NAMED = 5
"""Reasons that are named at most."""


def expect_plan(project: Project, prepared: Prepared, expected: str, choice: Choice) -> None:
    """Raise StalePlanError where `expected`, the (start of the) id of a plan, is not what would be applied now."""
    plan = prepared.plan
    if _reviewed(project, plan, expected, choice):
        return
    touched = ", ".join(f"{change.model} ({change.category.word})" for change in plan.active) or "nothing"
    last = f"last record by {plan.last.get('who', 'nobody')}: {plan.last.get('subject', 'none')}"
    raise StalePlanError(
        f"the plan is {plan.id[:7]} now, not {expected[:7]}: it would change {touched}",
        code="E401",
        because=(*_moved(project, plan), last),
        help=("custody plan",),
    )


def _reviewed(project: Project, plan: Plan, expected: str, choice: Choice) -> bool:
    """Whether the expected plan is that of the commit, or what the commit adds to what its branch owed before it."""
    if plan.id.startswith(expected):
        return True
    repository, commit = project.worktree.repository, str(plan.spec_commit)
    before = next(iter(repository.parents(commit)), None)
    if before is None or not repository.has(before):
        return False
    return plan_base(project, before, revision=commit, choice=choice).plan.id.startswith(expected)


def _moved(project: Project, plan: Plan) -> Iterator[str]:
    """Yield what the plan would change now, each with the commit that brought its file to what it is."""
    reasons = [(change, reason) for change in plan.active for reason in change.reasons]
    for change, reason in reasons[:_NAMED]:
        yield f"{_what(change, reason)}{_who(project, plan, reason)}"
    if len(reasons) > _NAMED:
        yield f"and {len(reasons) - _NAMED} more reasons"


def _what(change: Change, reason: Reason) -> str:
    values = f" {reason.before} → {reason.after}" if reason.before is not None or reason.after is not None else ""
    return f"{change.model}: {reason.code} {reason.subject}".rstrip() + values


def _who(project: Project, plan: Plan, reason: Reason) -> str:
    if reason.place is None:
        return ""
    place = f"{reason.place.path}:{reason.place.line}"
    try:
        commit: Commit = authorship(project.worktree, str(plan.spec_commit), (reason.place.path,)).written
    except GitError:
        return f", {place}"
    return f", {place} as of {commit.id[:7]} by {commit.author}: {commit.subject}"
