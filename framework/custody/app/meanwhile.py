"""What others decided while a run was made here: their later commit, or their run of the same inputs, stays."""

from __future__ import annotations

from custody.app.plan import Prepared
from custody.app.project import Project
from custody.domain.plan import StageMove
from custody.domain.record import ModelState, Run, RunStatus, Version
from custody.git.branches import is_ancestor
from custody.git.transport import deepen


def overtaken(project: Project, prepared: Prepared, run: Run, target: StageMove, state: ModelState) -> str:
    """Return why `run` does not bring `target.stage` to what was planned, as decided in `state`; empty where it does.

    1. The stage was decided by a later commit of the specs: this one is superseded.
    2. Another job made a version of the same inputs.
    """
    pointer = state.stages.get(target.stage)
    decided = project.ledger.find_entry(pointer.record) if pointer else None
    later = decided.trailer("Code") if decided else None
    if later and _superseded(project, str(prepared.plan.spec_commit or project.worktree.head()), later):
        return f"{target.stage} stays: superseded by the later commit {later[:7]}"
    if target.run == run.id and (other := made_meanwhile(project, prepared, run, state)):
        return f"{target.stage} stays: {other.version} was made of the same inputs meanwhile"
    return ""


def made_meanwhile(project: Project, prepared: Prepared, run: Run, state: ModelState) -> Version | None:
    """Return the version in `state` of another run of the same inputs and limits that passed its gates.

    None where it was known when this run was planned: then the run was asked for. Two jobs of one commit may make the
    same at once; what the first of them registered stays, and the other is a run on the record, no version.
    """
    planned = prepared.state.models.get(run.model)
    known = planned.versions if planned else {}
    others = {item.run: item for name, item in state.versions.items() if name not in known and item.run != run.id}
    if not others or run.key is None or run.verdict is None:
        return None
    for found in project.ledger.runs_with_key(run.model, run.key):
        same = found.verdict is not None and found.verdict.limits == run.verdict.limits
        if same and found.id in others and found.status is RunStatus.PASSED:
            return others[found.id]
    return None


def _superseded(project: Project, commit: str, later: str) -> bool:
    """Whether the specs of `commit` are older than those of `later`, by which a stage was decided already.

    Jobs of two merges do end in the wrong order. Where this clone does not have `later`, its branch is fetched.
    """
    if commit == later:
        return False
    repository, branch = project.worktree.repository, project.config.branch
    remote = project.config.remote
    if remote and not repository.has(later):
        deepen(repository, remote, f"+refs/heads/{branch}:refs/remotes/{remote}/{branch}")
    return repository.has(later) and is_ancestor(repository, commit, later)
