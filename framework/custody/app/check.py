"""`check`: whether the specs of the working tree are sound. Runs no code of the user and asks nothing of a remote.

Of the ledger it reads what lies in this clone: a version that is recorded there may not be edited, and the reference of
a model tells what a declared limit of a monitor would have done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.hindsight import Sight, sights
from custody.app.project import Project
from custody.core.versions import manifest_differences
from custody.domain.problem import Problem, Severity
from custody.domain.spec import PROFILES, Manifest, Spec
from custody.errors import GitError, LedgerError, UsageError
from custody.ledger.head import state_at_head
from custody.spec.documents import shown


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: all problems, and how many models and datasets are sound.

    `sights` tell how often declared limits of monitors would have fired on the data that was learnt from.
    """

    problems: tuple[Problem, ...]
    models: int
    datasets: int
    sights: tuple[Sight, ...] = ()

    @property
    def errors(self) -> int:
        """How many problems stop a command."""
        return sum(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many problems are only shown."""
        return len(self.problems) - self.errors


def check(project: Project, paths: Sequence[Path] = ()) -> Checked:
    """Check all specs, and tell of those at or below `paths` (default: of all).

    Raises UsageError for a path that is not in the project.
    """
    spec, found = project.load()
    problems = tuple(sorted((*found, *_edited(project, spec)), key=lambda problem: problem.position))
    inside = tuple(_inside(project.root, path) for path in paths)
    models = [model for model in spec.models.values() if _wanted(model.directory, inside)]
    datasets = [dataset.directory for dataset in spec.datasets.values()]
    return Checked(
        tuple(
            item for item in problems if _wanted(path := item.place.path if item.place else "", inside) or _shared(path)
        ),
        len(models),
        sum(_wanted(directory, inside) for directory in datasets),
        tuple(sights(project, models)),
    )


def _edited(project: Project, spec: Spec) -> tuple[Problem, ...]:
    """Return an error for each version whose file is not as it was recorded."""
    read = project.worktree.reader(None)
    try:
        recorded = state_at_head(project.worktree.repository, project.config)[0].datasets
        found = [
            _edit(manifest, wrong, record)
            for dataset in spec.datasets.values()
            for manifest in dataset.versions.values()
            if (record := recorded.get(f"{manifest.dataset}@{manifest.version}"))
            and (wrong := manifest_differences(manifest, record))
        ]
    except (LedgerError, GitError):
        return ()  # specs are sound whatever the ledger is; `custody verify` tells of that
    return tuple(shown(problem, read) for problem in found)


def _edit(manifest: Manifest, wrong: Sequence[str], record: Mapping[str, Any]) -> Problem:
    place = manifest.document.place(wrong[0]) if manifest.document else None
    message = f"{manifest.dataset}@{manifest.version} was edited after it was recorded: in {', '.join(wrong)}"
    code = record.get("code")
    back = (f"git checkout {code[:12]} -- {place.path}",) if isinstance(code, str) and place else ()
    help_ = (*back, f"custody data add {manifest.dataset}   makes a new version")
    return Problem("E226", message, place, because=("a recorded version never changes",), help=help_)


def _shared(path: str) -> bool:
    """Whether the file is one of a profile: what is wrong there may be wrong with every model."""
    return path.startswith(f"{PROFILES}/")


def _inside(root: Path, path: Path) -> str:
    """Return the path from the project root, with forward slashes; empty for the root itself."""
    found = path.resolve()
    if not found.is_relative_to(root):
        raise UsageError(f"{path} is not in the project {root}", code="E642", help=("custody check",))
    if not found.exists():
        raise UsageError(f"there is no {path}", code="E642", help=("custody check",))
    inside = found.relative_to(root).as_posix()
    return "" if inside == "." else inside


def _wanted(path: str, inside: Sequence[str]) -> bool:
    """Whether `path` lies at or below one of the paths, or one of them below it: a file stands for its model."""
    if not inside:
        return True
    return any(not one or f"{path}/".startswith(f"{one}/") or f"{one}/".startswith(f"{path}/") for one in inside)
