"""The people and the request behind what a record is about: the commits that brought its files to what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from custody.app.authorship import authorship
from custody.app.project import Project
from custody.core.recording import Source
from custody.core.who import behalf_of, change_of
from custody.domain.revision import Commit
from custody.errors import GitError


def source_of(project: Project, commit: Commit) -> Source:
    """Return who is behind a commit as a whole, and the job that is at work."""
    tips = [tip for parent in commit.parents[1:] if (tip := _commit(project, parent))]
    job = project.job
    change = job.change or change_of(commit)
    return Source(commit.id, behalf_of(commit, tips), change, job.url, job.actor)


def source_behind(project: Project, whole: Source, paths: Sequence[str]) -> Source:
    """Return `whole` with the people and the request that brought `paths` to what they are at its commit.

    One apply serves all that landed before it, of several people. Where the history of this clone ends before the
    answer is certain, it is `whole`.
    """
    try:
        behind = authorship(project.worktree, whole.commit, paths)
    except GitError:
        return whole
    if not behind.complete:
        return whole
    landed = behind.merged or behind.written
    people = behalf_of(landed, (behind.written,) if behind.merged else ())
    change = project.job.change or change_of(landed) or change_of(behind.written)
    return replace(whole, behalf=people, change=change)


def _commit(project: Project, revision: str) -> Commit | None:
    try:
        return project.worktree.commit(revision)
    except GitError:
        return None
