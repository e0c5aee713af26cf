"""The first commit of a ledger: derived from the repository's id alone, so that every clone starts from the same one.

What stands here is part of the format: a changed character makes another first commit, and histories that cannot meet.
"""

from __future__ import annotations

from datetime import UTC, datetime

from custody.git.objects import Person, RawCommit, Repository

README = "README.md"
_AUTHOR = Person("custody", "custody@localhost", datetime(2026, 1, 1, tzinfo=UTC))
_TEXT = """\
# Ledger

This branch is written by custody and is never checked out or edited by hand. Each commit is one record: a run of a
model, a version, a promotion, a version of a dataset. The files are the state that follows from all records up to here:

- `models/<model>/spec.yaml` and `run.json`: the last run, as it was declared and what came of it
- `models/<model>/stages.json`: the versions, and which of them each stage uses
- `datasets/<dataset>/<version>.json`: each version of a dataset that was recorded

Nothing is recorded yet.
"""
_TRIALS = """\
# Trials

This branch is written by `custody try` and is never checked out or edited by hand. Each commit is one trial of a model:
what came of it, and the exact source tree that it ran on. No trial is in production, and none of the files says so.

- `source/`: the source tree of the trial, uncommitted edits included
- `models/<model>/spec.yaml` and `run.json`: the last trial of each model, as it was declared and what came of it
"""


def write_first_commit(repository: Repository, project_id: str, *, trials: bool = False) -> str:
    """Store the first commit of the ledger, or of the trials; return its id, which is the same in every clone."""
    tree = repository.write_tree(None, {README: repository.write_blob((_TRIALS if trials else _TEXT).encode())})
    return repository.write_commit(tree, (), _message(project_id, trials=trials), _AUTHOR)


def is_first_commit(repository: Repository, commit: RawCommit, project_id: str) -> bool:
    """Whether this is the first commit of the ledger of this project. Raises GitError where its tree is missing."""
    files = {entry.name: entry for entry in repository.tree(commit.tree)}
    alike = commit.message.decode("utf-8", "replace") == _message(project_id, trials=False)
    same = alike and {commit.author, commit.committer} == {_AUTHOR} and set(files) == {README}
    return same and repository.file(commit.tree, README) == _TEXT.encode()


def _message(project_id: str, *, trials: bool) -> str:
    noun = "trials" if trials else "ledger"
    return f"{noun} of {project_id}\n\nFormat: 1\nProject: {project_id}\n"
