"""`init`: makes a folder of a Git repository a project. Run again, it adds what is missing and changes nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from custody.app.render import render
from custody.errors import GitError

CONFIG = ".mlops/config.yaml"
IGNORED = (".mlops/store/", ".mlops/state/")
_FILES: Mapping[str, str] = {
    CONFIG: "init/config.yaml.j2",
    "Makefile": "init/Makefile.j2",
    "models/README.md": "init/models.md.j2",
    "datasets/README.md": "init/datasets.md.j2",
}


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was written and what was there already, as paths from the project root."""

    root: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]


def init(directory: Path) -> Initialised:
    """Make `directory` a project; raises GitError outside a Git repository.

    Files that are there are never changed, but for `.gitignore`, to which missing lines are added.
    """
    root = directory.resolve()
    if _git_folder(root) is None:
        raise GitError(f"{root} is in no Git repository", code="E601", help=("git init",))
    written: list[str] = []
    kept: list[str] = []
    values = _values(root)
    for path, template in _FILES.items():
        if (root / path).exists() or (path.endswith("README.md") and (root / path).parent.exists()):
            kept.append(path)
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(render(template, root=root, **values), encoding="utf-8")
        written.append(path)
    (written if _ignore(root / ".gitignore") else kept).append(".gitignore")
    return Initialised(root, tuple(written), tuple(kept))


def _values(root: Path) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "branch": _branch(root) or "main",
        "lock": next((name for name in ("requirements.lock", "uv.lock") if (root / name).is_file()), None),
        "extensions": ["src"] if (root / "src").is_dir() else [],
    }


def _ignore(path: Path) -> bool:
    """Add the lines that are missing; whether there were any."""
    present = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = {line.strip().removeprefix("/") for line in present.splitlines()}
    missing = [line for line in IGNORED if line not in lines]
    if not missing:
        return False
    before = present if not present or present.endswith("\n") else f"{present}\n"
    path.write_text(before + "".join(f"{line}\n" for line in missing), encoding="utf-8")
    return True


def _git_folder(directory: Path) -> Path | None:
    """Return the `.git` at or above `directory`: a folder, or the file of a linked work tree."""
    return next((folder / ".git" for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)


def _branch(root: Path) -> str | None:
    git = _git_folder(root)
    if git and git.is_file():
        git = (git.parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()).resolve()
    head = git / "HEAD" if git else None
    text = head.read_text(encoding="utf-8").strip() if head and head.is_file() else ""
    return text.removeprefix("ref: refs/heads/") if text.startswith("ref: refs/heads/") else None
