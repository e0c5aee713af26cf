"""Plan against a base: what a change adds to what its target branch already owes, planned as it will be merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from custody.app.branch import require_ledger
from custody.app.paths import relevant
from custody.app.plan import Prepared, prepare
from custody.app.project import Project
from custody.core.choice import EVERYTHING, Choice
from custody.core.planner import meaning, plan_id
from custody.domain.plan import Category, Change, Plan
from custody.errors import GitError, InvalidSpecError
from custody.git.branches import branch_heads, is_ancestor, merge_base, merged_tree
from custody.git.snapshot import snapshot


class Result(StrEnum):
    """What was planned for the head: itself, the merge that is checked out, or a merge made for the plan."""

    HEAD = "head"
    MERGE_COMMIT = "merge commit"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class BasePlan:
    """plan(head) less plan(base). `plan` holds this change alone, `owed` what the base owes without it.

    `taken_back` are models that the base owes work which this change makes unnecessary. `base` is the branch or
    revision as it was named, `result` what was planned, `note` one line where that is less than the merge.
    """

    plan: Plan
    base: str
    base_commit: str
    owed: tuple[Change, ...]
    taken_back: tuple[str, ...]
    result: Result
    note: str
    head: Prepared


def resolve_base(project: Project, base: str) -> str:
    """Return the commit of a revision, or of a branch as the remote has it. Raises GitError where it is not here."""
    worktree = project.worktree
    remote = project.config.remote
    heads = branch_heads(worktree.repository, base, remote)
    heads = heads or branch_heads(worktree.repository, base.partition("/")[2], base.partition("/")[0])
    tracked = [commit for ref, commit in heads.items() if ref.startswith("refs/remotes/")]
    if tracked or heads:
        return (tracked or list(heads.values()))[0]
    try:
        return worktree.commit(base).id
    except GitError as error:
        name = remote or "origin"
        raise GitError(
            f"the base {base!r} is not in this clone",
            code="E423",
            help=(f"git fetch {name} {base}:refs/remotes/{name}/{base}",),
        ) from error


def target_of(project: Project, branch: str) -> str:
    """Return the base of a pull request that goes to `branch`, as it can be named in a CI job's clone.

    Where the branch itself was not fetched and HEAD is the merge that the host made, it is the merge's first parent.
    """
    repository, head = project.worktree.repository, project.worktree.head()
    parents = repository.parents(head) if head else ()
    if branch_heads(repository, branch, project.config.remote) or len(parents) < 2:  # noqa: PLR2004
        return branch
    return parents[0] if repository.has(parents[0]) else branch


def plan_against(
    project: Project, base: str | None, revision: str | None = None, choice: Choice = EVERYTHING
) -> BasePlan | Prepared:
    """Plan the working tree, or the commit `revision`, against `base`; without one against what the ledger holds.

    Raises LedgerError where a shared ledger was not fetched, UsageError for an unknown model or step, and as
    `plan_base` does.
    """
    if base is not None:
        return plan_base(project, base, revision=revision, choice=choice)
    require_ledger(project)
    return prepare(project, revision, choice)


def plan_base(project: Project, base: str, *, revision: str | None = None, choice: Choice = EVERYTHING) -> BasePlan:
    """Plan the working tree, or the commit `revision`, against `base`: a revision, or a branch as its remote has it.

    Raises GitError where the base is not here, InvalidSpecError where the specs of the head have errors.
    """
    require_ledger(project)
    base_commit = resolve_base(project, base)
    tree, result, note = _to_plan(project, base_commit, revision)
    head = prepare(project, tree, choice)
    before = {change.model: change for change in _owed(project, base_commit)}
    chosen = tuple(change for change in head.plan.changes if _adds(change, before.get(change.model)))
    owed = tuple(change for change in before.values() if change.active and choice.takes(change.model))
    now = {change.model: change for change in head.plan.changes}
    taken_back = tuple(item.model for item in owed if item.model in now and not now[item.model].active)
    plan = replace(
        head.plan,
        id=plan_id(chosen),
        changes=chosen,
        spec_commit=revision or project.worktree.head(),
        new_versions=tuple(_new(project, head, base_commit)),
        dirty=relevant(project.worktree.dirty(), head.spec) if revision is None else (),
    )
    return BasePlan(plan, base, base_commit, owed, taken_back, result, note, head)


def _to_plan(project: Project, base: str, revision: str | None) -> tuple[str, Result, str]:
    """Return the tree that the merge will have, how it came about, and a note where it is less than that.

    1. The head is a merge whose first parent is the base, or descends from the base: its own tree.
    2. Both have a common ancestor: their merge, made in memory.
    3. The histories don't meet here, or they conflict: the head as it is, and a note.
    """
    worktree = project.worktree
    repository = worktree.repository
    head = revision or worktree.head()
    own = str(worktree.tree_of(revision)) if revision else snapshot(repository)
    if head is None:
        return own, Result.HEAD, ""
    parents = repository.parents(head)
    if len(parents) > 1 and parents[0] == base:
        return own, Result.MERGE_COMMIT, ""
    if is_ancestor(repository, base, head):
        return own, Result.HEAD, ""
    ancestor = merge_base(repository, head, base)
    if ancestor is None:
        note = "the common history with the base is not in this clone, so what is newer on the base may show as changes"
        return own, Result.HEAD, f"{note}: git fetch --unshallow"
    before, ours = str(worktree.tree_of(ancestor)), str(worktree.tree_of(base))
    merged = merged_tree(repository, before, ours, own)
    if merged is None:
        return own, Result.HEAD, "it conflicts with the base and was planned as it is: merge the base first"
    return merged, Result.MERGED, ""


def _owed(project: Project, base: str) -> tuple[Change, ...]:
    """Return the changes that the base owes by itself; none where its own specs have errors."""
    try:
        return prepare(project, base).plan.changes
    except InvalidSpecError:
        return ()


def _adds(change: Change, before: Change | None) -> bool:
    """Whether the head's change is not what the base owes anyway; an unchanged model adds nothing."""
    if change.category is Category.NOOP:
        return False
    return before is None or meaning(change) != meaning(before)


def _new(project: Project, head: Prepared, base: str) -> list[str]:
    """Return the dataset versions that apply would record first and that the base does not have."""
    known = project.load(base)[0].datasets
    found = []
    for label in head.plan.new_versions:
        name, _, version = label.partition("@")
        if name not in known or version not in known[name].versions:
            found.append(label)
    return found
