"""`init`: makes a folder of a Git repository a project, with workflows for a host's CI where that is asked for.

Run again, it adds what is missing and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from custody import __version__
from custody.app.editor import SCHEMAS, SETTINGS, write_schemas, write_settings
from custody.app.render import render
from custody.errors import GitError, UsageError

CONFIG = ".mlops/config.yaml"
IGNORED = (".mlops/store/", ".mlops/state/")
_FILES: Mapping[str, str] = {
    CONFIG: "init/config.yaml.j2",
    "Makefile": "init/Makefile.j2",
    "models/README.md": "init/models.md.j2",
    "datasets/README.md": "init/datasets.md.j2",
}
CI: Mapping[str, tuple[str, str]] = {
    "github": (".github/workflows/custody.yml", "ci/github.yml.j2"),
    "gitlab": (".gitlab-ci.yml", "ci/gitlab.yml.j2"),
}
"""Where a host looks for its workflows, from the top of the repository, and the template of them."""
_PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was written and what was there already, as paths from the project root.

    `settings` are those that were set in the clone's own Git configuration.
    """

    root: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    settings: tuple[str, ...] = ()


def init(directory: Path, ci: str | None = None) -> Initialised:
    """Make `directory` a project, with workflows for the host `ci` (a key of `CI`).

    Raises GitError outside a Git repository, UsageError where the host reads its workflows from another folder.

    Files that are there are never changed, but for `.gitignore`, to which missing lines are added.
    """
    root = directory.resolve()
    if ci and _top(root) != root:
        message = f"{ci} reads {CI[ci][0]} from the top of the repository, and {root} is a folder of it"
        raise UsageError(message, code="E605", help=(f"custody -C {_top(root)} init --ci {ci}",))
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
    if CONFIG in written:  # else `init` serves a clone, which is not to be changed: `custody schema --write`
        for path, changed in _write_editor(root):
            (written if changed else kept).append(path)
    if ci:
        for path, changed in _write_ci(root, ci):
            (written if changed else kept).append(path)
    return Initialised(root, tuple(dict.fromkeys(written)), tuple(kept), _settings(root))


def _write_editor(root: Path) -> Iterator[tuple[str, bool]]:
    """Write the schemas and name them in the editor's settings."""
    from custody.app.project import open_project

    yield f"{SCHEMAS}/", write_schemas(root)
    yield SETTINGS, write_settings(root, open_project(root).config)


def _write_ci(root: Path, ci: str) -> Iterator[tuple[str, bool]]:
    """Name the remote in the configuration and write the workflows; yields each file and whether it was changed."""
    from custody.app.project import open_project
    from custody.spec.edit import set_remote

    config = root / CONFIG
    before = config.read_bytes()
    after = set_remote(before, CONFIG, "origin")
    if after != before:
        config.write_bytes(after)
    yield CONFIG, after != before
    path, template = CI[ci]
    if (root / path).exists():
        yield path, False
        return
    values = open_project(root).config
    text = render(template, root=root, branch=values.branch, lock=values.lock, version=__version__, python=_PYTHON)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    yield path, True


def _settings(root: Path) -> tuple[str, ...]:
    """Have Git itself show the ledger in this clone."""
    from custody.app.project import open_project
    from custody.git.settings import set_reading

    project = open_project(root)
    return set_reading(project.worktree.repository, project.config.ledger)


def _top(root: Path) -> Path:
    git = _git_folder(root)
    return git.parent if git else root


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
