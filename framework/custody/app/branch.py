"""Which commit `apply` may serve, and whether the ledger is here: each refusal says in one line what to do."""

from __future__ import annotations

from collections.abc import Mapping

from custody.app.project import Project
from custody.errors import LedgerError, RefusedError
from custody.git.branches import branch_heads, brings_all, merge_base, on_any, remotes


def serve(project: Project, commit: str) -> None:
    """Refuse, with RefusedError, to apply a commit that is not on the branch that the configuration names.

    1. The branch is checked out: served.
    2. Another branch or a detached HEAD: served where the branch, local or remote-tracking, contains the commit.
    3. The branch is not in this clone, or nowhere, or the history is cut before an answer: said so.
    """
    branch, here = project.config.branch, project.worktree.branch()
    if here == branch:
        return
    repository = project.worktree.repository
    heads = branch_heads(repository, branch, project.config.remote)
    if on_any(repository, commit, heads.values()):
        return
    where = f"you are on {here}" if here else f"HEAD is detached at {commit[:7]}, which is not on it"
    if not heads:
        raise _absent(project, where, here, commit)
    if repository.shallow_boundary:
        raise RefusedError(
            f"apply serves {branch}, and this shallow clone cannot tell whether {commit[:7]} is on it ({where})",
            code="E421",
            help=(f"git fetch --unshallow {_remote(project)} {branch}", f"git switch {branch}"),
        )
    raise RefusedError(
        f"apply serves {branch}; {where}", code="E420", help=(_try(project, commit, heads), f"git switch {branch}")
    )


def require_ledger(project: Project) -> None:
    """Refuse, with LedgerError, to take a shared ledger that was not fetched for an empty one. Asks nobody."""
    remote, ledger = project.config.remote, project.config.ledger
    if remote is None or project.ledger.head() is not None:
        return
    repository = project.worktree.repository
    if remote in remotes(repository) and brings_all(repository, remote):
        raise LedgerError(
            f"there is no ledger yet: {remote} had no {ledger} when it was last fetched",
            code="E422",
            help=(
                f"custody apply   the first one makes it (on {project.config.branch})",
                f"custody sync    asks {remote} again, and begins it here where there is still none",
            ),
        )
    # the pattern is no error where there are no notes yet
    fetch = f"git fetch {remote} {ledger}:refs/remotes/{remote}/{ledger} 'refs/notes/mlops*:refs/notes/mlops*'"
    because: tuple[str, ...] = ()
    if remote not in remotes(repository):
        because = (f"there is no remote {remote!r}",)
        fetch = f"git remote add {remote} URL && {fetch}"
    raise LedgerError(
        f"the ledger is not here: {ledger} is shared through {remote} and was not fetched",
        code="E422",
        because=because,
        help=(fetch,),
    )


def _absent(project: Project, where: str, here: str | None, commit: str) -> RefusedError:
    """Say that the branch is not in this clone, or, where there is no remote to have it, that there is none."""
    branch = project.config.branch
    if remotes(project.worktree.repository):
        remote = _remote(project)
        return RefusedError(
            f"apply serves {branch}, and this clone does not have it; {where}",
            code="E421",
            help=(f"git fetch {remote} {branch}:refs/remotes/{remote}/{branch}", _try(project, commit, {})),
        )
    rename = (f"git branch -m {here} {branch}",) if here else (f"git switch -c {branch}",)
    edit = f"set `branch: {here}` in .mlops/config.yaml and commit" if here else f"git branch {branch}"
    return RefusedError(
        f"apply serves {branch}, as .mlops/config.yaml says, and there is no branch of that name; {where}",
        code="E421",
        help=(*rename, edit),
    )


def _remote(project: Project) -> str:
    return project.config.remote or next(iter(remotes(project.worktree.repository)), "origin")


def _try(project: Project, commit: str, heads: Mapping[str, str]) -> str:
    """Return the command that tries what apply refuses; with the model, where the commit changes a single one."""
    worktree, prefix = project.worktree, f"{project.config.models}/"
    head = next(iter(heads.values()), None)
    base = merge_base(worktree.repository, commit, head) if head else None
    names = {
        path.removeprefix(prefix).partition("/")[0]
        for path in worktree.changed(base, commit)
        if path.startswith(prefix)
    }
    return f"custody try {names.pop()}" if len(names) == 1 else "custody try"
